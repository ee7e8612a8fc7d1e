//! What happens in a world, step by step, and how it ends.

use std::collections::BTreeMap;

use engine::apply::next_moment;
use engine::delivery::DeliveryState;
use engine::fact::Settlement;
use engine::ids::DeliveryId;
use engine::project::{ProjectChange, Status};
use host::command::Command;
use host::query::deliveries::DeliveryFilter;

use super::World;
use super::acts::told;
use super::books::{Done, Launch, Line, Message, Name, Probe, SHOP, Standing};
use super::eyes::Eyes;
use super::rules::{self, DAY, HOUR, MINUTE, When};
use crate::model::clock::Ms;

const YEAR: Ms = 365 * DAY;
const PEOPLE: [&str; 3] = ["anna", "ben", "cleo"];
const ZONES: [&str; 4] = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"];

impl World {
    /// All of it; the answer is what the host shows at the end.
    pub(super) fn live(&mut self) -> Result<Eyes, String> {
        self.begin()?;
        let steps = 30 + self.dice.below(50);
        let jump = self.dice.chance(30).then(|| self.dice.below(steps));
        let truth = self.dice.chance(60).then(|| self.dice.below(steps));
        let mut skew = 0;
        for step in 0..steps {
            if jump == Some(step) {
                let by = Ms::try_from(self.dice.below(10)).unwrap_or(0) - 5;
                skew = by * YEAR + by * HOUR;
                self.jump(skew);
            }
            if truth == Some(step) && skew != 0 {
                self.jump(-skew);
                skew = 0;
            }
            self.step()?;
            self.pass_time();
            if self.dice.chance(80) {
                self.deliver()?;
                self.post()?;
            }
        }
        if skew < 0 {
            self.jump(-skew);
        }
        self.end()?;
        let eyes = Eyes::at_rest(self)?;
        for fault in super::checks::all(&self.books, &eyes) {
            self.broken(fault.check, fault.what);
        }
        Ok(eyes)
    }

    fn begin(&mut self) -> Result<(), String> {
        self.change(ProjectChange::Created { id: "shop".to_owned() })?;
        for (id, rule) in rules::outreaches(&mut self.dice) {
            self.save(&id, &rule)?;
            let standing = Standing { status: Status::Draft, version: None, live_since: 0 };
            self.books.lines.insert(id.clone(), Line { rules: vec![rule], standing });
            if self.dice.chance(80) {
                self.status(&id, Status::Live)?;
            }
        }
        for person in PEOPLE {
            let mut message = self.message(Some(person), None);
            let zone = self.dice.one(&ZONES);
            let mut write = |key: &str, value: String| message.changes.insert(key.into(), value);
            write("timezone", zone.to_owned());
            write("email", format!("{person}@example.com"));
            write("phone", format!("+49 {person}"));
            write("push_token", format!("token of {person}"));
            self.clients(vec![message])?;
        }
        Ok(())
    }

    fn step(&mut self) -> Result<(), String> {
        match self.dice.below(100) {
            0..=51 => {
                let messages = (0..=self.dice.below(3)).map(|_| self.any_message()).collect();
                self.clients(messages)
            }
            52..=57 => self.repeat(),
            58..=67 => self.browse(),
            68..=71 => self.consent(),
            72..=77 => self.operate(),
            78..=86 => self.team(),
            87 | 88 => self.erase(),
            89 => self.allow_again(),
            90 | 91 => {
                self.machine.host.checkpoint();
                Ok(())
            }
            92 | 93 => {
                let now = self.machine.now();
                self.receivers.fail(&mut self.dice, now);
                Ok(())
            }
            94 if self.deadly > 0 => self.crash(),
            _ => Ok(()),
        }
    }

    fn pass_time(&mut self) {
        let by = match self.dice.below(20) {
            0..=6 => 0,
            7..=13 => Ms::try_from(self.dice.below(20)).unwrap_or(0) * MINUTE + 1,
            14..=18 => Ms::try_from(self.dice.below(9)).unwrap_or(0) * HOUR,
            _ => DAY,
        };
        if by > 0 {
            self.machine.set_clock(self.machine.wall() + by);
        }
    }

    fn jump(&mut self, by: Ms) {
        let before = self.machine.now();
        self.machine.set_clock(self.machine.wall() + by);
        self.tell(&format!("the clock jumps by {} h", by / HOUR));
        self.books.probes.push(Probe::Time { before, after: self.machine.now() });
    }

    fn message(&mut self, user: Option<&str>, guest: Option<String>) -> Message {
        Message {
            id: self.message_id(),
            user: user.map(str::to_owned),
            guest,
            event: None,
            at: self.machine.now(),
            order: None,
            changes: BTreeMap::new(),
            historical: false,
        }
    }

