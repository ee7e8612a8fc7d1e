//! Random outreaches that compile: each trigger, frequency, guardrail and type.

use engine::outreach::content::{Block, Content, OutreachType, Question};
use engine::outreach::definition::{
    Audience, CancelEvent, Cap, CapScope, Condition, Definition, Frequency, Goal, Guardrails,
    Otherwise, QuietHours, Schedule, SendWindow, Span, Trigger, Unit, Weekday,
};

use super::conditions::{self, Place, Topic};
use super::dice::Dice;
use super::pools;
use crate::model::clock;

/// A random outreach.
pub fn definition(dice: &mut Dice, topic: &Topic, place: u64) -> Definition {
    let topic = &Topic { this: true, ..topic.clone() };
    let trigger = trigger(dice, topic);
    let one_off = matches!(trigger, Trigger::OneOff { .. });
    let filtered = if topic.plain { 10 } else { 55 };
    let filter = dice.chance(filtered).then(|| conditions::condition(dice, topic, Place::Audience));
    let content = content(dice, one_off, topic.plain);
    let goal = dice.chance(45).then(|| Goal {
        event: dice.one(&["order", "login"]).to_owned(),
        conditions: filter_where(dice, topic, 25),
        within: span(dice),
    });
    Definition {
        name: format!("Outreach {}", place + 1),
        frequency: frequency(dice, &trigger, topic.plain),
        trigger,
        audience: if one_off { Audience::OneOff { filter } } else { Audience::Dynamic { filter } },
        schedule: if topic.plain { Schedule::default() } else { schedule(dice, topic) },
        pages: Vec::new(),
        guardrails: guardrails(dice),
        goal,
        tags: pools::TAGS.iter().filter(|_| dice.chance(40)).map(|tag| (*tag).to_owned()).collect(),
        expires_after: dice.chance(if topic.plain { 40 } else { 15 }).then(|| span(dice)),
        content,
    }
}

fn span(dice: &mut Dice) -> Span {
    dice.one(pools::SPANS)
}

/// Not years: nobody lives that long in a world.
fn short_span(dice: &mut Dice) -> Span {
    let span = span(dice);
    if span.unit == Unit::Years { Span { amount: 3, unit: Unit::Hours } } else { span }
}

fn filter_where(dice: &mut Dice, topic: &Topic, percent: u64) -> Option<Condition> {
    dice.chance(percent).then(|| conditions::condition(dice, topic, Place::Where))
}

fn trigger(dice: &mut Dice, topic: &Topic) -> Trigger {
    let delay = dice.chance(35).then(|| short_span(dice));
    let cancel_on = if delay.is_some() && dice.chance(60) {
        vec![CancelEvent {
            event: dice.one(&["order", "login", "page view", "sessionStarted"]).to_owned(),
            conditions: filter_where(dice, topic, 15),
        }]
    } else {
        Vec::new()
    };
    let recheck_audience = delay.is_none() || dice.chance(70);
    match dice.below(10) {
        0..=6 => Trigger::Event {
            event: dice.one(pools::RULE_EVENTS).to_owned(),
            conditions: filter_where(dice, topic, 30),
            delay,
            cancel_on,
            recheck_audience,
        },
        7 | 8 => Trigger::UserProperty {
            condition: conditions::asking(dice, topic, Place::Trigger),
            include_current: dice.chance(50),
            delay,
            cancel_on,
            recheck_audience,
        },
        _ => Trigger::OneOff { at: None },
    }
}

fn frequency(dice: &mut Dice, trigger: &Trigger, plain: bool) -> Frequency {
    if !matches!(trigger, Trigger::Event { .. }) {
        return Frequency::Once;
    }
    let interval = short_span(dice);
    // A plain world is about claims of which there is only one.
    let of_kind = if plain { dice.one(&[0, 1, 3, 3]) } else { dice.below(7) };
    match of_kind {
        0 => Frequency::Once,
        1 | 2 => Frequency::EveryTime,
        3 => Frequency::OncePerKey { property: dice.one(&["order", "cart.code"]).to_owned() },
        4 => Frequency::AtMostOncePer { amount: interval.amount, unit: interval.unit },
        5 => Frequency::AtMost { times: dice.one(&[1, 2, 3]) },
        _ => Frequency::UntilAnswered { at_most_once_per: dice.chance(50).then_some(interval) },
    }
}

