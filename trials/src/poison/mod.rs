//! Poison: everything hostile that we can think of, thrown at every entry of a running server.
//!
//! Each piece must be refused with words that help, or taken without harm; never answered by 5xx,
//! never the end of the process. After each piece a canary sings: an event of a new customer is
//! accepted, and its outreach arrives.

mod data;
mod definitions;
mod wire;

use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::client::{Client, Response, event};
use crate::receiver::Receiver;
use crate::server::{PATIENCE, Plan, Server};

/// Faults that are kept word for word.
const MOST_WORDS: usize = 40;
/// Slow clients that are open while everything else happens.
const SLOW_CLIENTS: usize = 50;
/// As much of a piece as is shown.
const SHOWN: usize = 200;

/// One piece.
pub(crate) struct Piece {
    /// What it is, for the report.
    name: String,
    /// The request, whole.
    bytes: Vec<u8>,
    /// The answer may come from below our own code: from the part that reads the head.
    is_about_the_head: bool,
    /// Whether something may be saved by it, such as an outreach that then must not do harm.
    saves: Option<Saved>,
}

/// What came into being, if the piece was taken.
pub(crate) struct Saved {
    outreach: String,
    event: String,
}

/// What a run found.
#[derive(Debug, Default)]
pub struct Findings {
    /// Pieces thrown.
    pub pieces: usize,
    /// Pieces that were refused, with words.
    pub refused: usize,
    /// Pieces that were taken.
    pub taken: usize,
    /// Hostile outreaches that went live and were triggered.
    pub live: usize,
    /// Canaries that sang.
    pub canaries: usize,
    /// What was not as it must be.
    pub faults: usize,
    /// The first faults, in words.
    pub words: Vec<String>,
}

impl Findings {
    /// In one line.
    pub fn figures(&self) -> String {
        format!(
            "{} hostile pieces: {} refused with words, {} taken without harm, {} outreaches of them \
             live; {} canaries sang; {} faults",
            self.pieces, self.refused, self.taken, self.live, self.canaries, self.faults
        )
    }

    fn fault(&mut self, words: String) {
        self.faults += 1;
        if self.words.len() < MOST_WORDS {
            self.words.push(words);
        }
    }
}

/// Throw everything once.
///
/// # Errors
/// The server does not start, or has ended.
pub fn run(scratch: &Path) -> anyhow::Result<Findings> {
    let receiver = Receiver::start()?;
    let plan = Plan::new(scratch.join("data"))?.with_webhooks();
    let mut server = Server::start(plan)?;
    let canary = json!({
        "name": "Canary",
        "trigger": {"kind": "event", "event": "sang"},
        "content": {"kind": "webhook", "url": receiver.url("/{{ customer.user_id }}")},
    });
    server.client()?.go_live("canary", &canary)?;
    let mut found = Findings::default();
    let slow = slow_clients(&server)?;
    let target =
        Target { address: server.address()?.to_string(), key: server.keys()?.secret.clone() };
    let mut pieces = data::pieces(&target);
    pieces.extend(definitions::pieces(&target, &receiver));
    pieces.extend(wire::pieces(&target));
    let mut singer = Client::new(server.address()?).with_key(&server.keys()?.public);
    for piece in &pieces {
        found.pieces += 1;
        throw(&server, piece, &mut found)?;
        if let Some(saved) = &piece.saves {
            try_live(&mut server.client()?, saved, piece, &mut found)?;
        }
        anyhow::ensure!(server.is_alive()?, "{} ended the server", piece.name);
        sing(&mut singer, &receiver, found.pieces, &piece.name, &mut found)?;
    }
    drop(slow);
    for complaint in server.complaints() {
        found.fault(format!("the server's log: {complaint}"));
    }
    anyhow::ensure!(server.terminate()?.success(), "the server did not end well");
    server.start_again()?;
    sing(&mut server.client()?, &receiver, found.pieces + 1, "a new start", &mut found)?;
    anyhow::ensure!(server.terminate()?.success(), "the server did not end well");
    std::fs::remove_dir_all(server.data())?;
    Ok(found)
}

/// How requests are made.
pub(crate) struct Target {
    address: String,
    key: String,
}

impl Target {
    fn request(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
        let (address, key, length) = (&self.address, &self.key, body.len());
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\n\
             content-type: application/json\r\n{headers}content-length: {length}\r\n\r\n"
        );
        [head.as_bytes(), body].concat()
    }
}

fn throw(server: &Server, piece: &Piece, found: &mut Findings) -> anyhow::Result<()> {
    // A connection of its own, since some pieces leave it in no state for another.
    let mut client = Client::new(server.address()?);
    let response = match client.send_raw(&piece.bytes) {
        Ok(response) => response,
        // Whoever sends no request may get no answer.
        Err(_) if piece.is_about_the_head => {
            found.refused += 1;
            return Ok(());
        }
        Err(error) => {
            found.fault(format!("{}: no answer: {error:#}", piece.name));
            return Ok(());
        }
    };
    match response.status {
        200..=299 => {
            found.taken += 1;
            // A batch lists what it refuses.
            let answer = response.json();
            let errors = answer.get("errors").and_then(Json::as_array).cloned().unwrap_or_default();
            for error in errors {
                let text = |key: &str| error.get(key).and_then(Json::as_str).unwrap_or_default();
                if text("code").is_empty() || text("message").is_empty() {
                    found.fault(format!("{}: an error without words: {error}", piece.name));
                }
            }
        }
        400..=499 if piece.is_about_the_head => found.refused += 1,
        400..=499 => match lacks(&response) {
            None => found.refused += 1,
            Some(what) => found.fault(format!(
                "{}: {} lacks {what}: {}",
                piece.name,
                response.status,
                short(&response.text())
            )),
        },
        status => {
            found.fault(format!("{}: {status} {}", piece.name, short(&response.text())));
        }
    }
    Ok(())
}

