//! Looking at JSON before it is parsed, and at texts after.

use serde_json::Value as Json;

use crate::http::error::{ApiError, Code};
use crate::limits;

/// Refuse what is nested deeper than anybody needs, before a recursive parser sees it.
pub(crate) fn check_depth(text: &[u8]) -> Result<(), ApiError> {
    let mut depth = 0usize;
    let mut in_text = false;
    let mut escaped = false;
    for byte in text {
        if in_text {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_text = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_text = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > limits::JSON_DEPTH {
            let limit = limits::JSON_DEPTH;
            let detail = format!("the JSON is nested more than {limit} levels deep");
            return Err(ApiError::new(Code::TooDeep, detail));
        }
    }
    Ok(())
}

/// A body that serde could not read: no JSON, or JSON of another form.
pub(crate) fn unreadable(error: &serde_json::Error) -> ApiError {
    let code = if error.is_data() { Code::InvalidBody } else { Code::InvalidJson };
    ApiError::new(code, error.to_string())
}

/// The pointer of the first text or key with a NUL character, below `pointer`.
pub(crate) fn nul_at(json: &Json, pointer: &str) -> Option<String> {
    // Nearly always there is none, and no place has to be named.
    if has_nul(json) { find_nul(json, pointer) } else { None }
}

fn has_nul(json: &Json) -> bool {
    match json {
        Json::String(text) => text.contains('\0'),
        Json::Array(items) => items.iter().any(has_nul),
        Json::Object(fields) => {
            fields.iter().any(|(key, value)| key.contains('\0') || has_nul(value))
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => false,
    }
}

fn find_nul(json: &Json, pointer: &str) -> Option<String> {
    match json {
        Json::String(text) => text.contains('\0').then(|| pointer.to_owned()),
        Json::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(index, item)| find_nul(item, &format!("{pointer}/{index}"))),
        Json::Object(fields) => fields.iter().find_map(|(key, value)| {
            if key.contains('\0') {
                return Some(pointer.to_owned());
            }
            find_nul(value, &format!("{pointer}/{}", escape(key)))
        }),
        Json::Null | Json::Bool(_) | Json::Number(_) => None,
    }
}

/// A key as a part of a JSON pointer.
pub(crate) fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_counted_outside_of_texts() {
        let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(check_depth(deep(64).as_bytes()).is_ok());
        assert!(check_depth(deep(65).as_bytes()).is_err());
        let text = format!("{{\"a\":\"{}\\\"{}\"}}", "[".repeat(100), "{".repeat(100));
        assert!(check_depth(text.as_bytes()).is_ok());
    }

    #[test]
    fn nul_characters_are_found_with_their_place() {
        let json: Json = serde_json::from_str(r#"{"a":{"b/c":["x","\u0000"]}}"#).unwrap();
        assert_eq!(nul_at(&json, "/batch/0").as_deref(), Some("/batch/0/a/b~1c/1"));
        let key: Json = serde_json::from_str(r#"{"a\u0000":1}"#).unwrap();
        assert_eq!(nul_at(&key, "").as_deref(), Some(""));
    }
}
