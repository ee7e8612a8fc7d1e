//! Conditions in words, as the JSON of a definition.
//!
//! `plan is free and (seats at least 10 or did report_exported at least 3 times in the last 30 days
//! where format is pdf) and not (in segment vip)`

use engine::customer::{STANDARD_ATTRIBUTES, canonical_key};
use serde_json::{Value as Json, json};

use super::words::Words;

/// Where a condition stands: names are attributes of the customer, or properties of an event.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Of {
    Customer,
    Event,
}

/// Read a condition from the whole text.
pub(super) fn read(text: &str, of: Of) -> Result<Json, String> {
    let mut words = Words::new(text)?;
    let condition = either(&mut words, of)?;
    words.end()?;
    Ok(condition)
}

/// `… or …`
pub(super) fn either(words: &mut Words, of: Of) -> Result<Json, String> {
    let mut conditions = vec![both(words, of)?];
    while words.eat("or") {
        conditions.push(both(words, of)?);
    }
    Ok(group("any", conditions))
}

/// `… and …`
fn both(words: &mut Words, of: Of) -> Result<Json, String> {
    let mut conditions = vec![single(words, of)?];
    while words.eat("and") {
        conditions.push(single(words, of)?);
    }
    Ok(group("all", conditions))
}

fn group(kind: &str, mut conditions: Vec<Json>) -> Json {
    match conditions.len() {
        1 => conditions.remove(0),
        _ => json!({ "kind": kind, "conditions": conditions }),
    }
}

/// A condition in brackets, or one without `and` and `or`.
fn single(words: &mut Words, of: Of) -> Result<Json, String> {
    if words.eat("not (") {
        let inner = bracketed(words, of)?;
        return Ok(json!({ "kind": "none", "conditions": [inner] }));
    }
    if words.eat("muted (") {
        let inner = bracketed(words, of)?;
        return Ok(json!({ "kind": "muted", "condition": inner }));
    }
    if words.eat("(") {
        return bracketed(words, of);
    }
    if of == Of::Customer {
        if let Some(condition) = event(words)? {
            return Ok(condition);
        }
        if let Some(condition) = outreach(words)? {
            return Ok(condition);
        }
        if let Some(condition) = member(words)? {
            return Ok(condition);
        }
    }
    value(words, of)
}

fn bracketed(words: &mut Words, of: Of) -> Result<Json, String> {
    let inner = either(words, of)?;
    words.expect(")")?;
    Ok(inner)
}

/// `did X at least 3 times in the last 7 days where … not counting this one`
fn event(words: &mut Words) -> Result<Option<Json>, String> {
    let mut test = if words.eat("did not do") {
        json!({ "kind": "not_performed" })
    } else if words.eat("did") {
        json!({ "kind": "performed" })
    } else if words.eat("first did") {
        json!({ "kind": "first" })
    } else if words.eat("last did") {
        json!({ "kind": "last" })
    } else {
        return Ok(None);
    };
    let mut condition = json!({ "kind": "event", "event": words.word()? });
    loop {
        if let Some(count) = count(words, "times")? {
            test = json!({ "kind": "count", "count": count });
        } else if let Some(window) = window(words)? {
            condition["window"] = window;
        } else if words.eat("where") {
            condition["where"] = single(words, Of::Event)?;
        } else if words.eat("not counting this one") {
            condition["exclude_trigger"] = json!(true);
        } else {
            break;
        }
    }
    condition["test"] = test;
    Ok(Some(condition))
}