    fn any_message(&mut self) -> Message {
        let person = self.dice.one(&PEOPLE);
        let browser = format!("{person}-browser-{}", self.dice.below(2));
        let mut message = match self.dice.below(10) {
            0..=2 => self.message(None, Some(browser)),
            3 => self.message(Some(person), Some(browser)),
            _ => self.message(Some(person), None),
        };
        if self.dice.chance(85) {
            message.event = Some(self.dice.one(&rules::EVENTS));
            message.order = self.dice.chance(80).then(|| self.dice.below(4));
            message.at -= match self.dice.below(20) {
                0 => 80 * HOUR,
                1 => HOUR,
                2 => -HOUR,
                _ => 0,
            };
            message.historical = self.dice.chance(4);
        }
        if message.event.is_none() || self.dice.chance(20) {
            let plan = self.dice.one(&["pro", "free"]).to_owned();
            message.changes.insert("plan".to_owned(), plan);
            if message.user.is_none() && self.dice.chance(50) {
                let address = format!("{}@example.com", message.guest.clone().unwrap_or_default());
                message.changes.insert("email".to_owned(), address);
            }
        }
        message
    }

    pub(super) fn somebody(&mut self) -> Option<Name> {
        let people: Vec<Name> = self.books.people().into_iter().collect();
        (!people.is_empty()).then(|| self.dice.one(&people))
    }

    fn consent(&mut self) -> Result<(), String> {
        let Some(home) = self.somebody() else { return Ok(()) };
        let (channel, allowed) = (self.dice.one(&["email", "push", "sms"]), self.dice.chance(50));
        self.tell(&format!("{} says {allowed} to {channel}", home.text()));
        let command = Command::Consent {
            customer: home.id(),
            channel: channel.to_owned(),
            topic: String::new(),
            allowed,
        };
        if let Err(refused) = self.send(command)? {
            self.broken("the-world-goes-on", refused.to_string());
        }
        self.books.next();
        let now = self.machine.now();
        let answers = self.books.consent.entry(home).or_default();
        answers.insert(channel.to_owned(), (now, allowed));
        Ok(())
    }

    fn erase(&mut self) -> Result<(), String> {
        let Some(home) = self.somebody() else { return Ok(()) };
        self.tell(&format!("{} is erased", home.text()));
        if let Err(refused) = self.send(Command::Erase { customer: home.id() })? {
            self.broken("the-world-goes-on", refused.to_string());
        }
        self.books.erase(&home);
        self.look_at_the_gone();
        Ok(())
    }

    fn allow_again(&mut self) -> Result<(), String> {
        let Some(home) = self.somebody() else { return Ok(()) };
        let outreach = self.outreach();
        self.tell(&format!("{outreach} is allowed again for {}", home.text()));
        let customer = home.id();
        let done = self.send(Command::AllowAgain { customer, outreach: outreach.clone() })?;
        if done.is_ok() {
            let turn = self.books.next();
            self.books.allowed_again.push((home, outreach, turn));
        }
        Ok(())
    }

    /// An operator looks at what is stuck, or stops something.
    fn operate(&mut self) -> Result<(), String> {
        let all = self.machine.host.deliveries(SHOP, &DeliveryFilter::default(), None, 1_000);
        let rows = all.map_err(told)?.items;
        let stuck = |state: &DeliveryState| {
            matches!(
                state,
                DeliveryState::Held
                    | DeliveryState::Failed
                    | DeliveryState::Waiting
                    | DeliveryState::Due
            )
        };
        let rows: Vec<_> = rows.into_iter().filter(|row| stuck(&row.delivery.state)).collect();
        if rows.is_empty() {
            return Ok(());
        }
        let row = self.dice.one(&rows);
        let by = match row.delivery.state {
            DeliveryState::Held => {
                self.dice.one(&[Settlement::Retry, Settlement::Sent, Settlement::Cancelled])
            }
            DeliveryState::Failed => Settlement::Retry,
            _ => Settlement::Cancelled,
        };
        self.settle(row.delivery.id, by)
    }

    pub(super) fn settle(&mut self, delivery: DeliveryId, by: Settlement) -> Result<(), String> {
        self.tell(&format!("an operator says {by:?} to {delivery}"));
        if self.send(Command::Settle { delivery, by })?.is_err() {
            return Ok(());
        }
        let row = self.machine.host.delivery(SHOP, delivery).map_err(told)?;
        let state = row.map(|row| row.delivery.state);
        let done = match by {
            Settlement::Retry => state == Some(DeliveryState::Due),
            Settlement::Sent => state == Some(DeliveryState::Sent),
            Settlement::Cancelled => state == Some(DeliveryState::Cancelled),
        };
        if done {
            let (turn, at) = (self.books.next(), self.machine.now());
            self.books.settled.push(Done { delivery, what: by, at, turn });
        }
        Ok(())
    }

    fn outreach(&mut self) -> String {
        let ids: Vec<String> = self.books.lines.keys().cloned().collect();
        self.dice.one(&ids)
    }