fn schedule(dice: &mut Dice, topic: &Topic) -> Schedule {
    let start = dice.chance(7).then(|| pools::near(dice, topic.base));
    let stop = dice.chance(7).then(|| pools::near(dice, topic.base));
    // A schedule that stops before it starts does not compile.
    let stop = stop.filter(|stop| start.is_none_or(|start| start < *stop));
    Schedule { start: start.map(clock::write), stop: stop.map(clock::write) }
}

fn guardrails(dice: &mut Dice) -> Guardrails {
    let windows = dice.below(2) + 1;
    Guardrails {
        caps: if dice.chance(25) { vec![cap(dice)] } else { Vec::new() },
        quiet_hours: dice.chance(20).then(|| quiet_hours(dice)),
        send_windows: if dice.chance(15) {
            (0..windows).map(|_| send_window(dice)).collect()
        } else {
            Vec::new()
        },
        rate_limit: None,
        priority: dice.one(&[0, 0, 0, 5, -5]),
        holdout_percent: dice.one(&[0.0, 0.0, 0.0, 0.0, 12.5, 50.0]),
        ignore_project_limits: dice.chance(20),
    }
}

/// A cap, of an outreach or of the project.
pub fn cap(dice: &mut Dice) -> Cap {
    let over = match dice.below(4) {
        0 | 1 => CapScope::Everything,
        2 => CapScope::Channel {
            channel: dice.one(&[OutreachType::Email, OutreachType::Webhook, OutreachType::Banner]),
        },
        _ => CapScope::Tag { tag: dice.one(pools::TAGS).to_owned() },
    };
    Cap { over, times: dice.one(&[1, 1, 2, 3]), per: span(dice) }
}

/// Hours of rest, also over midnight and over the hour that summer time takes.
pub fn quiet_hours(dice: &mut Dice) -> QuietHours {
    let (from, to) =
        dice.one(&[("22:00", "08:00"), ("00:00", "02:30"), ("09:00", "17:00"), ("23:30", "00:30")]);
    let otherwise = dice.one(&[Otherwise::Hold, Otherwise::Hold, Otherwise::Skip]);
    QuietHours { from: from.to_owned(), to: to.to_owned(), otherwise }
}

fn send_window(dice: &mut Dice) -> SendWindow {
    let days = [Weekday::Monday, Weekday::Wednesday, Weekday::Friday, Weekday::Sunday];
    let days = match dice.below(3) {
        0 => Vec::new(),
        1 => vec![dice.one(&days)],
        _ => days.to_vec(),
    };
    let (from, to) =
        dice.one(&[("09:00", "17:00"), ("02:30", "12:00"), ("18:00", "24:00"), ("00:00", "01:00")]);
    SendWindow { days, from: from.to_owned(), to: to.to_owned() }
}

fn content(dice: &mut Dice, one_off: bool, plain: bool) -> Content {
    let text = "Hello".to_owned();
    let body = vec![Block::Paragraph { text: text.clone() }];
    // A plain world has mail and messages.
    let of_type = if plain { dice.one(&[0, 7]) } else { dice.below(if one_off { 8 } else { 11 }) };
    match of_type {
        0..=2 => Content::Email {
            subject: text.clone(),
            preheader: String::new(),
            html: String::new(),
            text,
            from: String::new(),
            reply_to: String::new(),
            topic: dice.one(pools::TOPICS).to_owned(),
            transactional: dice.chance(20),
        },
        3 => Content::Push {
            title: text.clone(),
            body: text,
            url: String::new(),
            icon: String::new(),
        },
        4 => Content::Sms { text },
        5 => Content::Whatsapp { text, template: String::new() },
        6 => Content::Webhook {
            url: "https://hooks.example.com/in".to_owned(),
            method: "POST".to_owned(),
            headers: Vec::new(),
            body: String::new(),
        },
        7 => Content::Message { from: String::new(), body, buttons: Vec::new(), reply: false },
        8 => Content::Survey {
            title: String::new(),
            questions: vec![Question::Text { id: "why".to_owned(), text, required: false }],
            thanks: String::new(),
        },
        9 => Content::Modal { title: text, body, buttons: Vec::new() },
        _ => Content::Banner {
            text,
            button: None,
            position: engine::outreach::content::Edge::Top,
            sticky: false,
        },
    }
}
