//! What the lines of a story do to the world.

use std::collections::BTreeMap;

use engine::customer::canonical_key;
use engine::delivery::{DeliveryState, hand_over};
use engine::fact::{AttemptOutcome, Event, Fact, Names, ReceiptKind, Settlement};
use engine::ids::{CustomerId, EventId};
use engine::outreach::compile;
use engine::project::{ProjectChange, Status};
use engine::time::Timestamp;
use engine::value::Value;
use serde_json::{Map, Value as Json, json};

use super::condition::{self, Of};
use super::definition;
use super::story::{self, Step};
use super::words::{self, Words};
use super::world::{PROJECT, World};

type Done = Result<(), String>;

/// Do what a line says.
pub(super) fn act(world: &mut World, step: &Step) -> Done {
    let text = step.text.as_str();
    if text == "nothing happens" {
        return Ok(());
    }
    if let Some((name, condition)) = named(text, "segment ") {
        return save_segment(world, name, condition);
    }
    if let Some((name, condition)) = named(text, "ask ") {
        return ask(world, name, condition);
    }
    if let Some(rest) = text.strip_prefix("setting ") {
        return set(world, rest);
    }
    if let Some(rest) = text.strip_prefix("operator ") {
        return operate(world, &words::pieces(rest));
    }
    let pieces = words::pieces(text);
    let parts: Vec<&str> = pieces.iter().map(String::as_str).collect();
    match parts.as_slice() {
        ["outreach", id, how @ ..] => write_outreach(world, id, how, &step.body),
        ["edit", id] => edit(world, id, &step.body),
        ["publish" | "resume", id] => world.set_status(id, Status::Live),
        ["watch", id] => world.set_status(id, Status::Shadow),
        ["pause", id] => world.set_status(id, Status::Paused),
        ["end", id] => world.set_status(id, Status::Ended),
        ["launch", id] => world.launch(id, false),
        ["launch", id, "(restarting in the middle)"] => world.launch(id, true),
        ["erase", who] => {
            let id = world.user(who);
            world.erase(id);
            Ok(())
        }
        ["why", who, outreach] => {
            let id = world.user(who);
            let why = world.why(id, outreach)?;
            world.ledger.note(world.now, who, outreach, &format!("why: {why}"));
            Ok(())
        }
        ["guest", guest, "is", user, pairs @ ..] => {
            world.merge(guest, user);
            if pairs.is_empty() { Ok(()) } else { write(world, &Who::User(user), pairs) }
        }
        [outreach, "to", "guest", who, what @ ..] => {
            let id = world.guest(who);
            carry(world, outreach, id, what)
        }
        [outreach, "to", who, what @ ..] => {
            let id = world.user(who);
            carry(world, outreach, id, what)
        }
        ["guest", who, verb, rest @ ..] => person(world, &Who::Guest(who), verb, rest),
        [who, verb, rest @ ..] => person(world, &Who::User(who), verb, rest),
        _ => Err(format!("nobody knows what to do with {text:?}")),
    }
}

/// `segment vip: plan is pro` → (`vip`, `plan is pro`)
fn named<'a>(text: &'a str, prefix: &str) -> Option<(&'a str, &'a str)> {
    let (name, rest) = text.strip_prefix(prefix)?.split_once(':')?;
    Some((name.trim(), rest.trim()))
}

// ---- what the team does ----

fn write_outreach(world: &mut World, id: &str, how: &[&str], body: &[String]) -> Done {
    world.definitions.insert(id.to_owned(), definition::blank(id));
    edit(world, id, body)?;
    let is_one_off =
        world.definitions.get(id).is_some_and(|json| json["trigger"]["kind"] == json!("one_off"));
    let is_sound = world.project.outreach(id).is_some_and(|line| line.latest.is_ok());
    match how {
        ["draft"] => Ok(()),
        _ if is_sound && is_one_off => Ok(()),
        [] if world.project.outreach(id).is_some() => world.set_status(id, Status::Live),
        ["watching"] => world.set_status(id, Status::Shadow),
        [] => Ok(()),
        _ => Err(format!("an outreach is \"draft\" or \"watching\", not {how:?}")),
    }
}