/// What a refusal lacks to be of help: a code with its page, a sentence, and the place where a
/// place in a readable body is at fault.
fn lacks(response: &Response) -> Option<&'static str> {
    let kind = response.header("content-type").unwrap_or_default();
    if !kind.starts_with("application/problem+json") {
        return Some("problem details");
    }
    let answer = response.json();
    let text = |key: &str| answer.get(key).and_then(Json::as_str).unwrap_or_default();
    if text("code").is_empty() || !text("type").ends_with(text("code")) {
        return Some("its code");
    }
    if text("detail").len() < 10 {
        return Some("a sentence");
    }
    let has_place = |problem: &Json| problem.get("pointer").is_some_and(Json::is_string);
    let problems = answer.get("problems").and_then(Json::as_array).cloned().unwrap_or_default();
    let needs_place = matches!(
        text("code"),
        "definition_problems" | "nul_character" | "invalid_timestamp" | "id_too_long" | "invalid"
    );
    if needs_place && (problems.is_empty() || !problems.iter().all(has_place)) {
        return Some("the place");
    }
    None
}

/// A hostile outreach that could be saved goes live if it can, and is triggered.
fn try_live(
    client: &mut Client,
    saved: &Saved,
    piece: &Piece,
    found: &mut Findings,
) -> anyhow::Result<()> {
    let path = format!("/api/v1/outreaches/{}", saved.outreach);
    if client.get(&path)?.status != 200 {
        return Ok(());
    }
    let answer = client.post(&format!("{path}/go-live"), &Json::Null)?;
    match answer.status {
        200 => found.live += 1,
        400..=499 if lacks(&answer).is_none() => return Ok(()),
        status => {
            let words = short(&answer.text());
            found.fault(format!("{}: going live: {status} {words}", piece.name));
            return Ok(());
        }
    }
    let identity = json!({"type": "identify", "userId": "victim",
        "traits": {"email": "victim@example.com", "name": "<b>\r\nBcc: x@example.com", "plan": "aaaa"}});
    let properties = json!({"a": "a".repeat(1_000), "list": [1, 2, 3], "total": 1e300});
    let message = format!("trigger-{}", saved.outreach);
    let items = [identity, event(&message, "victim", &saved.event, &properties)];
    let fired = client.batch(&items)?;
    if fired.status != 200 {
        let words = short(&fired.text());
        found.fault(format!("{}: its event: {} {words}", piece.name, fired.status));
    }
    let begin = Instant::now();
    // Rendered for the hand-over, and for a browser; neither may take the server along.
    loop {
        let due = client
            .all(&format!("/api/v1/deliveries?outreach={}&state=due&type=email", saved.outreach))?;
        if due.is_empty() {
            break;
        }
        if begin.elapsed() > PATIENCE {
            found.fault(format!("{}: its delivery does not end", piece.name));
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let inbox = client.get("/v1/inbox?userId=victim")?;
    if inbox.status != 200 {
        let words = short(&inbox.text());
        found.fault(format!("{}: the inbox: {} {words}", piece.name, inbox.status));
    }
    // It must not be there for the pieces that follow.
    client.post_json(&format!("{path}/end"), &Json::Null)?;
    Ok(())
}

fn sing(
    client: &mut Client,
    receiver: &Receiver,
    number: usize,
    after: &str,
    found: &mut Findings,
) -> anyhow::Result<()> {
    let user = format!("canary-{number}");
    let sent = client.batch(&[event(&user, &user, "sang", &json!({}))])?;
    if sent.status != 200 || sent.json().get("accepted").and_then(Json::as_u64) != Some(1) {
        found.fault(format!("after {after}: {} {}", sent.status, short(&sent.text())));
        return Ok(());
    }
    let begin = Instant::now();
    let path = format!("/{user}");
    while !receiver.calls().iter().any(|call| call.path == path) {
        if begin.elapsed() > PATIENCE {
            found.fault(format!("after {after}: the canary is silent"));
            return Ok(());
        }
        std::thread::sleep(Duration::from_micros(500));
    }
    receiver.forget();
    found.canaries += 1;
    Ok(())
}

/// Clients that began a request and do not go on.
fn slow_clients(server: &Server) -> anyhow::Result<Vec<TcpStream>> {
    let mut open = Vec::new();
    let key = &server.keys()?.public;
    for number in 0..SLOW_CLIENTS {
        let mut stream = TcpStream::connect(server.address()?)?;
        let whole = format!(
            "POST /v1/track HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\
             content-length: 1000\r\n\r\n{{\"userId\":"
        );
        let part = whole.len() * (number + 1) / SLOW_CLIENTS;
        stream.write_all(whole.as_bytes().get(..part).unwrap_or_default())?;
        open.push(stream);
    }
    Ok(open)
}

fn short(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}
