//! Attributes as clients send them: traits, the traits of a group, and what a context says.

use std::collections::BTreeMap;

use engine::customer::canonical_key;
use engine::time::Zone;
use engine::value::Value;
use serde_json::{Map, Value as Json};

use super::json::escape;
use crate::http::error::{ApiError, Code};
use crate::limits;

/// Canonical key → value; `None` removes.
pub(crate) type Changes = BTreeMap<String, Option<Value>>;

/// Computed from the facts; a client cannot write them.
const COMPUTED: &[&str] = &["user_id", "first_seen", "last_seen", "session_count", "is_guest"];

/// The attributes that a JSON object writes: nested objects by dots, `null` removes.
pub(crate) fn from_object(json: Option<&Json>, pointer: &str) -> Result<Changes, ApiError> {
    let mut changes = Changes::new();
    match json {
        None | Some(Json::Null) => {}
        Some(Json::Object(fields)) => flatten(fields, "", pointer, &mut changes)?,
        Some(_) => return Err(not_an_object(pointer)),
    }
    if changes.len() > limits::PROPERTIES {
        let detail = format!("{} attributes; {} are allowed", changes.len(), limits::PROPERTIES);
        return Err(ApiError::at(Code::TooManyProperties, pointer, detail));
    }
    Ok(changes)
}

/// What membership of a group says of a customer: `company_…` attributes.
pub(crate) fn from_group(
    group_id: Option<String>,
    traits: Option<&Json>,
    pointer: &str,
) -> Result<Changes, ApiError> {
    let mut changes = Changes::new();
    if let Some(group_id) = group_id {
        changes.insert("company_id".to_owned(), Some(Value::Text(group_id)));
    }
    for (key, value) in from_object(traits, pointer)? {
        let key = match key.as_str() {
            "employees" => "size".to_owned(),
            _ => key,
        };
        changes.insert(canonical_key(&format!("company_{key}")), value);
    }
    Ok(changes)
}

/// What the context of a call says of the customer and is true of them beyond this call.
pub(crate) fn from_context(context: Option<&Json>, pointer: &str) -> Result<Changes, ApiError> {
    let Some(context) = context else { return Ok(Changes::new()) };
    let mut changes = Changes::new();
    let mut put = |key: &str, found: Option<&str>| {
        if let Some(found) = found.map(str::trim).filter(|text| !text.is_empty()) {
            changes.insert(key.to_owned(), Some(Value::Text(found.to_owned())));
        }
    };
    let text = |path: &str| context.pointer(path).and_then(Json::as_str);
    put("language", text("/locale"));
    put("timezone", text("/timezone").filter(|name| Zone::named(name).is_some()));
    put("os", text("/os/name"));
    put("device", text("/device/model"));
    put("app_version", text("/app/version"));
    changes.extend(from_object(context.get("traits"), &format!("{pointer}/traits"))?);
    Ok(changes)
}

fn flatten(
    fields: &Map<String, Json>,
    prefix: &str,
    pointer: &str,
    changes: &mut Changes,
) -> Result<(), ApiError> {
    for (name, json) in fields {
        let key = format!("{prefix}{name}");
        let here = format!("{pointer}/{}", escape(name));
        if let Json::Object(inner) = json {
            flatten(inner, &format!("{key}."), &here, changes)?;
            continue;
        }
        let key = canonical_key(&key);
        if key.is_empty() || COMPUTED.contains(&key.as_str()) {
            continue;
        }
        if key.chars().count() > limits::KEY_CHARS {
            let detail =
                format!("the name of an attribute has at most {} characters", limits::KEY_CHARS);
            return Err(ApiError::at(Code::InvalidBody, here, detail));
        }
        changes.insert(key, Value::from_json(json));
    }
    Ok(())
}

fn not_an_object(pointer: &str) -> ApiError {
    ApiError::at(Code::InvalidBody, pointer, "an object is expected here")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn text(value: &str) -> Option<Value> {
        Some(Value::Text(value.to_owned()))
    }

    #[test]
    fn traits_become_attributes() {
        let traits = json!({
            "firstName": "Mara", "plan": null, "address": {"city": "Linz", "geo": {"lat": 48.3}},
            "tags": ["a", 2], "favouriteColour": "red", "userId": "somebody else",
        });
        let changes = from_object(Some(&traits), "/traits").unwrap();
        assert_eq!(changes["first_name"], text("Mara"));
        assert_eq!(changes["plan"], None);
        assert_eq!(changes["address.city"], text("Linz"));
        assert_eq!(changes["address.geo.lat"], Some(Value::Number(48.3)));
        assert_eq!(changes["favouriteColour"], text("red"));
        assert!(!changes.contains_key("user_id"));
        assert_eq!(from_object(Some(&json!("x")), "/t").unwrap_err().code, Code::InvalidBody);
    }

    #[test]
    fn groups_become_company_attributes() {
        let traits = json!({"name": "Initech", "employees": 329, "plan": "pro", "stage": "seed"});
        let changes = from_group(Some("g1".to_owned()), Some(&traits), "/traits").unwrap();
        assert_eq!(changes["company_id"], text("g1"));
        assert_eq!(changes["company_name"], text("Initech"));
        assert_eq!(changes["company_size"], Some(Value::Number(329.0)));
        assert_eq!(changes["company_stage"], text("seed"));
    }

    #[test]
    fn a_context_tells_language_and_zone() {
        let context = json!({"locale": "de-AT", "timezone": "Europe/Vienna", "traits": {"plan": "pro"},
            "os": {"name": "iOS"}, "library": {"name": "x"}});
        let changes = from_context(Some(&context), "/context").unwrap();
        assert_eq!(changes["language"], text("de-AT"));
        assert_eq!(changes["timezone"], text("Europe/Vienna"));
        assert_eq!(changes["plan"], text("pro"));
        assert_eq!(changes.len(), 4);
        let nowhere = json!({"timezone": "Mars/Olympus"});
        assert!(from_context(Some(&nowhere), "/context").unwrap().is_empty());
    }
}