fn edit(world: &mut World, id: &str, body: &[String]) -> Done {
    let mut json = world.definitions.get(id).cloned().ok_or("there is no such outreach")?;
    definition::write(&mut json, body)?;
    let definition = json.to_string();
    world.definitions.insert(id.to_owned(), json);
    let author = "mara".to_owned();
    world.change(id, &ProjectChange::OutreachSaved { id: id.to_owned(), definition, author });
    Ok(())
}

fn save_segment(world: &mut World, id: &str, condition: &str) -> Done {
    let filter = condition::read(condition, Of::Customer)?.to_string();
    let (id, name) = (id.to_owned(), id.to_owned());
    world.change(&id.clone(), &ProjectChange::SegmentSaved { id, name, filter });
    Ok(())
}

/// `setting quiet hours 22:00 to 08:00`
fn set(world: &mut World, text: &str) -> Done {
    let mut words = Words::new(text)?;
    let settings = &mut world.settings;
    if words.eat("timezone") {
        settings["timezone"] = json!(words.word()?);
    } else if words.eat("quiet hours") {
        settings["quiet_hours"] = definition::quiet_hours(&mut words)?;
    } else if words.eat("cap") {
        let cap = definition::cap(&mut words)?;
        match &mut settings["caps"] {
            Json::Array(caps) => caps.push(cap),
            none => *none = json!([cap]),
        }
    } else if words.eat("session ends after") {
        settings["session_timeout_minutes"] = json!(words.whole()?);
        words.expect("minutes")?;
    } else if words.eat("late after") {
        settings["late_after_hours"] = json!(words.whole()?);
        words.expect("hours")?;
    } else if words.eat("in-app expires after") {
        settings["in_app_expiry_days"] = json!(words.whole()?);
        words.expect("days")?;
    } else if words.eat("mail needs consent") {
        settings["consent_by_default"] = json!(false);
    } else {
        return Err(format!("no such setting: {text}"));
    }
    words.end()?;
    let settings = world.settings.to_string();
    world.change("settings", &ProjectChange::SettingsSaved { settings });
    Ok(())
}

/// `ask anna: plan is free` notes whether it holds.
fn ask(world: &mut World, who: &str, text: &str) -> Done {
    let id = match who.strip_prefix("guest ") {
        Some(guest) => world.guest(guest),
        None => world.user(who),
    };
    let json = condition::read(text, Of::Customer)?.to_string();
    let problems = |problems: Vec<_>| format!("{problems:?}");
    let filter = compile::read_filter(&json, "").map_err(problems)?;
    let condition = compile::compile_filter(&world.project, None, "", &filter).map_err(problems)?;
    let answer = if world.matches(id, &condition) { "yes" } else { "no" };
    let who = who.strip_prefix("guest ").unwrap_or(who);
    world.ledger.note(world.now, who, answer, text);
    Ok(())
}

fn operate(world: &mut World, pieces: &[String]) -> Done {
    let parts: Vec<&str> = pieces.iter().map(String::as_str).collect();
    let (outreach, who, by) = match parts.as_slice() {
        ["allows", outreach, "again", "for", who] => {
            let (id, outreach) = (world.user(who), world.outreach(outreach)?);
            world.happen(id, Fact::AllowedAgain { outreach });
            return Ok(());
        }
        ["retries", outreach, "to", who] => (outreach, who, Settlement::Retry),
        ["cancels", outreach, "to", who] => (outreach, who, Settlement::Cancelled),
        ["says", outreach, "to", who, "was", "sent"] => (outreach, who, Settlement::Sent),
        _ => return Err("no such act of an operator".to_owned()),
    };
    let id = world.user(who);
    let delivery = world.delivery(id, outreach)?.id;
    world.happen(id, Fact::Settled { delivery, by });
    Ok(())
}

// ---- what the channels do ----

