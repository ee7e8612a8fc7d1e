//! The corpus of definitions: what is valid compiles, what is invalid says exactly why.
//!
//! The corpus is complete: each kind the schema knows occurs in a valid definition, and each code a
//! problem can have occurs in an invalid one. Who adds an operator adds a fixture, or this fails.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

use engine::ids::{OutreachNo, ProjectNo};
use engine::outreach::compile;
use engine::outreach::definition::{Condition, Definition};
use engine::outreach::problem::{CODES, Problem};
use engine::project::{Project, Segment, Settings};
use engine::time::Zone;
use serde_json::{Value as Json, json};
use utoipa::{PartialSchema as _, ToSchema as _};

#[test]
fn every_valid_definition_compiles_and_is_written_as_it_was_read() {
    for (name, json) in corpus("valid") {
        let definition = compile::read(&json.to_string())
            .unwrap_or_else(|problems| panic!("{name} cannot be read: {problems:#?}"));
        let compiled = compile::compile(&project(), OutreachNo(9), "new", 1, &definition);
        let outreach =
            compiled.unwrap_or_else(|problems| panic!("{name} does not compile: {problems:#?}"));
        assert_eq!(outreach.definition, definition, "{name}");
        let written = serde_json::to_value(&definition).unwrap();
        let again: Definition = serde_json::from_value(written.clone()).unwrap();
        assert_eq!(again, definition, "{name}");
        assert_eq!(plain(&written), plain(&json), "{name}");
        outreach.content.variables();
    }
}

#[test]
fn every_invalid_definition_says_where_and_what() {
    for (name, case) in corpus("invalid") {
        let problems = problems_of(&case);
        let found: Vec<Json> = problems
            .iter()
            .map(|problem| json!({"pointer": problem.pointer, "code": problem.code}))
            .collect();
        assert_eq!(Json::Array(found), case["problems"], "{name}: {problems:#?}");
        for problem in problems {
            assert!(problem.message.ends_with(['.', '?']), "{name}: {problem:?}");
        }
    }
}

#[test]
fn every_kind_occurs_in_a_valid_definition() {
    let mut seen = Seen { schemas: schemas(), kinds: BTreeSet::new() };
    for (_, json) in corpus("valid") {
        seen.visit("Definition", &seen.schemas["Definition"].clone(), &json);
    }
    let mut missing = Vec::new();
    // Lists of plain words, any of which would do as well as another.
    let words = ["OutreachType", "Weekday"];
    for (name, schema) in seen.schemas.iter().filter(|(name, _)| !words.contains(&name.as_str())) {
        for kind in kinds(schema) {
            if !seen.kinds.contains(&(name.clone(), kind.clone())) {
                missing.push(format!("{name} {kind}"));
            }
        }
    }
    assert!(missing.is_empty(), "no valid fixture has {missing:#?}");
}

#[test]
fn every_code_occurs_in_an_invalid_definition() {
    let mut codes: BTreeSet<&str> = CODES.iter().map(|(code, _)| *code).collect();
    let corpus = corpus("invalid");
    for case in corpus.values() {
        for problem in case["problems"].as_array().unwrap() {
            codes.remove(problem["code"].as_str().unwrap());
        }
    }
    assert!(codes.is_empty(), "no invalid fixture has {codes:?}");
}

#[test]
fn a_slip_is_answered_with_what_was_meant() {
    let problems = compile::read(
        r#"{"name":"A","triger":{},"trigger":{"kind":"evnt","event":"x"},
            "content":{"kind":"sms","text":"x"}}"#,
    )
    .unwrap_err();
    let messages: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
    assert!(messages[1].ends_with("Did you mean `event`?"), "{messages:?}");
    assert!(messages[0].ends_with("Did you mean `trigger`?"), "{messages:?}");
}

#[test]
fn content_renders_in_its_own_shape() {
    let json = corpus("valid").remove("webhook-with-standard-body").unwrap();
    let definition = compile::read(&json.to_string()).unwrap();
    let outreach = compile::compile(&project(), OutreachNo(9), "new", 1, &definition).unwrap();
    assert!(!outreach.content.can_refuse());
    assert!(!outreach.content.needs_event());
    let context = json!({
        "delivery_id": "dlv_1",
        "outreach": {"id": "new", "name": "A \"b\"", "version": 1},
        "customer": {"user_id": "u"},
        "sent_at": "2026-11-22T12:00:00.000Z",
    });
    let rendered = outreach.content.render(&context).unwrap();
    assert_eq!(rendered["url"], "https://crm.example.com/in");
    let body: Json = serde_json::from_str(rendered["body"].as_str().unwrap()).unwrap();
    assert_eq!(body["outreach"], context["outreach"]);
    assert_eq!(body["event"], Json::Null);
}

fn problems_of(case: &Json) -> Vec<Problem> {
    if let Some(filter) = case.get("filter") {
        let filter: Condition = compile::read_filter(&filter.to_string(), "/filter").unwrap();
        let id = case["segment"].as_str().unwrap();
        return compile::compile_segment(&project(), id, "/filter", &filter).unwrap_err();
    }
    let text = match case.get("text") {
        Some(text) => text.as_str().unwrap().to_owned(),
        None => repeated(case).to_string(),
    };
    match compile::read(&text) {
        Err(problems) => problems,
        Ok(definition) => compile::compile(&project(), OutreachNo(9), "new", 1, &definition)
            .err()
            .unwrap_or_default(),
    }
}

