//! A receiver of webhooks that writes down what it is given and answers as it is told: well, with
//! an error, slowly, or by hanging up after it has read everything.

use std::collections::BTreeMap;
use std::io::{BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value as Json;

use crate::client::{read_exactly, read_headers, read_line};

/// How a call is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// With this status.
    Status(u16),
    /// With 200, after a while.
    Slowly(Duration),
    /// Not at all: the connection ends after the call was read, and the sender cannot know.
    HangUp,
}

/// One call that was read to its end.
#[derive(Clone, Debug)]
pub struct Call {
    /// The header `webhook-id`, by which a receiver drops repetitions.
    pub id: String,
    /// The path of the address.
    pub path: String,
    /// The body.
    pub body: Vec<u8>,
    /// What was answered.
    pub answer: Answer,
}

impl Call {
    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap_or(Json::Null)
    }
}

/// Which answer a call gets: by its id and path, and its number from 0.
pub type Schedule = Box<dyn FnMut(&str, &str, usize) -> Answer + Send>;

/// A receiver on a port of its own. It ends with the process.
#[derive(Clone)]
pub struct Receiver {
    base: String,
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    calls: Vec<Call>,
    schedule: Schedule,
}

impl std::fmt::Debug for Receiver {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Receiver").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Receiver {
    /// One that answers 200.
    ///
    /// # Errors
    /// No port is free.
    pub fn start() -> anyhow::Result<Receiver> {
        let listener = TcpListener::bind("127.0.0.1:0").context("a port for the receiver")?;
        let base = format!("http://{}", listener.local_addr()?);
        let inner = Inner { calls: Vec::new(), schedule: Box::new(|_, _, _| Answer::Status(200)) };
        let receiver = Receiver { base, inner: Arc::new(Mutex::new(inner)) };
        let accepting = receiver.clone();
        std::thread::Builder::new().name("receiver".to_owned()).spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let serving = accepting.clone();
                let started = std::thread::Builder::new()
                    .name("receiver call".to_owned())
                    .spawn(move || while_open(&serving, stream));
                if started.is_err() {
                    return;
                }
            }
        })?;
        Ok(receiver)
    }

    /// An address of the receiver; `path` begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Answer by this schedule from now on.
    pub fn answer_by(&self, schedule: Schedule) {
        self.lock().schedule = schedule;
    }

    /// Answer 200 from now on.
    pub fn be_well(&self) {
        self.answer_by(Box::new(|_, _, _| Answer::Status(200)));
    }

    /// How many calls there were, repetitions included.
    pub fn count(&self) -> usize {
        self.lock().calls.len()
    }

    /// Every call, in order.
    pub fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    /// How often each `webhook-id` came.
    pub fn times_by_id(&self) -> BTreeMap<String, usize> {
        let mut times = BTreeMap::new();
        for call in &self.lock().calls {
            *times.entry(call.id.clone()).or_default() += 1;
        }
        times
    }

    /// Forget the calls, so that long runs do not pile them up.
    pub fn forget(&self) {
        self.lock().calls = Vec::new();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serve one connection until one of the sides has had enough.
fn while_open(receiver: &Receiver, stream: TcpStream) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let mut connection = BufReader::new(stream);
    // The other side may be killed at any moment; half a call is no call.
    while let Ok((id, path, body)) = read_call(&mut connection) {
        let answer = {
            let mut inner = receiver.lock();
            let number = inner.calls.len();
            let answer = (inner.schedule)(&id, &path, number);
            inner.calls.push(Call { id, path, body, answer });
            answer
        };
        let status = match answer {
            Answer::Status(status) => status,
            Answer::Slowly(pause) => {
                std::thread::sleep(pause);
                200
            }
            Answer::HangUp => return,
        };
        let head = format!("HTTP/1.1 {status} As told\r\ncontent-length: 0\r\n\r\n");
        if connection.get_mut().write_all(head.as_bytes()).is_err() {
            return;
        }
    }
}

fn read_call(from: &mut BufReader<TcpStream>) -> anyhow::Result<(String, String, Vec<u8>)> {
    let line = read_line(from)?;
    let path = line.split(' ').nth(1).context("no path")?.to_owned();
    let headers = read_headers(from)?;
    let find = |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value);
    let mut body = Vec::new();
    if let Some(length) = find("content-length") {
        read_exactly(from, length.parse()?, &mut body)?;
    }
    Ok((find("webhook-id").cloned().unwrap_or_default(), path, body))
}
