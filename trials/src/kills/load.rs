//! Clients that behave as good clients do: each event has an id of its own, what was not answered
//! is sent again with the same ids, and 429 is waited out. They write down what was acknowledged.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::world::{BOUGHT, CAME};
use crate::client::{Client, NotConnected, Response, event};
use crate::dice::Dice;
use crate::server::Keys;

/// Customers who are about at a time; others come as the rounds pass.
const ABOUT: u64 = 16;
/// New customers in a round.
const NEW_PER_ROUND: u64 = 3;
/// Events of one batch, at most.
const MOST_EVENTS: u64 = 6;

/// What the clients know.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Events whose 2xx arrived: message id → (customer, name).
    pub(super) acknowledged: BTreeMap<String, (String, &'static str)>,
    /// Requests that found no server.
    pub(super) unconnected: usize,
    /// Requests that were sent, or begun, and had no answer.
    pub(super) unanswered: usize,
    /// Batches that were sent again after their 2xx.
    pub(super) repeated: usize,
    /// Answers by status, other than 200.
    pub(super) refused: BTreeMap<u16, usize>,
    /// Answers that no client should get.
    pub(super) faults: Vec<String>,
}

/// The clients at work.
pub(super) struct Load {
    gate: Arc<Gate>,
    clients: Vec<JoinHandle<Ledger>>,
}

struct Gate {
    state: Mutex<GateState>,
    moved: Condvar,
}

#[derive(Clone, Copy)]
struct GateState {
    address: Option<SocketAddr>,
    round: u64,
    over: bool,
}

impl Load {
    /// Start the clients; they wait for a server.
    pub(super) fn start(keys: &Keys, clients: u64, seed: u64) -> anyhow::Result<Load> {
        let state = GateState { address: None, round: 0, over: false };
        let gate = Arc::new(Gate { state: Mutex::new(state), moved: Condvar::new() });
        let mut threads = Vec::new();
        for number in 0..clients {
            let sender = Sender {
                number,
                sent: 0,
                dice: Dice::new(seed.wrapping_mul(31).wrapping_add(number)),
                key: keys.secret.clone(),
                ledger: Ledger::default(),
            };
            let gate = Arc::clone(&gate);
            let builder = std::thread::Builder::new().name(format!("client {number}"));
            threads.push(builder.spawn(move || sender.work(&gate))?);
        }
        Ok(Load { gate, clients: threads })
    }

    /// Another round: other customers come.
    pub(super) fn next_round(&self, round: u64) {
        self.gate.lock().round = round;
    }

    /// There is a server again.
    pub(super) fn go(&self, address: SocketAddr) {
        self.gate.lock().address = Some(address);
        self.gate.moved.notify_all();
    }

    /// There is none. Called after its end, so that requests are under way when it comes.
    pub(super) fn pause(&self) {
        self.gate.lock().address = None;
    }

    /// No more is sent; what the clients know.
    pub(super) fn end(self) -> anyhow::Result<Ledger> {
        self.gate.lock().over = true;
        self.gate.moved.notify_all();
        let mut whole = Ledger::default();
        for client in self.clients {
            let ledger = client.join().map_err(|_| anyhow::anyhow!("a client panicked"))?;
            whole.acknowledged.extend(ledger.acknowledged);
            whole.unconnected += ledger.unconnected;
            whole.unanswered += ledger.unanswered;
            whole.repeated += ledger.repeated;
            for (status, times) in ledger.refused {
                *whole.refused.entry(status).or_default() += times;
            }
            whole.faults.extend(ledger.faults);
        }
        Ok(whole)
    }
}

impl Gate {
    fn lock(&self) -> MutexGuard<'_, GateState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server and the round, once there is one; `None`: it is over.
    fn wait(&self) -> Option<(SocketAddr, u64)> {
        let mut state = self.lock();
        loop {
            match *state {
                GateState { over: true, .. } => return None,
                GateState { address: Some(address), round, .. } => return Some((address, round)),
                GateState { address: None, .. } => {
                    state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }
}

/// A batch, and whether its 2xx came before.
struct Batch {
    events: Vec<(String, String, &'static str)>,
    items: Vec<Json>,
    is_repeated: bool,
}

struct Sender {
    number: u64,
    sent: u64,
    dice: Dice,
    key: String,
    ledger: Ledger,
}

impl Sender {
    fn work(mut self, gate: &Gate) -> Ledger {
        let mut client: Option<Client> = None;
        let mut pending: Option<Batch> = None;
        while let Some((address, round)) = gate.wait() {
            let client = client.get_or_insert_with(|| Client::new(address).with_key(&self.key));
            client.move_to(address);
            let batch = match pending.take() {
                Some(batch) => batch,
                None => self.batch(round),
            };
            pending = match client.batch(&batch.items) {
                Ok(response) if response.status == 200 => self.answered(batch, &response),
                Ok(response) => {
                    self.refused(&response);
                    std::thread::sleep(Duration::from_millis(5));
                    Some(batch)
                }
                Err(error) => {
                    match error.is::<NotConnected>() {
                        true => self.ledger.unconnected += 1,
                        false => self.ledger.unanswered += 1,
                    }
                    std::thread::sleep(Duration::from_millis(1));
                    Some(batch)
                }
            };
            std::thread::sleep(Duration::from_micros(self.dice.below(6_000)));
        }
        self.ledger
    }

    fn batch(&mut self, round: u64) -> Batch {
        let mut batch = Batch { events: Vec::new(), items: Vec::new(), is_repeated: false };
        for _ in 0..=self.dice.below(MOST_EVENTS) {
            let user = format!("u{}", round * NEW_PER_ROUND + self.dice.below(ABOUT));
            let message = format!("m{}-{}", self.number, self.sent);
            self.sent += 1;
            let name = if self.dice.percent(40) { CAME } else { BOUGHT };
            if name == CAME {
                let traits = json!({"email": format!("{user}@example.com"), "seen": message});
                batch.items.push(json!({"type": "identify", "userId": user,
                    "messageId": format!("i{message}"), "traits": traits}));
            }
            // The id stands in the properties too, since answers show only its hash.
            batch.items.push(event(&message, &user, name, &json!({"order": message})));
            batch.events.push((message, user, name));
        }
        batch
    }

    /// What is to be sent next, if it is this batch again.
    fn answered(&mut self, batch: Batch, response: &Response) -> Option<Batch> {
        let answer = response.json();
        let number = |name: &str| answer.get(name).and_then(Json::as_u64).unwrap_or_default();
        let all = batch.items.len() as u64;
        let (accepted, duplicates) = (number("accepted"), number("duplicates"));
        if accepted + duplicates != all || (batch.is_repeated && duplicates != all) {
            let again = if batch.is_repeated { "again" } else { "" };
            self.ledger.faults.push(format!("{all} items {again} were answered {answer}"));
        }
        for (message, user, name) in &batch.events {
            self.ledger.acknowledged.insert(message.clone(), (user.clone(), name));
        }
        if batch.is_repeated {
            self.ledger.repeated += 1;
            return None;
        }
        self.dice.percent(10).then_some(Batch { is_repeated: true, ..batch })
    }

    fn refused(&mut self, response: &Response) {
        *self.ledger.refused.entry(response.status).or_default() += 1;
        let is_expected = matches!(response.status, 429 | 503);
        if !is_expected || response.header("retry-after").is_none() {
            let text = format!("{} {}", response.status, response.text());
            self.ledger.faults.push(text);
        }
    }
}