/// Long texts and lists are written once, with how often to repeat them.
fn repeated(case: &Json) -> Json {
    let mut definition = case["definition"].clone();
    let Some(repeat) = case.get("repeat") else { return definition };
    let times = usize::try_from(repeat["times"].as_u64().unwrap()).unwrap();
    let target = definition.pointer_mut(repeat["pointer"].as_str().unwrap()).unwrap();
    *target = match target {
        Json::String(text) => Json::String(text.repeat(times)),
        Json::Array(items) => Json::Array(vec![items[0].clone(); times]),
        other => panic!("{other} cannot be repeated"),
    };
    definition
}

fn corpus(folder: &str) -> BTreeMap<String, Json> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures/outreaches");
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(root.join(folder)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        found.insert(name, serde_json::from_str(&text).unwrap());
    }
    assert!(found.len() >= 25);
    found
}

/// The project the corpus is written for.
fn project() -> Project {
    let segment = |id: &str, filter: Json| {
        let filter: Condition = serde_json::from_value(filter).unwrap();
        let segment =
            Segment { id: id.into(), name: id.into(), filter: Some(filter), condition: None };
        (id.to_owned(), segment)
    };
    let paid = json!({"kind": "attribute", "attribute": "plan", "test": {"kind": "is_set"}});
    let staff =
        json!({"kind": "custom_attribute", "attribute": "staff", "test": {"kind": "is_true"}});
    let vip = json!({"kind": "any", "conditions": [{"kind": "segment", "segment": "payers"}]});
    Project {
        no: ProjectNo(1),
        id: "shop".into(),
        settings: Settings::default(),
        zone: Zone::utc(),
        quiet_hours: None,
        outreaches: BTreeMap::new(),
        numbers: HashMap::from([
            ("welcome".to_owned(), OutreachNo(1)),
            ("feature-tour".to_owned(), OutreachNo(2)),
        ]),
        segments: BTreeMap::from([
            segment("payers", paid),
            segment("staff", staff),
            segment("vip", vip),
        ]),
        by_event: HashMap::new(),
        by_property: Vec::new(),
        by_cancel_event: HashMap::new(),
        by_goal: HashMap::new(),
    }
}

/// JSON without what has a default and stands there anyway, and with one kind of number.
fn plain(json: &Json) -> Json {
    match json {
        Json::Number(number) => json!(number.as_f64()),
        Json::Array(items) => Json::Array(items.iter().map(plain).collect()),
        Json::Object(fields) => {
            let spelt_out = [
                ("test", json!({"kind": "performed"})),
                ("window", json!({"kind": "ever"})),
                ("advance", json!({"kind": "next"})),
                ("frequency", json!({"kind": "once"})),
                ("otherwise", json!("hold")),
                ("position", json!("top")),
            ];
            fields
                .iter()
                .filter(|(name, value)| !spelt_out.contains(&(name.as_str(), (*value).clone())))
                .map(|(name, value)| (name.clone(), plain(value)))
                .collect()
        }
        Json::Null | Json::Bool(_) | Json::String(_) => json.clone(),
    }
}

fn schemas() -> BTreeMap<String, Json> {
    let mut all = Vec::new();
    Definition::schemas(&mut all);
    Condition::schemas(&mut all);
    all.push(("Definition".to_owned(), Definition::schema()));
    all.push(("Condition".to_owned(), Condition::schema()));
    all.into_iter().map(|(name, schema)| (name, serde_json::to_value(schema).unwrap())).collect()
}

/// The kinds of a tagged type, or the words of an enumeration.
fn kinds(schema: &Json) -> Vec<String> {
    let text = |json: &Json| json.as_str().unwrap().to_owned();
    if let Some(words) = schema["enum"].as_array() {
        return words.iter().map(text).collect();
    }
    let choices = schema["oneOf"].as_array().into_iter().flatten();
    choices.filter_map(|choice| choice.pointer("/properties/kind/enum/0")).map(text).collect()
}

struct Seen {
    schemas: BTreeMap<String, Json>,
    kinds: BTreeSet<(String, String)>,
}

impl Seen {
    fn visit(&mut self, name: &str, schema: &Json, json: &Json) {
        if let Some(reference) = schema["$ref"].as_str() {
            let name = reference.rsplit('/').next().unwrap();
            return self.visit(name, &self.schemas[name].clone(), json);
        }
        if let Some(word) = json.as_str() {
            self.kinds.insert((name.to_owned(), word.to_owned()));
        }
        let kind = json["kind"].as_str();
        let choices = schema["oneOf"].as_array().cloned().unwrap_or_default();
        for choice in choices {
            let choice_kind = choice.pointer("/properties/kind/enum/0");
            if choice.get("$ref").is_some() || choice_kind.is_some_and(|own| own.as_str() == kind) {
                self.visit(name, &choice, json);
            }
        }
        if let Some(kind) = kind {
            self.kinds.insert((name.to_owned(), kind.to_owned()));
        }
        for (field, value) in json.as_object().into_iter().flatten() {
            let inner = &schema["properties"][field];
            if !inner.is_null() {
                self.visit("", inner, value);
            }
        }
        for item in json.as_array().into_iter().flatten() {
            self.visit("", &schema["items"], item);
        }
    }
}
