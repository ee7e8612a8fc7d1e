//! Reading JSON against the schema of the definition, so that each fault of form has its place.
//!
//! The deserializer stops at the first fault and forgets where it was inside tagged enums. The
//! schema that the API publishes comes from the same types, so walking it finds every fault, with
//! its pointer and the names that are allowed there, and it cannot drift from the types.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde_json::{Map, Value as Json};
use utoipa::{PartialSchema as _, ToSchema as _};

use super::names::{nearest, one_of};
use crate::outreach::definition::{Condition, Definition};
use crate::outreach::problem::Problem;

/// The longest definition. The largest part is an email's HTML.
pub(super) const DEFINITION_BYTES: usize = 1024 * 1024;

/// Read JSON as the type of this name in the schema.
pub(super) fn read<T: serde::de::DeserializeOwned>(
    json: &str,
    type_name: &str,
    pointer: &str,
) -> Result<T, Vec<Problem>> {
    if json.len() > DEFINITION_BYTES {
        let message = format!(
            "The definition has {} bytes; at most {DEFINITION_BYTES} are allowed.",
            json.len()
        );
        return Err(vec![Problem::new(pointer, "definition_too_long", message)]);
    }
    let malformed = |error: &serde_json::Error| {
        vec![Problem::new(pointer, "malformed_json", format!("This is not JSON: {error}."))]
    };
    let tree: Json = serde_json::from_str(json).map_err(|error| malformed(&error))?;
    let mut form = Form { schemas: schemas(), problems: Vec::new() };
    if let Some(schema) = form.schemas.get(type_name) {
        form.check(schema, &tree, pointer);
    }
    if !form.problems.is_empty() {
        form.problems.sort();
        return Err(form.problems);
    }
    serde_json::from_str(json).map_err(|error| malformed(&error))
}

fn schemas() -> &'static BTreeMap<String, Json> {
    static SCHEMAS: OnceLock<BTreeMap<String, Json>> = OnceLock::new();
    SCHEMAS.get_or_init(|| {
        let mut all = Vec::new();
        Definition::schemas(&mut all);
        Condition::schemas(&mut all);
        all.push(("Definition".to_owned(), Definition::schema()));
        all.push(("Condition".to_owned(), Condition::schema()));
        all.into_iter()
            .filter_map(|(name, schema)| Some((name, serde_json::to_value(schema).ok()?)))
            .collect()
    })
}

struct Form {
    schemas: &'static BTreeMap<String, Json>,
    problems: Vec<Problem>,
}

impl Form {
    fn add(&mut self, pointer: &str, code: &str, message: String) {
        self.problems.push(Problem::new(pointer, code, message));
    }

    fn check(&mut self, schema: &'static Json, json: &Json, pointer: &str) {
        if let Some(reference) = schema.get("$ref").and_then(Json::as_str) {
            let name = reference.rsplit('/').next().unwrap_or(reference);
            if let Some(schema) = self.schemas.get(name) {
                self.check(schema, json, pointer);
            }
            return;
        }
        if let Some(choices) = schema.get("oneOf").and_then(Json::as_array) {
            return self.check_choice(choices, json, pointer);
        }
        match (type_of(schema), json) {
            (Kind::OrNull, Json::Null | Json::String(_)) | (Kind::Boolean, Json::Bool(_)) => {}
            (Kind::Number, Json::Number(_)) => {}
            (Kind::Text, Json::String(word)) => self.check_word(schema, word, pointer),
            (Kind::Whole, Json::Number(number)) => self.check_whole(schema, number, pointer),
            (Kind::List, Json::Array(items)) => {
                let Some(schema) = schema.get("items") else { return };
                for (place, item) in items.iter().enumerate() {
                    self.check(schema, item, &format!("{pointer}/{place}"));
                }
            }
            (Kind::Object, Json::Object(fields)) => self.check_object(schema, fields, pointer),
            (expected, found) => self.wrong_type(expected.name(), found, pointer),
        }
    }

    fn wrong_type(&mut self, expected: &str, found: &Json, pointer: &str) {
        let message = format!("{expected} is expected here, not {}.", name_of(found));
        self.add(pointer, "wrong_type", message);
    }

    fn check_choice(&mut self, choices: &'static [Json], json: &Json, pointer: &str) {
        let is_null = |choice: &Json| choice.get("type") == Some(&Json::from("null"));
        if choices.iter().any(is_null) {
            if let Some(choice) = choices.iter().find(|choice| !is_null(choice) && !json.is_null())
            {
                self.check(choice, json, pointer);
            }
            return;
        }
        if choices.iter().all(|choice| kind_of(choice).is_some()) {
            return self.check_tagged(choices, json, pointer);
        }
        match json {
            Json::String(_) | Json::Number(_) | Json::Bool(_) => {}
            Json::Null | Json::Array(_) | Json::Object(_) => {
                self.wrong_type("A text, a number, true or false", json, pointer);
            }
        }
    }