    fn team(&mut self) -> Result<(), String> {
        let id = self.outreach();
        let latest = self.books.lines.get(&id).and_then(|line| line.rules.last().cloned());
        let Some(rule) = latest else { return Ok(()) };
        match self.dice.below(12) {
            0..=2 if rule.when == When::Launch => self.launch(&id)?,
            0 => self.status(&id, Status::Shadow)?,
            1 | 2 => self.status(&id, Status::Paused)?,
            3 | 4 => self.status(&id, Status::Paused)?,
            5 if self.dice.chance(30) => {
                self.tell(&format!("{id} is archived"));
                if self.change(ProjectChange::Archived { id: id.clone() })?
                    && let Some(line) = self.books.lines.get_mut(&id)
                {
                    line.standing.status = Status::Ended;
                }
            }
            5..=7 => {
                let rule = rules::edited(&mut self.dice, &rule);
                self.tell(&format!("{id} is edited"));
                self.save(&id, &rule)?;
                if let Some(line) = self.books.lines.get_mut(&id) {
                    line.rules.push(rule);
                }
                if self.dice.chance(60) {
                    self.status(&id, Status::Live)?;
                }
            }
            _ => self.status(&id, Status::Live)?,
        }
        self.review();
        Ok(())
    }

    fn save(&mut self, id: &str, rule: &rules::Rule) -> Result<(), String> {
        let definition = rule.definition().to_string();
        let (id, author) = (id.to_owned(), "the team".to_owned());
        self.change(ProjectChange::OutreachSaved { id, definition, author }).map(|_| ())
    }

    fn change(&mut self, change: ProjectChange) -> Result<bool, String> {
        let done = self.send(Command::Change(change))?;
        self.books.next();
        Ok(done.is_ok())
    }

    pub(super) fn status(&mut self, id: &str, status: Status) -> Result<(), String> {
        let done = self.change(ProjectChange::StatusSet { id: id.to_owned(), status })?;
        self.tell(&format!("{id} is set {}: {done}", status.name()));
        let now = self.machine.now();
        let Some(line) = self.books.lines.get_mut(id).filter(|_| done) else { return Ok(()) };
        if matches!(status, Status::Live | Status::Shadow) {
            if line.standing.status != status {
                line.standing.live_since = now;
            }
            line.standing.version = u32::try_from(line.rules.len()).ok();
        }
        line.standing.status = status;
        Ok(())
    }

    fn launch(&mut self, id: &str) -> Result<(), String> {
        let done = self.change(ProjectChange::Launched { id: id.to_owned() })?;
        self.tell(&format!("{id} is launched: {done}"));
        let now = self.machine.now();
        let Some(line) = self.books.lines.get_mut(id).filter(|_| done) else { return Ok(()) };
        let version = u32::try_from(line.rules.len()).ok();
        line.standing = Standing { status: Status::Live, version, live_since: now };
        let plan = line.rules.last().and_then(|rule| rule.plan);
        let is_on = |home: &Name| {
            let own = self.books.attributes.get(home).and_then(|own| own.get("plan"));
            plan.is_none_or(|plan| own.is_some_and(|own| own == plan))
        };
        let members = self.books.people().into_iter().filter(is_on).collect();
        let turn = self.books.turn;
        self.books.launches.push(Launch { outreach: id.to_owned(), turn, members });
        Ok(())
    }

    /// Everything works again, and nothing new happens until all is at rest.
    fn end(&mut self) -> Result<(), String> {
        self.tell("everything works again");
        self.receivers.healthy = true;
        self.deadly = 0;
        let ids: Vec<String> = self.books.lines.keys().cloned().collect();
        for id in ids {
            let status = self.books.lines.get(&id).map(|line| line.standing.status);
            if matches!(status, Some(Status::Paused | Status::Shadow)) {
                let status = self.dice.one(&[Status::Live, Status::Ended]);
                self.status(&id, status)?;
            }
        }
        for round in 0..200 {
            self.review();
            self.deliver()?;
            self.post()?;
            let rows = self.machine.host.deliveries(SHOP, &DeliveryFilter::default(), None, 1_000);
            let rows = rows.map_err(told)?.items;
            let held = rows.iter().find(|row| row.delivery.state == DeliveryState::Held);
            if let Some(row) = held {
                let by = [Settlement::Retry, Settlement::Sent, Settlement::Cancelled];
                let by = self.dice.one(&by);
                self.settle(row.delivery.id, by)?;
                continue;
            }
            if self.post.is_empty() && rows.iter().all(|row| row.delivery.state.is_closed()) {
                return Ok(());
            }
            let step = if round < 100 { 12 * HOUR } else { 10 * DAY };
            let people = self.machine.host.customers(SHOP, None, None, None, 100).map_err(told)?;
            let timers = people.iter().filter_map(|(_, customer)| next_moment(customer));
            let next = timers.chain(self.machine.host.next_due()).map(|at| at.0).min();
            let now = self.machine.now();
            let until = next.map_or(now + step, |at| at.clamp(now + 1, now + step));
            self.machine.set_clock(until);
        }
        Ok(())
    }
}
