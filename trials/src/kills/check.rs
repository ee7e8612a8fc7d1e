//! The look at a folder after its last round: what the server says of itself, what the clients
//! know and what the receiver was given must be one story.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::Value as Json;

use super::load::Ledger;
use super::world::{BOUGHT, CAME, HOOK_EACH, HOOK_ONCE, MAIL_ONCE, ONCE};
use crate::client::Client;
use crate::receiver::Receiver;
use crate::server::Server;

/// How long the last deliveries may take. A first failure waits six seconds at most; an attempt that a
/// kill cut off counts as one, so that a pause may last some minutes.
const SETTLING: Duration = Duration::from_secs(300);
/// Faults that are kept word for word.
const MOST_WORDS: usize = 20;
/// Where a delivery stands whose end is still to come.
const UNDER_WAY: [&str; 3] = ["waiting", "due", "attempting"];

/// What a run found. All is well when [`Findings::faults`] is 0.
#[derive(Debug, Default)]
pub struct Findings {
    /// Kills.
    pub kills: usize,
    /// Ends after SIGTERM.
    pub stops: usize,
    /// How long each start took until it was ready.
    pub starts: Vec<Duration>,
    /// Events whose 2xx arrived.
    pub acknowledged: usize,
    /// Requests that found no server.
    pub unconnected: usize,
    /// Requests that were sent, or begun, and had no answer.
    pub unanswered: usize,
    /// Answers by status, other than 200.
    pub refused: BTreeMap<u16, usize>,
    /// Webhooks received, repetitions included.
    pub calls: usize,
    /// Webhooks received more than once under the same id.
    pub repeated_calls: usize,
    /// Deliveries that reached their end.
    pub ended: usize,
    /// Those of them that are held: mails whose outcome nobody knows.
    pub held: usize,
    /// Acknowledged events that are not there.
    pub lost: usize,
    /// Messages that must be one for a customer, or for an event, and are several; or none.
    pub not_once: usize,
    /// Deliveries without an end.
    pub unfinished: usize,
    /// Everything else that no good run has.
    pub others: usize,
    /// The first faults, in words.
    pub words: Vec<String>,
}

impl Findings {
    /// How many things were not as they must be.
    pub fn faults(&self) -> usize {
        self.lost + self.not_once + self.unfinished + self.others
    }

    /// In one line.
    pub fn figures(&self) -> String {
        let mut starts = self.starts.clone();
        starts.sort_unstable();
        let last = starts.len().saturating_sub(1);
        let at = |share: usize| {
            let start = starts.get(last * share / 100).copied().unwrap_or_default();
            start.as_secs_f64() * 1000.0
        };
        let kills = if self.kills > 0 { format!("{} kills, ", self.kills) } else { String::new() };
        format!(
            "{kills}{} stops, {} events acknowledged: {} lost; {} deliveries ended, {} webhooks \
             received, {} of them again: {} not exactly once, {} without an end, {} held; {} other \
             faults; {} requests cut off and {} without a server, refused {:?}; starts {:.0} ms (median), {:.0} ms (99 %)",
            self.stops,
            self.acknowledged,
            self.lost,
            self.ended,
            self.calls,
            self.repeated_calls,
            self.not_once,
            self.unfinished,
            self.held,
            self.others,
            self.unanswered,
            self.unconnected,
            self.refused,
            at(50),
            at(99),
        )
    }

    pub(super) fn add(&mut self, other: Findings) {
        self.kills += other.kills;
        self.stops += other.stops;
        self.starts.extend(other.starts);
        self.acknowledged += other.acknowledged;
        self.unconnected += other.unconnected;
        self.unanswered += other.unanswered;
        for (status, times) in other.refused {
            *self.refused.entry(status).or_default() += times;
        }
        self.calls += other.calls;
        self.repeated_calls += other.repeated_calls;
        self.ended += other.ended;
        self.held += other.held;
        self.lost += other.lost;
        self.not_once += other.not_once;
        self.unfinished += other.unfinished;
        self.others += other.others;
        for words in other.words {
            self.say(words);
        }
    }

