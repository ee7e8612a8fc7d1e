//! An outreach in words, line by line, as the JSON of a definition.

use serde_json::{Value as Json, json};

use super::condition::{self, Of};
use super::words::Words;

/// A definition that says nothing yet.
pub(super) fn blank(id: &str) -> Json {
    json!({ "name": id, "trigger": Json::Null, "content": Json::Null })
}

/// Write the lines of a body into a definition. In an edit, what no line speaks of stays.
pub(super) fn write(definition: &mut Json, body: &[String]) -> Result<(), String> {
    for line in body {
        for part in parts(line) {
            write_line(definition, &part).map_err(|error| format!("{part}: {error}"))?;
        }
    }
    Ok(())
}

/// `wait 10 minutes, cancel on order_cancelled` are two lines in one.
fn parts(line: &str) -> Vec<String> {
    let line = line.trim();
    let Some(place) = line.find(", cancel on ") else { return vec![line.to_owned()] };
    let mut all = vec![line[..place].to_owned()];
    all.extend(parts(&line[place + 2..]));
    all
}

fn write_line(definition: &mut Json, line: &str) -> Result<(), String> {
    if let Some(json) = line.strip_prefix("json ") {
        let Json::Object(extra) = serde_json::from_str(json).map_err(|error| error.to_string())?
        else {
            return Err("a JSON object expected".to_owned());
        };
        for (key, value) in extra {
            definition[key] = value;
        }
        return Ok(());
    }
    let mut words = Words::new(line)?;
    let known = rule(definition, &mut words, line)?
        || limit(definition, &mut words)?
        || content(definition, &mut words)?;
    if !known {
        return Err("no such line in an outreach".to_owned());
    }
    words.end()
}

/// Trigger, audience, frequency.
fn rule(definition: &mut Json, words: &mut Words, line: &str) -> Result<bool, String> {
    if words.eat("on") {
        definition["trigger"] = json!({ "kind": "event" });
        named_event(&mut definition["trigger"], words)?;
    } else if words.eat("when") {
        let condition = condition::either(words, Of::Customer)?;
        definition["trigger"] = json!({ "kind": "user_property", "where": condition });
    } else if words.eat("only new matches") {
        definition["trigger"]["include_current"] = json!(false);
    } else if words.eat("also current matches") {
        definition["trigger"]["include_current"] = json!(true);
    } else if words.eat("one-off") {
        definition["trigger"] = json!({ "kind": "one_off" });
        if words.eat("at") {
            definition["trigger"]["at"] = json!(words.moment()?);
        }
        definition["audience"]["kind"] = json!("one_off");
    } else if words.eat("audience") {
        if definition["audience"]["kind"].is_null() {
            definition["audience"]["kind"] = json!("dynamic");
        }
        definition["audience"]["filter"] = if words.eat("everyone") {
            Json::Null
        } else {
            condition::either(words, Of::Customer)?
        };
    } else if words.eat("frequency") {
        definition["frequency"] = frequency(words)?;
    } else if words.eat("wait") {
        definition["trigger"]["delay"] = words.span()?;
    } else if words.eat("cancel on") {
        let mut cancel = json!({});
        named_event(&mut cancel, words)?;
        push(&mut definition["trigger"]["cancel_on"], cancel);
    } else if words.eat("audience only at the trigger") || line == "no recheck" {
        words.eat("no recheck");
        definition["trigger"]["recheck_audience"] = json!(false);
    } else {
        return Ok(false);
    }
    Ok(true)
}

/// `signed_up where plan is free`
fn named_event(place: &mut Json, words: &mut Words) -> Result<(), String> {
    place["event"] = json!(words.word()?);
    if words.eat("where") {
        place["where"] = condition::either(words, Of::Event)?;
    }
    Ok(())
}

fn frequency(words: &mut Words) -> Result<Json, String> {
    if words.eat("once per") {
        return Ok(json!({ "kind": "once_per_key", "property": words.word()? }));
    }
    if words.eat("once") {
        return Ok(json!({ "kind": "once" }));
    }
    if words.eat("every time") {
        return Ok(json!({ "kind": "every_time" }));
    }
    if words.eat("at most once per") {
        let mut frequency = words.span()?;
        frequency["kind"] = json!("at_most_once_per");
        return Ok(frequency);
    }
    if words.eat("at most") {
        let times = words.whole()?;
        words.expect("times")?;
        return Ok(json!({ "kind": "at_most", "times": times }));
    }
    words.expect("until answered")?;
    let mut frequency = json!({ "kind": "until_answered" });
    words.eat(",");
    if words.eat("at most once per") {
        frequency["at_most_once_per"] = words.span()?;
    }
    Ok(frequency)
}

