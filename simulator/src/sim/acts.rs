//! What can be done to the host: send, repeat, crash, and find out what was left.

use std::collections::BTreeMap;

use engine::fact::Names;
use engine::value::Value;
use host::command::{Accepted, Command, Refused, Submission, Track};
use serde_json::json;

use super::World;
use super::books::{Message, Probe, SHOP};
use super::machine::{self, Left};

impl World {
    /// One command, acknowledged or refused.
    pub(super) fn send(&mut self, command: Command) -> Result<Result<Accepted, Refused>, String> {
        let mut answers = self.submit(vec![command])?;
        answers.pop().ok_or_else(|| "a command without an answer".to_owned())
    }

    fn submit(&mut self, commands: Vec<Command>) -> Result<Vec<Result<Accepted, Refused>>, String> {
        let before = self.machine.now();
        let answers = self.machine.host.submit_and_wait(Submission { project: SHOP, commands });
        let answers = answers.map_err(|error| error.to_string())?;
        self.machine.host.wait_idle();
        self.books.probes.push(Probe::Time { before, after: self.machine.now() });
        Ok(answers)
    }

    /// What clients send together. Now and then the process dies before it could answer; then
    /// they send it again, and the answers tell what was already there.
    pub(super) fn clients(&mut self, messages: Vec<Message>) -> Result<(), String> {
        let told: Vec<String> = messages.iter().map(in_words).collect();
        self.tell(&format!("clients send {}", told.join(", ")));
        let commands = || messages.iter().map(command).collect();
        if !self.dies() {
            let answers = self.submit(commands())?;
            let now = self.machine.now();
            for (message, answer) in messages.into_iter().zip(answers) {
                match answer {
                    Ok(accepted) if accepted.duplicate => {
                        self.broken("a-new-id-is-no-duplicate", message.id);
                    }
                    Ok(_) => self.books.keep(message, now),
                    Err(refused) => self.broken("the-world-goes-on", refused.to_string()),
                }
                self.figures.messages += 1;
            }
            return Ok(());
        }
        let then = self.machine.now();
        self.crash_during(commands())?;
        let mut found = Vec::new();
        for message in messages {
            match self.send(command(&message))? {
                Ok(accepted) => {
                    found.push(accepted.duplicate);
                    let now = if accepted.duplicate { then } else { self.machine.now() };
                    self.books.keep(message, now);
                }
                Err(refused) => self.broken("the-world-goes-on", refused.to_string()),
            }
            self.figures.messages += 1;
        }
        self.tell(&format!("found again after the crash: {found:?}"));
        self.books.probes.push(Probe::Group { found });
        self.look_at_the_gone();
        Ok(())
    }

    /// A message that was acknowledged comes again.
    pub(super) fn repeat(&mut self) -> Result<(), String> {
        if self.books.kept.is_empty() {
            return Ok(());
        }
        let message = self.dice.pick(&self.books.kept).message.clone();
        self.tell(&format!("again {}", in_words(&message)));
        let before = self.machine.host.position();
        let answer = self.send(command(&message))?;
        let duplicate = answer.is_ok_and(|accepted| accepted.duplicate);
        let wrote = self.machine.host.position() != before;
        self.books.probes.push(Probe::Repeated { message: message.id, duplicate, wrote });
        Ok(())
    }

    /// The process dies while it does nothing.
    pub(super) fn crash(&mut self) -> Result<(), String> {
        self.figures.crashes += 1;
        let with_store = self.dice.chance(60);
        self.tell(if with_store { "crash" } else { "crash, and the state is lost" });
        let image = self.machine.image(with_store)?;
        if self.dice.chance(30) {
            self.compare()?;
        }
        self.machine.resume(&image)?;
        self.aside.clear();
        self.look_at_the_gone();
        Ok(())
    }

    /// The state that a start finds, and the one that it makes from the log alone.
    pub(super) fn compare(&mut self) -> Result<(), String> {
        let attempting = self.machine.host.state_hash().map_err(told)?;
        let (with, without) = (self.machine.image(true)?, self.machine.image(false)?);
        let position = self.machine.host.position();
        self.machine.resume(&with)?;
        let found = (self.machine.host.state_hash().map_err(told)?, self.machine.host.position());
        self.machine.resume(&without)?;
        let made = (self.machine.host.state_hash().map_err(told)?, self.machine.host.position());
        let probe = |same, what| Probe::Reopened { same, what };
        self.books.probes.push(probe(found == made, "from the state and from the log alone"));
        // Attempts under way are settled by the start, which writes.
        if found.1 == position {
            let same = found.0 == attempting;
            self.books.probes.push(probe(same, "before and after a start"));
        }
        self.aside.clear();
        Ok(())
    }

    /// The process dies while it makes these commands durable; nobody gets an answer.
    pub(super) fn crash_during(&mut self, commands: Vec<Command>) -> Result<(), String> {
        self.figures.crashes += 1;
        let with_store = self.dice.chance(60);
        let before = self.machine.image(with_store)?;
        let submission = Submission { project: SHOP, commands };
        let unheard = self.machine.host.submit_and_wait(submission);
        unheard.map_err(|error| error.to_string())?;
        self.machine.host.wait_idle();
        let after = self.machine.image(false)?;
        let left = match self.dice.below(6) {
            0 => Left::Nothing,
            1 => Left::Everything,
            2..=4 => Left::Beginning(self.dice.below(1_001)),
            _ => Left::Sectors(self.dice.roll()),
        };
        self.tell(&format!("crash in the middle of a commit: {left:?}, state {with_store}"));
        let log = machine::interrupted(&before.log, &after.log, left);
        self.machine.resume(&machine::Image { log, store: before.store })?;
        self.aside.clear();
        Ok(())
    }

    /// Whoever was erased is still gone, whatever the start read.
    pub(super) fn look_at_the_gone(&mut self) {
        let erased: Vec<_> = self.books.erasures.iter().flat_map(|(who, _)| who.clone()).collect();
        for who in erased {
            if self.books.is_known(&who) {
                continue;
            }
            let found = super::eyes::traces_of(&self.machine.host, &who);
            self.books.probes.push(Probe::Erased { who, found });
        }
    }

    /// A new message id.
    pub(super) fn message_id(&mut self) -> String {
        self.messages += 1;
        format!("message-{}", self.messages)
    }
}

/// An error of a query, in words.
pub(super) fn told(error: host::query::QueryError) -> String {
    error.to_string()
}

fn in_words(message: &Message) -> String {
    let who = [&message.user, &message.guest].map(|name| name.as_deref().unwrap_or("-"));
    let what = message.event.unwrap_or("(attributes)");
    format!("{} {what} of {} {:?}", message.id, who.join("/"), message.changes)
}

fn command(message: &Message) -> Command {
    let names = Names { user_id: message.user.clone(), anonymous_id: message.guest.clone() };
    let changes: BTreeMap<String, Option<Value>> = message
        .changes
        .iter()
        .map(|(key, value)| (key.clone(), Some(Value::Text(value.clone()))))
        .collect();
    let (message_id, historical) = (message.id.clone(), message.historical);
    match message.event {
        None => Command::Identify { names, message_id, changes, historical },
        Some(event) => Command::Track(Track {
            names,
            message_id,
            name: event.to_owned(),
            at: machine::stamp(message.at),
            properties: properties(message.order),
            changes,
            historical,
            page: None,
        }),
    }
}

/// What an event of an order says.
pub(super) fn properties(order: Option<u64>) -> String {
    match order {
        Some(order) => json!({"order": order}).to_string(),
        None => "{}".to_owned(),
    }
}