    pub(super) fn stopped(&mut self, status: ExitStatus) {
        self.stops += 1;
        if status.code() != Some(0) {
            self.complain("after SIGTERM", vec![status.to_string()]);
        }
    }

    pub(super) fn complain(&mut self, whose: &str, complaints: Vec<String>) {
        self.others += complaints.len();
        for complaint in complaints {
            self.say(format!("{whose}: {complaint}"));
        }
    }

    fn say(&mut self, words: String) {
        if self.words.len() < MOST_WORDS {
            self.words.push(words);
        }
    }
}

/// Wait until every delivery has an end, then look at everything.
pub(super) fn settle(
    server: &mut Server,
    receiver: &Receiver,
    ledger: &Ledger,
    found: &mut Findings,
) -> anyhow::Result<()> {
    let mut client = server.client()?;
    let deadline = Instant::now() + SETTLING;
    let mut unfinished = Vec::new();
    loop {
        unfinished.clear();
        for state in UNDER_WAY {
            // What is in-app waits for a browser, which never comes here.
            for kind in ["webhook", "email"] {
                unfinished
                    .extend(client.all(&format!("/api/v1/deliveries?state={state}&type={kind}"))?);
            }
        }
        if unfinished.is_empty() || Instant::now() > deadline {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    found.unfinished += unfinished.len();
    unfinished.iter().for_each(|delivery| found.say(format!("without an end: {delivery}")));
    found.acknowledged += ledger.acknowledged.len();
    found.unconnected += ledger.unconnected;
    found.unanswered += ledger.unanswered;
    found.refused.clone_from(&ledger.refused);
    found.complain("a client", ledger.faults.clone());
    let events = lives(&mut client, ledger, found)?;
    once_is_once(&mut client, receiver, &events, found)?;
    each_is_each(&mut client, receiver, &events, found)
}

/// Every event that the server knows: message id → (customer, name, event id).
type Events = BTreeMap<String, (String, String, String)>;

/// Read every customer's life: what was acknowledged is in it, and once.
fn lives(client: &mut Client, ledger: &Ledger, found: &mut Findings) -> anyhow::Result<Events> {
    let mut events = Events::new();
    for customer in client.all("/api/v1/customers")? {
        let user =
            customer.get("user_id").and_then(Json::as_str).context("a customer has a name")?;
        for entry in client.all(&format!("/api/v1/customers/{user}/timeline"))? {
            let text = |pointer: &str| entry.pointer(pointer).and_then(Json::as_str);
            let Some(message) = text("/fact/properties/order") else { continue };
            let name = text("/fact/name").unwrap_or_default().to_owned();
            let id = text("/fact/id").unwrap_or_default().to_owned();
            if events.insert(message.to_owned(), (user.to_owned(), name, id)).is_some() {
                found.not_once += 1;
                found.say(format!("the event {message} happened twice"));
            }
        }
    }
    for (message, (user, name)) in &ledger.acknowledged {
        let known = events.get(message);
        if known.is_none_or(|(whose, what, _)| whose != user || what != name) {
            found.lost += 1;
            found
                .say(format!("acknowledged and lost: {name} {message} of {user}, found {known:?}"));
        }
    }
    Ok(events)
}

/// Each customer who came has one delivery of each `once` outreach, and the receiver got one id.
fn once_is_once(
    client: &mut Client,
    receiver: &Receiver,
    events: &Events,
    found: &mut Findings,
) -> anyhow::Result<()> {
    let came = events.values().filter(|(_, name, _)| name == CAME).map(|(user, _, _)| user);
    let came: BTreeSet<&String> = came.collect();
    let mut names = BTreeMap::new();
    for customer in client.all("/api/v1/customers")? {
        let text =
            |key: &str| customer.get(key).and_then(Json::as_str).unwrap_or_default().to_owned();
        names.insert(text("id"), text("user_id"));
    }
    let mut hooks: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for outreach in ONCE {
        let mut times: BTreeMap<&str, usize> = BTreeMap::new();
        let deliveries = client.all(&format!("/api/v1/deliveries?outreach={outreach}"))?;
        for delivery in &deliveries {
            let text = |key: &str| delivery.get(key).and_then(Json::as_str).unwrap_or_default();
            let user = names.get(text("customer")).map_or("?", String::as_str);
            *times.entry(user).or_default() += 1;
            match (outreach, text("state")) {
                (HOOK_ONCE, "sent") => {
                    hooks.entry(user.to_owned()).or_default().insert(text("id").to_owned());
                    found.ended += 1;
                }
                (MAIL_ONCE, "sent") => found.ended += 1,
                (MAIL_ONCE, "held") => {
                    found.ended += 1;
                    found.held += 1;
                }
                (HOOK_ONCE | MAIL_ONCE, state) => {
                    found.complain("a delivery", vec![format!("{outreach} to {user} is {state}")]);
                }
                _ => {}
            }
        }
        let people: BTreeSet<&str> = times.keys().copied().collect();
        let expected: BTreeSet<&str> = came.iter().map(|user| user.as_str()).collect();
        let wrong = people.symmetric_difference(&expected).count();
        let twice = times.values().filter(|times| **times != 1).count();
        found.not_once += wrong + twice;
        if wrong + twice > 0 {
            found.say(format!("{outreach}: {twice} customers more than once, {wrong} wrong ones"));
        }
    }
    received(receiver, "/once/", &hooks, found);
    Ok(())
}

/// Each purchase has one delivery, and the receiver got it under its id.
fn each_is_each(
    client: &mut Client,
    receiver: &Receiver,
    events: &Events,
    found: &mut Findings,
) -> anyhow::Result<()> {
    let mut by_event: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for delivery in client.all(&format!("/api/v1/deliveries?outreach={HOOK_EACH}"))? {
        let text = |path: &str| delivery.pointer(path).and_then(Json::as_str).unwrap_or_default();
        by_event
            .entry(text("/trigger/event_id").to_owned())
            .or_default()
            .insert(text("/id").to_owned());
        match text("/state") {
            "sent" => found.ended += 1,
            state => found.complain("a delivery", vec![format!("{HOOK_EACH} is {state}")]),
        }
    }
    let mut expected = BTreeMap::new();
    for (message, (_, _, event)) in events.iter().filter(|(_, (_, name, _))| name == BOUGHT) {
        let deliveries = by_event.remove(event).unwrap_or_default();
        if deliveries.len() != 1 {
            found.not_once += 1;
            found.say(format!("the purchase {message} has {} deliveries", deliveries.len()));
        }
        expected.insert(message.clone(), deliveries);
    }
    found.complain("deliveries without an event", by_event.into_keys().collect());
    received(receiver, "/each/", &expected, found);
    found.calls += receiver.count();
    found.repeated_calls += receiver.times_by_id().values().map(|times| times - 1).sum::<usize>();
    Ok(())
}

/// What arrived under a path: the ids that are expected for each, and no others.
fn received(
    receiver: &Receiver,
    path: &str,
    expected: &BTreeMap<String, BTreeSet<String>>,
    found: &mut Findings,
) {
    let mut arrived: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for call in receiver.calls() {
        if let Some(rest) = call.path.strip_prefix(path) {
            arrived.entry(rest.to_owned()).or_default().insert(call.id);
        }
    }
    let whose: BTreeSet<&String> = arrived.keys().chain(expected.keys()).collect();
    for key in whose {
        let (got, wanted) = (arrived.get(key), expected.get(key));
        if got != wanted {
            found.not_once += 1;
            found.say(format!("{path}{key}: received {got:?}, expected {wanted:?}"));
        }
    }
}

/// `tidings check` reads the log from the first record to the last.
pub(super) fn verify_log(server: &Server, found: &mut Findings) -> anyhow::Result<()> {
    let done = server.other_command(&["check"])?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        found.complain("tidings check", vec![said]);
    }
    Ok(())
}