/// `welcome to anna is sent`
fn carry(world: &mut World, outreach: &str, id: CustomerId, what: &[&str]) -> Done {
    let delivery = world.delivery(id, outreach)?;
    let receipt = match what {
        ["arrives"] => Some(ReceiptKind::Delivered),
        ["bounces"] => Some(ReceiptKind::Bounced),
        _ => None,
    };
    if let Some(kind) = receipt {
        let fact = Fact::Receipt {
            id: world.next_id(),
            delivery: delivery.id,
            outreach: delivery.outreach,
            kind,
            at: world.now,
            detail: "{}".to_owned(),
        };
        world.happen(id, fact);
        return Ok(());
    }
    let text = what.join(" ");
    let reason = text.split_once(": ").map_or("", |(_, reason)| reason).to_owned();
    let outcome = match text.split(": ").next().unwrap_or_default() {
        "is sent" => AttemptOutcome::Accepted { provider_id: "p".to_owned() },
        "fails" => AttemptOutcome::Rejected { reason },
        "reaches nobody" => AttemptOutcome::AddressGone { reason },
        "is unknown" => AttemptOutcome::Unknown { reason },
        "may have arrived" => {
            AttemptOutcome::RetryInDoubt { reason, at: world.now.plus_ms(3_600_000) }
        }
        "must wait an hour" => AttemptOutcome::Retry { reason, at: world.now.plus_ms(3_600_000) },
        _ => return Err(format!("a delivery does not do {text:?}")),
    };
    let open = matches!(delivery.state, DeliveryState::Due | DeliveryState::Attempting);
    if !open || delivery.due_at > world.now {
        let (state, due_at) = (delivery.state.name(), delivery.due_at.to_rfc3339());
        return Err(format!("it cannot leave: it is {state}, due at {due_at}"));
    }
    let outcome = match world.ready(id, &delivery) {
        Ok(content) => {
            note_content(world, id, outreach, &content);
            outcome
        }
        Err(reason) => AttemptOutcome::Refused { reason },
    };
    let fact = Fact::Attempted { delivery: delivery.id, outreach: delivery.outreach, outcome };
    world.happen(id, fact);
    Ok(())
}

/// What a mail says, when its subject is not the one that says nothing.
fn note_content(world: &mut World, id: CustomerId, outreach: &str, content: &Json) {
    if let Some(subject) = content["subject"].as_str().filter(|subject| *subject != "Hello") {
        let who = world.customer(id).user_id.unwrap_or_default();
        world.ledger.note(world.now, &who, outreach, &format!("says {subject:?}"));
    }
}

// ---- what customers do ----

enum Who<'a> {
    User(&'a str),
    Guest(&'a str),
}

impl Who<'_> {
    fn id(&self, world: &mut World) -> CustomerId {
        match self {
            Who::User(name) => world.user(name),
            Who::Guest(name) => world.guest(name),
        }
    }

    fn names(&self) -> Names {
        match self {
            Who::User(name) => Names { user_id: Some((*name).to_owned()), anonymous_id: None },
            Who::Guest(name) => Names { user_id: None, anonymous_id: Some((*name).to_owned()) },
        }
    }
}

fn person(world: &mut World, who: &Who<'_>, verb: &str, rest: &[&str]) -> Done {
    match (verb, rest) {
        ("does", [event, rest @ ..]) => does(world, who, event.trim_matches('"'), rest),
        ("has", pairs) => write(world, who, pairs),
        ("sees", [outreach, rest @ ..]) => {
            receive(world, who, outreach, ReceiptKind::Displayed, rest)
        }
        ("clicks", [outreach, rest @ ..]) => {
            receive(world, who, outreach, ReceiptKind::Clicked, rest)
        }
        ("answers" | "completes", [outreach, rest @ ..]) => {
            receive(world, who, outreach, ReceiptKind::Answered, rest)
        }
        ("dismisses", [outreach, rest @ ..]) => {
            receive(world, who, outreach, ReceiptKind::Dismissed, rest)
        }
        ("complains", ["about", outreach, rest @ ..]) => {
            receive(world, who, outreach, ReceiptKind::Complained, rest)
        }
        ("unsubscribes", ["through", outreach, rest @ ..]) => {
            receive(world, who, outreach, ReceiptKind::Unsubscribed, rest)
        }
        ("allows" | "forbids", [what]) => {
            let (channel, topic) = what.split_once('/').unwrap_or((what, ""));
            let (channel, topic) = (channel.to_owned(), topic.to_owned());
            let id = who.id(world);
            world.happen(id, Fact::Consent { channel, topic, allowed: verb == "allows" });
            Ok(())
        }
        ("looks", []) => {
            look(world, who);
            Ok(())
        }
        _ => Err(format!("nobody can {verb:?} like that")),
    }
}

