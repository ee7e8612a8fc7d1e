//! Random lives: what one to three customers do, and what the clock and the team do meanwhile.

use engine::outreach::definition::{Definition, Trigger};
use engine::project::Status;
use serde_json::{Map, Value as Json, json};

use super::conditions::{Topic, outreach_id};
use super::dice::Dice;
use super::outreaches;
use super::pools::{self, Type};
use super::{Act, Outreach, Step};
use crate::model::clock::{self, Ms};
use crate::model::{Input, Names, ReceiptKind};

/// How far the clock jumps at most: a good month, so that a month's edge can be met.
const LEAP: Ms = 40 * 86_400_000;

/// The names of the people of a world. A browser belongs to one of them; each has three.
const PEOPLE: [(&str, &str); 3] = [("anna", "browser-a"), ("ben", "browser-b"), ("cleo", "tab-c")];

/// What comes back from deliveries.
const SAID: [ReceiptKind; 10] = [
    ReceiptKind::Displayed,
    ReceiptKind::Displayed,
    ReceiptKind::Displayed,
    ReceiptKind::Clicked,
    ReceiptKind::Clicked,
    ReceiptKind::Answered,
    ReceiptKind::Dismissed,
    ReceiptKind::Bounced,
    ReceiptKind::Complained,
    ReceiptKind::Unsubscribed,
];

/// Somebody who lives a random life.
pub(super) struct Life<'a> {
    /// Where chance comes from.
    pub dice: &'a mut Dice,
    /// What there is to send.
    pub outreaches: &'a [Outreach],
    /// What conditions may speak about.
    pub topic: &'a Topic,
    /// What happened so far.
    pub steps: Vec<Step>,
    now: Ms,
    people: u64,
    /// Moments from which a distance is measured again.
    anchors: Vec<Ms>,
    /// Who was here last without a name, by both names.
    guest: Option<Names>,
    /// When schedules begin and end.
    edges: Vec<Ms>,
    /// Everything that was sent in, to be sent again.
    inputs: Vec<Input>,
    messages: u64,
}

fn edges(definition: &Definition) -> impl Iterator<Item = Ms> {
    let schedule = &definition.schedule;
    let written = [&schedule.start, &schedule.stop].into_iter().flatten();
    let zone = jiff::tz::TimeZone::UTC;
    written.filter_map(move |text| Some(clock::read(text, &zone)?.start(&zone)))
}

