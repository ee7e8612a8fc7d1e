//! Customers, events and outreaches to measure with: the same in every run, like nobody's in
//! particular.
//!
//! Twenty names of events, a thousand articles, twenty attributes. Nine outreaches of ten ask for
//! one article; the tenth asks for a high amount and so cannot be found by equality. A third of
//! them ask how often something happened in the last seven days.

use std::fmt::Write as _;

use serde_json::{Value, json};
use trials::dice::Dice;

const NAMES: u64 = 20;
const ARTICLES: u64 = 1_000;
const PLANS: [&str; 4] = ["free", "starter", "pro", "enterprise"];
const COUNTRIES: [&str; 8] = ["de", "fr", "it", "es", "pl", "at", "ch", "nl"];
/// Bytes of an event as an item of a batch.
pub(crate) const EVENT_BYTES: usize = 300;

/// Dice of their own for each number, so that any thread can make any part of the world.
fn dice(kind: u64, number: u64) -> Dice {
    let mut dice = Dice::new(kind.wrapping_mul(0x1234_5678_9abc_def1) ^ number);
    dice.any();
    dice
}

fn one_of<'a>(list: &[&'a str], dice: &mut Dice) -> &'a str {
    let place = usize::try_from(dice.below(list.len() as u64)).unwrap_or(0);
    list.get(place).copied().unwrap_or_default()
}

/// Customers by number; the first are far more active than the last (zipf-like).
fn somebody(dice: &mut Dice, customers: u64) -> u64 {
    // The product of two throws is small more often than large.
    let one = dice.below(1 << 20) as f64 / f64::from(1 << 20);
    let other = dice.below(1 << 20) as f64 / f64::from(1 << 20);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below customers")]
    let number = (one * other * customers as f64) as u64;
    number
}

/// An event as an item of a batch: [`EVENT_BYTES`] long, of one of the customers.
pub(crate) fn event(run: u64, number: u64, customers: u64, into: &mut String) {
    let mut dice = dice(run + 1, number);
    let begin = into.len();
    let user = somebody(&mut dice, customers);
    let _ = write!(
        into,
        "{{\"type\":\"track\",\"messageId\":\"{}\",\"userId\":\"u{user}\",\"event\":\"event {}\",\
         \"properties\":{}",
        message(run, number),
        dice.below(NAMES),
        properties(&mut dice),
    );
    // The last property takes what is missing.
    into.pop();
    let missing = EVENT_BYTES.saturating_sub(into.len() - begin + ",\"note\":\"\"}}".len());
    into.push_str(",\"note\":\"");
    (0..missing).for_each(|_| into.push('x'));
    into.push_str("\"}}");
}

/// The id of an event's message.
pub(crate) fn message(run: u64, number: u64) -> String {
    format!("bench-{run:x}-{number:08x}")
}

/// The properties of an event.
pub(crate) fn properties(dice: &mut Dice) -> String {
    format!(
        "{{\"article\":\"a{}\",\"amount\":{},\"currency\":\"EUR\",\"quantity\":{},\
         \"path\":\"/shop/articles/{}\",\"campaign\":\"campaign {}\"}}",
        dice.below(ARTICLES),
        dice.below(101),
        dice.below(9) + 1,
        dice.below(100_000),
        dice.below(40),
    )
}

/// The parts of an event for a caller inside the process: customer, name, properties.
pub(crate) fn event_parts(run: u64, number: u64, customers: u64) -> (u64, String, String) {
    let mut dice = dice(run + 1, number);
    let user = somebody(&mut dice, customers);
    (user, format!("event {}", dice.below(NAMES)), properties(&mut dice))
}

/// A customer as an item of a batch: twenty attributes.
pub(crate) fn customer(number: u64, into: &mut String) {
    let mut dice = dice(u64::MAX, number);
    let _ = write!(
        into,
        "{{\"type\":\"identify\",\"messageId\":\"c{number:x}\",\"userId\":\"u{number}\",\"traits\":{{\
         \"email\":\"u{number}@example.com\",\"plan\":\"{}\",\"country\":\"{}\",\"city\":\"city {}\",\
         \"language\":\"{}\",\"age\":{},\"company_name\":\"company {}\",\"company_size\":{},\
         \"value\":{}",
        one_of(&PLANS, &mut dice),
        one_of(&COUNTRIES, &mut dice),
        dice.below(500),
        one_of(&COUNTRIES, &mut dice),
        dice.below(70) + 18,
        dice.below(10_000),
        dice.below(2_000),
        dice.below(100_000),
    );
    for place in 0..11 {
        let _ = write!(into, ",\"attribute{place}\":\"value {}\"", dice.below(200));
    }
    into.push_str("}}");
}

/// An outreach with a rule of two to four conditions.
pub(crate) fn outreach(number: u64) -> Value {
    let mut dice = dice(u64::MAX - 1, number);
    let broad = number % 10 == 9;
    let mut happened = vec![];
    if !broad {
        happened.push(json!({"kind": "property", "property": "article",
            "test": {"kind": "is", "value": format!("a{}", dice.below(ARTICLES))}}));
    }
    let least = if broad { 97 } else { dice.below(100) };
    happened.push(json!({"kind": "property", "property": "amount",
        "test": {"kind": "at_least", "value": least}}));
    let mut who = vec![json!({"kind": "attribute", "attribute": "plan",
        "test": {"kind": "is", "value": one_of(&PLANS, &mut dice)}})];
    if number.is_multiple_of(3) {
        who.push(json!({"kind": "event", "event": format!("event {}", dice.below(NAMES)),
            "test": {"kind": "count", "count": {"kind": "at_least", "n": 2}},
            "window": {"kind": "last", "amount": 7, "unit": "days"}}));
    }
    json!({
        "name": format!("Outreach {number}"),
        "trigger": {"kind": "event", "event": format!("event {}", number % NAMES),
            "where": {"kind": "all", "conditions": happened}},
        "audience": {"kind": "dynamic", "filter": {"kind": "all", "conditions": who}},
        "content": {"kind": "modal", "title": "Hello"}
    })
}

/// A one-off to everybody.
pub(crate) fn news() -> Value {
    json!({
        "name": "News",
        "trigger": {"kind": "one_off"},
        "audience": {"kind": "one_off"},
        "content": {"kind": "news", "title": "News", "body": [{"kind": "paragraph", "text": "Hello."}]}
    })
}

/// A webhook for each event of a name, to an address that says which event it was.
pub(crate) fn webhook(event: &str, base: &str) -> Value {
    json!({
        "name": format!("Webhook on {event}"),
        "trigger": {"kind": "event", "event": event},
        "frequency": {"kind": "every_time"},
        "content": {"kind": "webhook", "url": format!("{base}/{{{{ event.properties.number }}}}")}
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_have_their_size_and_are_json() {
        for number in [0, 1, 99_999, 100_000_000] {
            let mut text = String::new();
            event(7, number, 1_000_000, &mut text);
            assert_eq!(text.len(), EVENT_BYTES);
            let json: Value = serde_json::from_str(&text).unwrap();
            assert!(json["properties"]["amount"].is_number());
        }
        let mut text = String::new();
        customer(3, &mut text);
        let json: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["traits"].as_object().unwrap().len(), 20);
    }
}