/// `exactly 3 times`, `between 2 and 4 elements`
fn count(words: &mut Words, what: &str) -> Result<Option<Json>, String> {
    let (kind, phrase) = if words.is(0, "exactly") && words.is(2, what) {
        ("exactly", "exactly")
    } else if words.is(0, "at") && words.is(1, "least") && words.is(3, what) {
        ("at_least", "at least")
    } else if words.is(0, "at") && words.is(1, "most") && words.is(3, what) {
        ("at_most", "at most")
    } else if words.is(0, "between") && words.is(4, what) {
        words.expect("between")?;
        let min = words.whole()?;
        words.expect("and")?;
        let max = words.whole()?;
        words.expect(what)?;
        return Ok(Some(json!({ "kind": "between", "min": min, "max": max })));
    } else {
        return Ok(None);
    };
    words.expect(phrase)?;
    let n = words.whole()?;
    words.expect(what)?;
    Ok(Some(json!({ "kind": kind, "n": n })))
}

/// `in the last 7 days`, `between 2026-03-01 and 2026-03-31`, `since first seen`, `ever`
fn window(words: &mut Words) -> Result<Option<Json>, String> {
    if words.eat("in the last") {
        let mut window = words.span()?;
        window["kind"] = json!("last");
        return Ok(Some(window));
    }
    if words.eat("since first seen") {
        return Ok(Some(json!({ "kind": "since_first_seen" })));
    }
    if words.eat("ever") {
        return Ok(Some(json!({ "kind": "ever" })));
    }
    if words.eat("between") {
        let from = words.moment()?;
        words.expect("and")?;
        return Ok(Some(json!({ "kind": "between", "from": from, "to": words.moment()? })));
    }
    Ok(None)
}

/// `was sent welcome in the last 2 days`, `was not clicked welcome`
fn outreach(words: &mut Words) -> Result<Option<Json>, String> {
    for step in ["sent", "displayed", "clicked", "answered", "dismissed", "converted"] {
        let negate = words.eat(&format!("was not {step}"));
        if !negate && !words.eat(&format!("was {step}")) {
            continue;
        }
        let outreach = words.word()?;
        let mut condition = json!({ "kind": "outreach", "outreach": outreach, "was": step });
        if negate {
            condition["negate"] = json!(true);
        }
        if let Some(window) = window(words)? {
            condition["window"] = window;
        }
        return Ok(Some(condition));
    }
    Ok(None)
}

/// `in segment vip`, `not in segment vip`, `in bucket 20% from 10% salt spring`
fn member(words: &mut Words) -> Result<Option<Json>, String> {
    if words.eat("not in segment") {
        return Ok(Some(json!({ "kind": "segment", "segment": words.word()?, "negate": true })));
    }
    if words.eat("in segment") {
        return Ok(Some(json!({ "kind": "segment", "segment": words.word()? })));
    }
    if words.eat("in bucket") {
        let mut condition = json!({ "kind": "random_bucket", "percent": words.number()? });
        if words.eat("from") {
            condition["from"] = json!(words.number()?);
        }
        if words.eat("salt") {
            condition["salt"] = json!(words.word()?);
        }
        return Ok(Some(condition));
    }
    Ok(None)
}

/// `plan is free`, `seats at least 10`
fn value(words: &mut Words, of: Of) -> Result<Json, String> {
    let name = words.word()?;
    let test = test(words)?;
    if of == Of::Event {
        return Ok(json!({ "kind": "property", "property": name, "test": test }));
    }
    let key = canonical_key(&name);
    let standard = STANDARD_ATTRIBUTES.contains(&key.as_str());
    let kind = if standard { "attribute" } else { "custom_attribute" };
    Ok(json!({ "kind": kind, "attribute": key, "test": test }))
}

