//! The outreaches of a simulated shop: a few simple rules with random limits.
//!
//! A rule is held twice. The host gets it as a definition; the checkers read these few fields, so
//! that what they expect does not come from the code that they check.

use engine::outreach::content::OutreachType;
use serde_json::{Value as Json, json};

use crate::model::clock::Ms;
use crate::worlds::dice::Dice;

pub(super) const MINUTE: Ms = 60_000;
pub(super) const HOUR: Ms = 60 * MINUTE;
pub(super) const DAY: Ms = 24 * HOUR;

/// What makes a rule want to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// An event of this name.
    Event(&'static str),
    /// The attribute `plan` is this.
    Plan(&'static str),
    /// A launch.
    Launch,
}

/// How often one customer gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HowOften {
    Once,
    EveryTime,
    /// Once per value of the property `order`.
    PerOrder,
    AtMost(u64),
}

/// One version of an outreach, as the checkers read it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rule {
    pub(super) when: When,
    pub(super) how_often: HowOften,
    pub(super) channel: OutreachType,
    /// Hours after the trigger.
    pub(super) delay: Option<Ms>,
    /// An event that withdraws it while it waits.
    pub(super) cancel_on: Option<&'static str>,
    /// Only customers on this plan.
    pub(super) plan: Option<&'static str>,
    /// Not between these hours, which lie on both sides of midnight.
    pub(super) quiet: Option<(i8, i8)>,
    /// Only between these hours.
    pub(super) window: Option<(i8, i8)>,
    /// So many sends of everything in so many hours.
    pub(super) cap: Option<(u64, u32)>,
    /// Hours that it is worth sending.
    pub(super) expires: Option<u32>,
    /// A number that only makes a version another one.
    pub(super) edition: u64,
}

impl Rule {
    fn new(when: When, how_often: HowOften, channel: OutreachType) -> Rule {
        Rule {
            when,
            how_often,
            channel,
            delay: None,
            cancel_on: None,
            plan: None,
            quiet: None,
            window: None,
            cap: None,
            expires: None,
            edition: 1,
        }
    }

    /// What the team writes.
    pub(super) fn definition(&self) -> Json {
        let mut trigger = match self.when {
            When::Event(event) => json!({"kind": "event", "event": event}),
            When::Plan(plan) => json!({"kind": "user_property", "where": on_plan(plan)}),
            When::Launch => json!({"kind": "one_off"}),
        };
        if let Some(delay) = self.delay {
            trigger["delay"] = json!({"amount": delay / HOUR, "unit": "hours"});
        }
        if let Some(event) = self.cancel_on {
            trigger["cancel_on"] = json!([{"event": event}]);
        }
        let mut guardrails = json!({});
        if let Some((from, to)) = self.quiet {
            guardrails["quiet_hours"] = json!({"from": clock(from), "to": clock(to)});
        }
        if let Some((from, to)) = self.window {
            guardrails["send_windows"] = json!([{"from": clock(from), "to": clock(to)}]);
        }
        if let Some((times, hours)) = self.cap {
            let per = json!({"amount": hours, "unit": "hours"});
            guardrails["caps"] =
                json!([{"over": {"kind": "everything"}, "times": times, "per": per}]);
        }
        let mut definition = json!({
            "name": "An outreach",
            "trigger": trigger,
            "guardrails": guardrails,
            "frequency": match self.how_often {
                HowOften::Once => json!({"kind": "once"}),
                HowOften::EveryTime => json!({"kind": "every_time"}),
                HowOften::PerOrder => json!({"kind": "once_per_key", "property": "order"}),
                HowOften::AtMost(times) => json!({"kind": "at_most", "times": times}),
            },
            "content": content(self.channel, self.edition),
        });
        if let Some(hours) = self.expires {
            definition["expires_after"] = json!({"amount": hours, "unit": "hours"});
        }
        let filter = self.plan.map(on_plan);
        let kind = if self.when == When::Launch { "one_off" } else { "dynamic" };
        if filter.is_some() || self.when == When::Launch {
            definition["audience"] = json!({"kind": kind, "filter": filter});
        }
        definition
    }
}

