//! The plain cases of the contract, one sentence each, with answers written by hand.
//!
//! The model checks the engine; these check the model. Each test reads like the sentence it
//! stands for, so that a person can tell whether it is right.

#![expect(clippy::needless_pass_by_value, reason = "JSON literals read better as they are")]

mod audience;
mod frequency;
mod guardrails;
mod identity;
mod operators;
mod property_trigger;
mod time;
mod trigger;

use engine::outreach::definition::Definition;
use engine::project::{Settings, Status};
use jiff::tz::TimeZone;
use serde_json::{Value as Json, json};

use super::clock::{self, Ms};
use super::verdict::{Outcome, Verdict};
use super::{Input, Model, Names, ReceiptKind};

/// A project in which little happens.
struct Story {
    model: Model,
    messages: u32,
}

/// The moment of an RFC 3339 text.
fn ms(text: &str) -> Ms {
    clock::read(text, &TimeZone::UTC).expect("a moment").start(&TimeZone::UTC)
}

/// An outreach by webhook with these fields, on the event `order` unless said otherwise.
fn rule(fields: Json) -> Definition {
    let mut whole = json!({
        "name": "A rule",
        "trigger": { "kind": "event", "event": "order" },
        "frequency": { "kind": "every_time" },
        "content": { "kind": "webhook", "url": "https://hooks.example.com/in" },
    });
    for (key, value) in fields.as_object().expect("an object") {
        whole[key] = value.clone();
    }
    serde_json::from_value(whole).expect("a definition")
}

fn email() -> Json {
    json!({ "kind": "email", "subject": "Hello", "text": "Hello" })
}

impl Story {
    fn new() -> Story {
        Story::with(Settings::default())
    }

    fn with(settings: Settings) -> Story {
        Story { model: Model::new(settings), messages: 0 }
    }

    /// An outreach that is live from the beginning of June 2026.
    fn live(mut self, id: &str, fields: Json) -> Story {
        self.model.save_outreach(id, rule(fields));
        self.model.set_status(id, Status::Live, ms("2026-06-01T00:00:00Z"));
        self
    }

    fn segment(mut self, id: &str, filter: Json) -> Story {
        self.model.save_segment(id, serde_json::from_value(filter).expect("a condition"));
        self
    }

    fn status(&mut self, at: &str, id: &str, status: Status) -> Vec<String> {
        said(&self.model.set_status(id, status, ms(at)))
    }

    fn accept(&mut self, at: &str, input: Input) -> Vec<String> {
        said(&self.model.accept(ms(at), input))
    }

    fn message_id(&mut self) -> String {
        self.messages += 1;
        format!("m{}", self.messages)
    }

    /// An event that happens when it is accepted.
    fn track(&mut self, at: &str, user: &str, name: &str, properties: Json) -> Vec<String> {
        self.track_late(at, at, user, name, properties)
    }

    /// An event that happened at another time than it was accepted.
    fn track_late(
        &mut self,
        accepted: &str,
        at: &str,
        user: &str,
        name: &str,
        properties: Json,
    ) -> Vec<String> {
        let message_id = self.message_id();
        let input = Input::Track {
            names: known(user),
            message_id,
            name: name.to_owned(),
            at: ms(at),
            properties,
            historical: false,
        };
        self.accept(accepted, input)
    }

    fn identify(&mut self, at: &str, user: &str, changes: Json) -> Vec<String> {
        self.identify_as(at, known(user), changes)
    }

    fn identify_as(&mut self, at: &str, names: Names, changes: Json) -> Vec<String> {
        let message_id = self.message_id();
        self.accept(at, Input::Identify { names, message_id, changes, historical: false })
    }

    fn receipt(&mut self, at: &str, user: &str, outreach: &str, kind: ReceiptKind) -> Vec<String> {
        let message_id = self.message_id();
        let outreach = outreach.to_owned();
        self.accept(
            at,
            Input::Receipt { names: known(user), message_id, outreach, kind, at: ms(at) },
        )
    }

    fn consent(&mut self, at: &str, user: &str, channel: &str, topic: &str, allowed: bool) {
        let (channel, topic) = (channel.to_owned(), topic.to_owned());
        self.accept(at, Input::Consent { names: known(user), channel, topic, allowed });
    }

    fn wait(&mut self, until: &str) -> Vec<String> {
        said(&self.model.advance(ms(until)))
    }
}

fn known(user: &str) -> Names {
    Names { user_id: Some(user.to_owned()), anonymous_id: None }
}

fn guest(browser: &str) -> Names {
    Names { user_id: None, anonymous_id: Some(browser.to_owned()) }
}

fn both(user: &str, browser: &str) -> Names {
    Names { user_id: Some(user.to_owned()), anonymous_id: Some(browser.to_owned()) }
}

/// Verdicts in words.
fn said(verdicts: &[Verdict]) -> Vec<String> {
    let mut lines = Vec::new();
    for verdict in verdicts {
        let at = |due_at: Ms| {
            if due_at == verdict.at {
                String::new()
            } else {
                format!(" at {}", clock::write(due_at))
            }
        };
        let words = match verdict.outcome {
            Outcome::Send { due_at, waiting: true } => format!("waits{}", at(due_at)),
            Outcome::Send { due_at, waiting: false } => format!("send{}", at(due_at)),
            Outcome::Due { due_at } => format!("due{}", at(due_at)),
            Outcome::Skip(skip) => skip.code().to_owned(),
            Outcome::Cancelled(skip) => format!("cancelled {}", skip.code()),
            Outcome::Expired => "expired".to_owned(),
        };
        lines.push(format!("{}: {words}", verdict.outreach));
    }
    lines
}