    fn check_tagged(&mut self, choices: &'static [Json], json: &Json, pointer: &str) {
        let Json::Object(fields) = json else {
            return self.wrong_type("An object with a `kind`", json, pointer);
        };
        let kinds: Vec<&str> = choices.iter().filter_map(kind_of).collect();
        let here = format!("{pointer}/kind");
        match fields.get("kind") {
            None => {
                let message = format!("`kind` is missing; add one of {}.", one_of(&kinds));
                self.add(&here, "missing_field", message);
            }
            Some(Json::String(kind)) => {
                let choice = choices.iter().find(|choice| kind_of(choice) == Some(kind.as_str()));
                match choice {
                    Some(choice) => self.check_object(choice, fields, pointer),
                    None => self.unknown(&here, "unknown_kind", kind, &kinds),
                }
            }
            Some(other) => self.wrong_type("A text", other, &here),
        }
    }

    fn unknown(&mut self, pointer: &str, code: &str, found: &str, allowed: &[&str]) {
        let hint = nearest(found, allowed.iter().copied())
            .map_or(String::new(), |name| format!(" Did you mean `{name}`?"));
        let message = match (code, allowed) {
            (_, []) => format!("`{found}` has no place here; remove it."),
            ("unknown_field", _) => {
                format!("There is no field `{found}` here; allowed are {}.{hint}", one_of(allowed))
            }
            (_, _) => format!("`{found}` is not known; use one of {}.{hint}", one_of(allowed)),
        };
        self.add(pointer, code, message);
    }

    fn check_object(&mut self, schema: &'static Json, fields: &Map<String, Json>, pointer: &str) {
        let none = Map::new();
        let known = schema.get("properties").and_then(Json::as_object);
        let names: Vec<&str> = known
            .unwrap_or(&none)
            .keys()
            .map(String::as_str)
            .filter(|name| *name != "kind")
            .collect();
        for (name, value) in fields {
            let here = format!("{pointer}/{}", escape(name));
            match known.and_then(|known| known.get(name)) {
                Some(schema) => self.check(schema, value, &here),
                None => self.unknown(&here, "unknown_field", name, &names),
            }
        }
        let required = schema.get("required").and_then(Json::as_array);
        for name in required.into_iter().flatten().filter_map(Json::as_str) {
            if !fields.contains_key(name) {
                let about = known.and_then(|known| known.get(name)).and_then(description);
                let about = about.map_or(String::new(), |about| format!(" ({about})"));
                let message = format!("`{name}` is missing; add it{about}.");
                self.add(&format!("{pointer}/{name}"), "missing_field", message);
            }
        }
    }

    fn check_word(&mut self, schema: &'static Json, word: &str, pointer: &str) {
        let Some(allowed) = schema.get("enum").and_then(Json::as_array) else { return };
        let allowed: Vec<&str> = allowed.iter().filter_map(Json::as_str).collect();
        if !allowed.contains(&word) {
            self.unknown(pointer, "unknown_word", word, &allowed);
        }
    }

    fn check_whole(&mut self, schema: &Json, number: &serde_json::Number, pointer: &str) {
        if !number.is_i64() && !number.is_u64() {
            return self.wrong_type("A whole number", &Json::Number(number.clone()), pointer);
        }
        let unsigned = schema.get("minimum").is_some();
        let small = schema.get("format") == Some(&Json::from("int32"));
        let fits = match (number.as_i64(), small, unsigned) {
            (Some(number), true, true) => u32::try_from(number).is_ok(),
            (Some(number), true, false) => i32::try_from(number).is_ok(),
            (Some(number), false, true) => number >= 0,
            (Some(_), false, false) => true,
            (None, small, unsigned) => unsigned && !small,
        };
        if !fits {
            let message = match unsigned {
                true => format!("{number} does not fit here; use a whole number from 0 upwards."),
                false => format!("{number} does not fit here; use a smaller whole number."),
            };
            self.add(pointer, "number_out_of_range", message);
        }
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Text,
    /// A text that can be null.
    OrNull,
    Number,
    Whole,
    Boolean,
    List,
    Object,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Text | Kind::OrNull => "A text",
            Kind::Number => "A number",
            Kind::Whole => "A whole number",
            Kind::Boolean => "true or false",
            Kind::List => "A list",
            Kind::Object => "An object",
        }
    }
}

fn type_of(schema: &Json) -> Kind {
    match schema.get("type").and_then(Json::as_str) {
        Some("string") => Kind::Text,
        Some("number") => Kind::Number,
        Some("integer") => Kind::Whole,
        Some("boolean") => Kind::Boolean,
        Some("array") => Kind::List,
        Some(_) => Kind::Object,
        None => Kind::OrNull,
    }
}

fn name_of(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(_) => "true or false",
        Json::Number(number) if number.is_f64() => "a number with a fraction",
        Json::Number(_) => "a number",
        Json::String(_) => "a text",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    }
}

/// The kind that a choice of a tagged enum is for.
fn kind_of(choice: &Json) -> Option<&str> {
    choice.pointer("/properties/kind/enum/0").and_then(Json::as_str)
}

/// The first sentence about a field, from its doc comment.
fn description(schema: &Json) -> Option<&str> {
    let text = schema.get("description").or_else(|| schema.pointer("/oneOf/0/description"))?;
    let text = text.as_str()?;
    Some(text.split(['\n', ';']).next().unwrap_or(text).trim_end_matches('.'))
}

/// A name as a part of a JSON pointer.
fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