impl<'a> Life<'a> {
    /// A life that begins at the world's beginning.
    pub(super) fn new(
        dice: &'a mut Dice,
        outreaches: &'a [Outreach],
        topic: &'a Topic,
    ) -> Life<'a> {
        let people = dice.below(3) + 1;
        Life {
            dice,
            outreaches,
            topic,
            steps: Vec::new(),
            now: topic.base,
            people,
            anchors: vec![topic.base],
            guest: None,
            edges: outreaches.iter().flat_map(|(_, definition)| edges(definition)).collect(),
            inputs: Vec::new(),
            messages: 0,
        }
    }

    /// Live it.
    pub(super) fn live(mut self) -> Vec<Step> {
        let length = 5 + self.dice.below(56);
        // Most outreaches are live from early on; some customers are there before.
        for _ in 0..self.dice.below(self.people * 2 + 1) {
            self.identify();
        }
        for place in 0..self.outreaches.len() as u64 {
            let status = if self.dice.chance(88) { Status::Live } else { Status::Shadow };
            self.push(Act::SetStatus { id: outreach_id(place), status });
        }
        while (self.steps.len() as u64) < length {
            self.pass_time();
            match self.dice.below(100) {
                0..=44 => self.track(),
                45..=66 => self.identify(),
                67..=79 => self.receipt(),
                80..=83 => self.consent(),
                84..=88 => self.repeat(),
                89..=92 => self.status(),
                93 | 94 => self.launch(),
                95 | 96 => self.edit(),
                _ => self.push(Act::Advance),
            }
        }
        self.now += LEAP;
        self.push(Act::Advance);
        self.steps
    }

    fn push(&mut self, act: Act) {
        self.anchors.push(self.now);
        self.steps.push(Step { now: self.now, act });
    }

    fn send(&mut self, input: Input) {
        self.inputs.push(input.clone());
        self.push(Act::Accept(input));
    }

    /// A little later, or exactly at (or a millisecond beside) a distance from something before.
    fn pass_time(&mut self) {
        if self.dice.chance(45) {
            self.now += self.dice.one(&[0, 1, 900, 20_000, 400_000, 5_000_000]);
            return;
        }
        let edge = if !self.edges.is_empty() && self.dice.chance(10) {
            self.dice.one(&self.edges)
        } else {
            let anchor = self.dice.one(&self.anchors);
            let span = self.dice.one(pools::SPANS);
            let zone = pools::zone(self.dice);
            clock::span_after(anchor, span, &zone)
        };
        let edge = edge + pools::jitter(self.dice);
        if self.now <= edge && edge <= self.now + LEAP {
            self.now = edge;
        }
    }

    fn message_id(&mut self) -> String {
        self.messages += 1;
        format!("message-{}", self.messages)
    }

    fn names(&mut self, both: bool) -> Names {
        if both && self.dice.chance(20) && self.guest.is_some() {
            // Somebody who was just here without a name gives it.
            return self.guest.take().unwrap_or_default();
        }
        let place = usize::try_from(self.dice.below(self.people)).unwrap_or(0);
        let (user, browser) = PEOPLE.get(place).copied().unwrap_or(("anna", "browser-a"));
        let user_id = Some(user.to_owned());
        let anonymous_id = Some(match self.dice.below(3) {
            0 => format!("{browser}-at-work"),
            1 => format!("{browser}-on-the-phone"),
            _ => browser.to_owned(),
        });
        match self.dice.below(10) {
            0 | 1 if both => Names { user_id, anonymous_id },
            2..=5 => {
                self.guest = Some(Names { user_id, anonymous_id: anonymous_id.clone() });
                Names { user_id: None, anonymous_id }
            }
            _ => Names { user_id, anonymous_id: None },
        }
    }

    fn track(&mut self) {
        let behind = match self.dice.below(20) {
            0 => 72 * 3_600_000 + pools::jitter(self.dice),
            1 => 100 * 3_600_000,
            2 => self.now - self.dice.one(&self.anchors) + pools::jitter(self.dice),
            3 => 2_000,
            _ => 0,
        };
        let input = Input::Track {
            names: self.names(false),
            message_id: self.message_id(),
            name: self.dice.one(pools::EVENTS).to_owned(),
            at: self.now - behind,
            properties: self.properties(),
            historical: self.dice.chance(6),
        };
        self.send(input);
    }

    fn properties(&mut self) -> Json {
        let mut object = Map::new();
        if self.dice.chance(75) {
            let percent = self.dice.one(&[20, 60, 90]);
            self.fill(&mut object, percent);
        }
        if self.dice.chance(55) {
            object.insert("order".to_owned(), self.dice.one(&[json!("A1"), json!("a1"), json!(7)]));
        }
        if self.dice.chance(40) {
            object.insert("cart".to_owned(), json!({ "code": self.dice.one(&["x", "y"]) }));
        }
        Json::Object(object)
    }

    /// Put values under some of the keys of the pools.
    fn fill(&mut self, object: &mut Map<String, Json>, percent: u64) {
        for meant in pools::TYPES {
            for key in meant.keys() {
                if !self.dice.chance(percent) {
                    continue;
                }
                let value = self.value(*meant);
                match key.split_once('.') {
                    Some((outer, inner)) => {
                        object.insert(outer.to_owned(), json!({ inner: value }))
                    }
                    None => object.insert((*key).to_owned(), value),
                };
            }
        }
    }

    fn value(&mut self, meant: Type) -> Json {
        pools::value(self.dice, meant, self.now)
    }

    fn identify(&mut self) {
        let mut changes = Map::new();
        let percent = self.dice.one(&[10, 50, 90]);
        self.fill(&mut changes, percent);
        let odd = self.dice.chance(12);
        if self.dice.chance(65) {
            let email = if odd { "nowhere" } else { "anna@example.com" };
            changes.insert("email".to_owned(), json!(email));
        }
        if self.dice.chance(55) {
            let phone = if odd { json!(" ") } else { json!("+49301234") };
            changes.insert("phone".to_owned(), phone);
        }
        if self.dice.chance(55) {
            changes.insert("push_token".to_owned(), json!("token"));
        }
        if self.dice.chance(35) {
            let zone = if odd { "Mars/Olympus" } else { self.dice.one(pools::ZONES) };
            changes.insert("timezone".to_owned(), json!(zone));
        }
        if self.dice.chance(15) {
            let meant = self.dice.one(pools::TYPES);
            let key = self.dice.one(meant.keys());
            if !key.contains('.') {
                changes.insert(key.to_owned(), Json::Null);
            }
        }
        if let Some(created) = changes.remove("created_at") {
            // A client may spell a standard attribute its own way.
            let key = if self.dice.chance(50) { "createdAt" } else { "created_at" };
            changes.insert(key.to_owned(), created);
        }
        let input = Input::Identify {
            names: self.names(true),
            message_id: self.message_id(),
            changes: Json::Object(changes),
            historical: self.dice.chance(4),
        };
        self.send(input);
    }

    fn receipt(&mut self) {
        let (outreach, definition) = self.dice.one(self.outreaches);
        // What is shown in the browser rarely bounces.
        let in_app = definition.content.outreach_type().is_in_app();
        let kinds = if in_app && self.dice.chance(98) { 7 } else { 10 };
        let kinds = SAID.get(..kinds).unwrap_or(&SAID);
        let input = Input::Receipt {
            names: self.names(false),
            message_id: self.message_id(),
            outreach,
            kind: self.dice.one(kinds),
            at: self.now - self.dice.one(&[0, 0, 0, 1, 1_500]),
        };
        self.send(input);
    }

    fn consent(&mut self) {
        let input = Input::Consent {
            names: self.names(false),
            channel: if self.topic.plain {
                "email".to_owned()
            } else {
                self.dice.one(&["email", "email", "sms", "push", "whatsapp"]).to_owned()
            },
            topic: self.dice.one(pools::TOPICS).to_owned(),
            allowed: self.dice.chance(60),
        };
        self.send(input);
    }

    /// The same message once more.
    fn repeat(&mut self) {
        if !self.inputs.is_empty() {
            let input = self.dice.one(&self.inputs);
            self.push(Act::Accept(input));
        }
    }

    fn status(&mut self) {
        let id = outreach_id(self.dice.below(self.outreaches.len() as u64));
        let ended = |step: &Step| match &step.act {
            Act::SetStatus { id: of, status } => *of == id && *status == Status::Ended,
            _ => false,
        };
        if self.steps.iter().any(ended) {
            return;
        }
        let status = self.dice.one(&[
            Status::Live,
            Status::Live,
            Status::Live,
            Status::Paused,
            Status::Paused,
            Status::Shadow,
            Status::Ended,
        ]);
        self.push(Act::SetStatus { id, status });
    }

    fn launch(&mut self) {
        let one_off =
            |(_, definition): &&Outreach| matches!(definition.trigger, Trigger::OneOff { .. });
        let fits: Vec<Outreach> = self.outreaches.iter().filter(one_off).cloned().collect();
        let fits = if fits.is_empty() { self.outreaches } else { &fits };
        let (id, _) = self.dice.one(fits);
        self.push(Act::Launch { id });
    }

    /// Another version, in force from the next time somebody publishes: often only the audience
    /// or the frequency is another one, now and then everything.
    fn edit(&mut self) {
        let (id, definition) = self.dice.one(self.outreaches);
        let other = outreaches::definition(self.dice, self.topic, 0);
        let definition = match (&definition.trigger, &other.trigger) {
            (Trigger::Event { .. }, Trigger::Event { .. }) if self.dice.chance(60) => {
                Definition { audience: other.audience, frequency: other.frequency, ..definition }
            }
            _ => other,
        };
        self.push(Act::Save { id: id.clone(), definition: Box::new(definition) });
        if self.dice.chance(60) {
            self.push(Act::SetStatus { id, status: Status::Live });
        }
    }
}