/// Schedule, pages, guardrails, goal.
fn limit(definition: &mut Json, words: &mut Words) -> Result<bool, String> {
    if words.eat("starts") {
        definition["schedule"]["start"] = json!(words.moment()?);
    } else if words.eat("stops") {
        definition["schedule"]["stop"] = json!(words.moment()?);
    } else if words.eat("page") {
        let rule = page(words)?;
        push(&mut definition["pages"], rule);
    } else if words.eat("cap") {
        let cap = cap(words)?;
        push(&mut definition["guardrails"]["caps"], cap);
    } else if words.eat("quiet hours") {
        definition["guardrails"]["quiet_hours"] = quiet_hours(words)?;
    } else if words.eat("send only") {
        let window = send_window(words)?;
        push(&mut definition["guardrails"]["send_windows"], window);
    } else if words.eat("priority") {
        definition["guardrails"]["priority"] = json!(words.number()? as i64);
    } else if words.eat("holdout") {
        definition["guardrails"]["holdout_percent"] = json!(words.number()?);
    } else if words.eat("ignores project limits") {
        definition["guardrails"]["ignore_project_limits"] = json!(true);
    } else if words.eat("goal") {
        let mut goal = json!({ "event": words.word()? });
        words.expect("within")?;
        goal["within"] = words.span()?;
        if words.eat("where") {
            goal["where"] = condition::either(words, Of::Event)?;
        }
        definition["goal"] = goal;
    } else if words.eat("tag") {
        let tag = json!(words.word()?);
        push(&mut definition["tags"], tag);
    } else if words.eat("expires after") {
        definition["expires_after"] = words.span()?;
    } else {
        return Ok(false);
    }
    Ok(true)
}

fn push(place: &mut Json, value: Json) {
    match place {
        Json::Array(items) => items.push(value),
        _ => *place = json!([value]),
    }
}

fn page(words: &mut Words) -> Result<Json, String> {
    for (phrase, kind) in [
        ("is not", "is_not"),
        ("is", "is"),
        ("contains", "contains"),
        ("does not contain", "does_not_contain"),
        ("starts with", "starts_with"),
        ("ends with", "ends_with"),
        ("matches", "matches"),
    ] {
        if words.eat(phrase) {
            return Ok(json!({ "kind": kind, "value": words.word()? }));
        }
    }
    Err(format!("a comparison of pages expected {}", words.here()))
}

/// `2 per 7 days over email`, `over everything`, `over tag promo`
pub(super) fn cap(words: &mut Words) -> Result<Json, String> {
    let times = words.whole()?;
    words.expect("per")?;
    let per = words.span()?;
    words.expect("over")?;
    let over = if words.eat("everything") {
        json!({ "kind": "everything" })
    } else if words.eat("tag") {
        json!({ "kind": "tag", "tag": words.word()? })
    } else {
        json!({ "kind": "channel", "channel": words.word()? })
    };
    Ok(json!({ "over": over, "times": times, "per": per }))
}

/// `22:00 to 08:00`, `22:00 to 08:00 or skip`
pub(super) fn quiet_hours(words: &mut Words) -> Result<Json, String> {
    let from = words.word()?;
    words.expect("to")?;
    let mut hours = json!({ "from": from, "to": words.word()? });
    if words.eat("or skip") {
        hours["otherwise"] = json!("skip");
    }
    Ok(hours)
}

/// `monday tuesday 09:00 to 17:00`
fn send_window(words: &mut Words) -> Result<Json, String> {
    let mut days = Vec::new();
    let mut word = words.word()?;
    while word.ends_with("day") {
        days.push(word);
        word = words.word()?;
    }
    words.expect("to")?;
    let mut window = json!({ "from": word, "to": words.word()? });
    if !days.is_empty() {
        window["days"] = json!(days);
    }
    Ok(window)
}

/// `by email`, `by email topic news saying "Hello {{ customer.first_name }}"`
fn content(definition: &mut Json, words: &mut Words) -> Result<bool, String> {
    if !words.eat("by") {
        return Ok(false);
    }
    let kind = words.word()?;
    let (mut topic, mut transactional, mut says) = (String::new(), false, "Hello".to_owned());
    loop {
        if words.eat("topic") {
            topic = words.word()?;
        } else if words.eat("transactional") {
            transactional = true;
        } else if words.eat("saying") {
            says = words.word()?;
        } else {
            break;
        }
    }
    let paragraph = json!({ "kind": "paragraph", "text": says });
    let mut content = match kind.as_str() {
        "email" => json!({
            "subject": says, "text": says, "topic": topic, "transactional": transactional,
        }),
        "message" => json!({ "body": [paragraph] }),
        "push" => json!({ "title": says, "body": says }),
        "survey" => json!({ "questions": [{ "kind": "nps", "id": "q", "text": says }] }),
        "tour" => json!({ "steps": [{ "title": says }] }),
        "checklist" => json!({ "title": says, "items": [{ "id": "a", "text": says }] }),
        "banner" => json!({ "text": says }),
        "modal" => json!({ "title": says }),
        "tooltip" => json!({ "target": ["#help"], "body": [paragraph] }),
        "news" => json!({ "title": says, "body": [paragraph] }),
        "webhook" => json!({ "url": "https://example.com/hook" }),
        "sms" | "whatsapp" => json!({ "text": says }),
        _ => return Err(format!("{kind:?} is no type of an outreach")),
    };
    content["kind"] = json!(kind);
    definition["content"] = content;
    Ok(true)
}