fn on_plan(plan: &str) -> Json {
    json!({"kind": "attribute", "attribute": "plan", "test": {"kind": "is", "value": plan}})
}

fn clock(hour: i8) -> String {
    format!("{hour:02}:00")
}

fn content(channel: OutreachType, edition: u64) -> Json {
    let text = format!("Edition {edition}");
    match channel {
        OutreachType::Email => json!({"kind": "email", "subject": text, "text": "Hello"}),
        OutreachType::Webhook => json!({"kind": "webhook", "url": "https://hooks.example.com/in"}),
        OutreachType::Sms => json!({"kind": "sms", "text": text}),
        OutreachType::Push => json!({"kind": "push", "title": text, "body": "Hello"}),
        _ => json!({
            "kind": "modal",
            "title": text,
            "body": [{"kind": "paragraph", "text": "Hello"}],
        }),
    }
}

/// The names of events that clients send.
pub(super) const EVENTS: [&str; 4] = ["signed_up", "bought", "cart", "looked"];

/// The outreaches of a shop, by id. The order is that of their creation.
pub(super) fn outreaches(dice: &mut Dice) -> Vec<(String, Rule)> {
    use HowOften::{AtMost, EveryTime, Once, PerOrder};
    use OutreachType::{Email, Modal, Push, Sms, Webhook};
    let event = |dice: &mut Dice| When::Event(dice.one(&EVENTS));
    let mut rules = vec![
        Rule::new(When::Event("signed_up"), Once, Email),
        Rule::new(When::Event("bought"), EveryTime, Webhook),
        Rule::new(event(dice), dice.one(&[Once, PerOrder, AtMost(2)]), dice.one(&[Email, Sms])),
        Rule::new(event(dice), dice.one(&[Once, EveryTime, PerOrder]), Modal),
        Rule::new(When::Event("outreach.sent"), dice.one(&[Once, AtMost(3)]), Webhook),
        Rule::new(When::Plan("pro"), Once, dice.one(&[Email, Webhook, Modal])),
        Rule::new(When::Launch, Once, dice.one(&[Email, Push, Webhook])),
    ];
    let mut delayed = Rule::new(When::Event("cart"), dice.one(&[Once, PerOrder, EveryTime]), Email);
    delayed.delay = Some(dice.one(&[1, 2, 24]) * HOUR);
    delayed.cancel_on = Some("bought");
    rules.push(delayed);
    let mut gentle =
        Rule::new(event(dice), dice.one(&[EveryTime, PerOrder]), dice.one(&[Email, Push, Sms]));
    if dice.chance(60) {
        gentle.quiet = Some(dice.one(&[(22, 8), (20, 7)]));
    } else {
        gentle.window = Some(dice.one(&[(9, 17), (6, 12)]));
    }
    rules.push(gentle);
    for (place, rule) in rules.iter_mut().enumerate() {
        if dice.chance(25) && rule.when != When::Event("outreach.sent") {
            rule.cap = Some((dice.below(3) + 1, dice.one(&[1, 24, 72])));
        }
        if place > 1 && dice.chance(25) || rule.when == When::Launch {
            rule.plan = Some(dice.one(&["pro", "free"]));
        }
        if dice.chance(15) {
            rule.expires = Some(dice.one(&[3, 48]));
        }
        if rule.delay.is_none() && matches!(rule.when, When::Event(_)) && dice.chance(15) {
            rule.delay = Some(HOUR);
        }
    }
    let named = rules.into_iter().enumerate();
    named.map(|(place, rule)| (format!("outreach-{}", place + 1), rule)).collect()
}

/// Another version of a rule: what may change without making it another promise.
pub(super) fn edited(dice: &mut Dice, rule: &Rule) -> Rule {
    let mut rule = rule.clone();
    rule.edition += 1;
    if rule.when != When::Launch && dice.chance(30) {
        rule.plan = dice.one(&[None, Some("pro"), Some("free")]);
    }
    if rule.delay.is_some() && dice.chance(30) {
        rule.delay = Some(3 * HOUR);
    }
    rule
}