fn test(words: &mut Words) -> Result<Json, String> {
    for (phrase, kind) in [
        ("does not contain", "does_not_contain"),
        ("does not start with", "does_not_start_with"),
        ("contains", "contains"),
        ("starts with", "starts_with"),
        ("ends with", "ends_with"),
    ] {
        if words.eat(phrase) {
            return text(words, kind);
        }
    }
    if words.eat("matches regex") {
        let test = json!({ "kind": "matches_regex", "pattern": words.word()? });
        return Ok(exact_case(words, test));
    }
    if words.eat("has") {
        return list(words);
    }
    let is = words.eat("is");
    if is {
        for (phrase, kind) in [
            ("not set", "is_not_set"),
            ("set", "is_set"),
            ("empty", "is_empty"),
            ("true", "is_true"),
            ("false", "is_false"),
            ("an anniversary", "anniversary"),
        ] {
            if words.eat(phrase) {
                return Ok(json!({ "kind": kind }));
            }
        }
        if words.eat("any of") {
            let test = json!({ "kind": "is_any_of", "values": values(words)? });
            return Ok(exact_case(words, test));
        }
        if words.eat("none of") {
            let test = json!({ "kind": "is_none_of", "values": values(words)? });
            return Ok(exact_case(words, test));
        }
    }
    if let Some(test) = number_or_date(words)? {
        return Ok(test);
    }
    match is {
        true if words.eat("not") => text(words, "is_not"),
        true => text(words, "is"),
        false => Err(format!("a comparison expected {}", words.here())),
    }
}

fn text(words: &mut Words, kind: &str) -> Result<Json, String> {
    let test = json!({ "kind": kind, "value": words.word()? });
    Ok(exact_case(words, test))
}

fn exact_case(words: &mut Words, mut test: Json) -> Json {
    if words.eat("in exact case") {
        test["match_case"] = json!(true);
    }
    test
}

fn values(words: &mut Words) -> Result<Vec<String>, String> {
    let mut values = vec![words.word()?];
    while words.eat(",") {
        values.push(words.word()?);
    }
    Ok(values)
}

fn list(words: &mut Words) -> Result<Json, String> {
    for (phrase, kind) in [
        ("any of", "list_contains_any_of"),
        ("all of", "list_contains_all_of"),
        ("none of", "list_contains_none_of"),
    ] {
        if words.eat(phrase) {
            return Ok(json!({ "kind": kind, "values": values(words)? }));
        }
    }
    if let Some(count) = count(words, "elements")? {
        return Ok(json!({ "kind": "list_size", "count": count }));
    }
    Ok(json!({ "kind": "list_contains", "value": words.word()? }))
}

fn number_or_date(words: &mut Words) -> Result<Option<Json>, String> {
    for (phrase, kind) in [
        ("=", "equals"),
        ("equals", "equals"),
        ("!=", "not_equals"),
        (">=", "at_least"),
        ("at least", "at_least"),
        ("<=", "at_most"),
        ("at most", "at_most"),
        (">", "greater_than"),
        ("<", "less_than"),
    ] {
        if words.eat(phrase) {
            return Ok(Some(json!({ "kind": kind, "value": words.number()? })));
        }
    }
    for (phrase, number, date) in [
        ("more than", "greater_than", "more_than_ago"),
        ("less than", "less_than", "less_than_ago"),
        ("exactly", "equals", "exactly_ago"),
    ] {
        if words.eat(phrase) {
            let amount = words.number()?;
            return Ok(Some(match words.unit() {
                None => json!({ "kind": number, "value": amount }),
                Some(unit) => {
                    words.expect("ago")?;
                    json!({ "kind": date, "amount": amount as u64, "unit": unit })
                }
            }));
        }
    }
    for (phrase, kind) in [("in the next", "in_next"), ("in the last", "less_than_ago")] {
        if words.eat(phrase) {
            let mut test = words.span()?;
            test["kind"] = json!(kind);
            return Ok(Some(test));
        }
    }
    for kind in ["before", "on", "after"] {
        if words.eat(kind) {
            return Ok(Some(json!({ "kind": kind, "date": words.moment()? })));
        }
    }
    if words.eat("between") {
        let from = words.moment()?;
        words.expect("and")?;
        let to = words.moment()?;
        return Ok(Some(match (from.parse::<f64>(), to.parse::<f64>()) {
            (Ok(min), Ok(max)) => json!({ "kind": "between", "min": min, "max": max }),
            _ => json!({ "kind": "between_dates", "from": from, "to": to }),
        }));
    }
    Ok(None)
}