/// What stands behind a verb: values, an id, and remarks in brackets.
#[derive(Default)]
struct Extras {
    values: Map<String, Json>,
    id: Option<EventId>,
    historical: bool,
    at: Option<Timestamp>,
    page: Option<String>,
    times: usize,
}

fn extras(pieces: &[&str]) -> Result<Extras, String> {
    let mut extras = Extras { times: 1, ..Extras::default() };
    for piece in pieces {
        if let Some(id) = piece.strip_prefix('#') {
            extras.id = Some(EventId::of(PROJECT, id));
        } else if let Some(remark) = piece.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'))
        {
            match remark.split_whitespace().collect::<Vec<_>>().as_slice() {
                ["historical"] => extras.historical = true,
                ["at", day, time] => {
                    let time = words::full_time(time).ok_or("a time expected after the day")?;
                    extras.at = Some(story::moment(&format!("{day}T{time}Z"))?);
                }
                ["page", page] => extras.page = Some((*page).to_owned()),
                [times, "times"] => {
                    extras.times = times.parse().map_err(|_| "a number of times expected")?;
                }
                _ => return Err(format!("nobody understands ({remark})")),
            }
        } else if let Some((key, value)) = piece.split_once('=') {
            extras.values.insert(key.to_owned(), words::value(value)?);
        } else {
            return Err(format!("nobody understands {piece:?}"));
        }
    }
    Ok(extras)
}

fn does(world: &mut World, who: &Who<'_>, name: &str, pieces: &[&str]) -> Done {
    let extras = extras(pieces)?;
    for _ in 0..extras.times {
        let event_id = extras.id.unwrap_or_else(|| world.next_id());
        if !world.is_new(event_id) {
            continue;
        }
        let id = who.id(world);
        let event = Event {
            id: event_id,
            name: name.trim().to_owned(),
            at: extras.at.unwrap_or(world.now).min(world.now),
            properties: Json::Object(extras.values.clone()).to_string(),
            historical: extras.historical,
            names: who.names(),
            page: extras.page.clone(),
            hops: 0,
        };
        world.happen(id, Fact::Event(event));
    }
    Ok(())
}

fn write(world: &mut World, who: &Who<'_>, pieces: &[&str]) -> Done {
    let extras = extras(pieces)?;
    let event_id = extras.id.unwrap_or_else(|| world.next_id());
    if !world.is_new(event_id) {
        return Ok(());
    }
    let changes: BTreeMap<String, Option<Value>> = extras
        .values
        .iter()
        .map(|(key, value)| (canonical_key(key), Value::from_json(value)))
        .collect();
    let (id, names, historical) = (who.id(world), who.names(), extras.historical);
    world.happen(id, Fact::Attributes { id: event_id, changes, names, historical });
    Ok(())
}

fn receive(
    world: &mut World,
    who: &Who<'_>,
    outreach: &str,
    kind: ReceiptKind,
    pieces: &[&str],
) -> Done {
    let extras = extras(pieces)?;
    let receipt_id = extras.id.unwrap_or_else(|| world.next_id());
    if !world.is_new(receipt_id) {
        return Ok(());
    }
    let id = who.id(world);
    let delivery = world.delivery(id, outreach)?;
    let fact = Fact::Receipt {
        id: receipt_id,
        delivery: delivery.id,
        outreach: delivery.outreach,
        kind,
        at: extras.at.unwrap_or(world.now),
        detail: Json::Object(extras.values).to_string(),
    };
    world.happen(id, fact);
    Ok(())
}

/// Note what lies in the inbox.
fn look(world: &mut World, who: &Who<'_>) {
    let id = who.id(world);
    let customer = world.customer(id);
    let names: Vec<String> = hand_over::inbox(&world.project, &customer, world.now)
        .iter()
        .filter_map(|delivery| world.project.outreaches.get(&delivery.outreach))
        .map(|line| line.id.clone())
        .collect();
    let names = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
    let (Who::User(name) | Who::Guest(name)) = who;
    world.ledger.note(world.now, name, "inbox", &names);
}
