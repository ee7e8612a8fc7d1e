//! Hostile values, at every place where clients and operators put data.

use super::{Piece, Target};

/// Where a value can stand; `@` is the value.
const PLACES: &[(&str, &str, &str)] = &[
    ("POST", "/v1/track", r#"{"userId":"p","event":"e","properties":{"a":@}}"#),
    ("POST", "/v1/track", r#"{"userId":@,"event":"e"}"#),
    ("POST", "/v1/track", r#"{"userId":"p","event":@}"#),
    ("POST", "/v1/track", r#"{"userId":"p","event":"e","timestamp":@,"sentAt":@}"#),
    ("POST", "/v1/track", r#"{"userId":"p","event":"e","messageId":@}"#),
    ("POST", "/v1/track", r#"{"userId":"p","event":"e","context":@}"#),
    ("POST", "/v1/track", "@"),
    ("POST", "/v1/identify", r#"{"userId":"p","traits":{"a":@,"b":{"c":@}}}"#),
    ("POST", "/v1/identify", r#"{"userId":"p","traits":{"name":@,"email":@,"phone":@}}"#),
    (
        "POST",
        "/v1/identify",
        r#"{"userId":"p","traits":{"timezone":@,"language":@,"createdAt":@}}"#,
    ),
    ("POST", "/v1/identify", r#"{"userId":"p","context":{"timezone":@,"locale":@,"traits":@}}"#),
    ("POST", "/v1/page", r#"{"anonymousId":@,"name":@,"properties":{"url":@,"title":@}}"#),
    ("POST", "/v1/screen", r#"{"userId":"p","name":@}"#),
    ("POST", "/v1/group", r#"{"userId":"p","groupId":@,"traits":{"employees":@}}"#),
    ("POST", "/v1/alias", r#"{"previousId":@,"userId":@}"#),
    ("POST", "/v1/batch", r#"{"batch":@}"#),
    ("POST", "/v1/batch", r#"{"batch":[@,{"type":"track","userId":"p","event":"e"}]}"#),
    (
        "POST",
        "/v1/batch",
        r#"{"batch":[{"type":"track","userId":"p","event":"e","properties":{"a":@}}],"sentAt":@}"#,
    ),
    (
        "POST",
        "/v1/import",
        r#"{"batch":[{"type":"identify","userId":"p","traits":{"a":@}}],"context":@}"#,
    ),
    ("POST", "/v1/collect", r#"{"userId":"p","events":[{"name":@,"properties":{"a":@},"at":@}]}"#),
    ("POST", "/v1/collect", r#"{"userId":@,"attributes":{"a":@},"id":@}"#),
    (
        "POST",
        "/v1/inbox/dlv_00000000000000000000000000/clicked?userId=p",
        r#"{"id":@,"detail":@,"at":@}"#,
    ),
    ("POST", "/api/v1/customers/search", r#"{"q":@,"cursor":@,"limit":@}"#),
    ("PUT", "/api/v1/customers/p/consent", r#"{"channel":"email","topic":@,"allowed":@}"#),
    ("POST", "/api/v1/customers/p/allow-again", r#"{"outreach":@}"#),
    ("PUT", "/api/v1/settings", r#"{"time_zone":@}"#),
    ("POST", "/api/v1/projects", r#"{"id":@}"#),
    ("POST", "/api/v1/segments", r#"{"id":@,"name":@,"filter":@}"#),
];

/// Numbers that are none, or too large for anything, as they stand in JSON.
const NUMBERS: &[&str] = &[
    "1e999",
    "-1e999",
    "1e-999",
    "NaN",
    "Infinity",
    "-0",
    "1e308",
    "5e-324",
    "18446744073709551616",
    "-9223372036854775809",
    "1000000000000000000",
    "-1000000000000000000",
    "0x10",
    "01",
    "1.",
    ".5",
];

/// Texts, as they stand between the quotes of JSON.
const TEXTS: &[&str] = &[
    "\\u0000",
    "a\\r\\nBcc: x@example.com",
    "\\ud800",
    "\\udfff\\ud800",
    "\\uFFFF\\uFFFE",
    "\\u202Eevil",
    "",
    " ",
    "../../etc/passwd",
    "Mars/Olympus",
    "UTC+99:99",
    "Europe/Vienna ",
    "%00",
    "{{ 7*7 }}",
    "'; DROP TABLE customers; --",
    "<script>alert(1)</script>",
    "cus_",
    "dlv_",
    "me@@x",
    "@",
    "a@[::1]",
    "+999999999-01-01T00:00:00Z",
    "-9999-01-01T00:00:00Z",
    "9999-12-31T23:59:60.999999999Z",
    "0000-00-00",
    "2026-02-30",
    "2026-13-01T25:61:61Z",
    "1000000000000000000",
    "-1000000000000000000",
    "2026-11-22T10:00:00+99:99",
    "__proto__",
    "constructor",
];

/// All of them at all places.
pub(super) fn pieces(target: &Target) -> Vec<Piece> {
    let values = values();
    let mut pieces = Vec::new();
    for (method, path, form) in PLACES {
        for (name, value) in &values {
            let body = fill(form, value);
            pieces.push(Piece {
                name: format!("{name} at {path} {form}"),
                bytes: target.request(method, path, "", &body),
                is_about_the_head: false,
                saves: None,
            });
        }
    }
    pieces
}

/// The form with the value at each place.
fn fill(form: &str, value: &[u8]) -> Vec<u8> {
    let parts: Vec<&[u8]> = form.split('@').map(str::as_bytes).collect();
    parts.join(value)
}

fn values() -> Vec<(String, Vec<u8>)> {
    let mut values: Vec<(String, Vec<u8>)> = Vec::new();
    let mut put = |name: &str, value: &[u8]| values.push((name.to_owned(), value.to_vec()));
    for depth in [60, 70, 1_000, 100_000] {
        put(&format!("{depth} lists"), ("[".repeat(depth) + &"]".repeat(depth)).as_bytes());
        let objects = "{\"a\":".repeat(depth) + "1" + &"}".repeat(depth);
        put(&format!("{depth} objects"), objects.as_bytes());
    }
    for number in NUMBERS {
        put(number, number.as_bytes());
    }
    put("a number of 20,000 digits", "9".repeat(20_000).as_bytes());
    for text in TEXTS {
        put(text, format!("\"{text}\"").as_bytes());
    }
    put("a text of 30 KB", format!("\"{}\"", "x".repeat(30_000)).as_bytes());
    put("a text of 600 KB", format!("\"{}\"", "x".repeat(600_000)).as_bytes());
    put("invalid UTF-8", b"\"\xff\xfe\"");
    put("an overlong NUL", b"\"\xc0\x80\"");
    put("a surrogate in UTF-8", b"\"\xed\xa0\x80\"");
    put("raw control characters", b"\"a\x01\x02\nb\"");
    put("no value", b"");
    put("a comment", b"/* x */ 1");
    put("two values", b"1 2");
    put("a half object", b"{\"a\":");
    put("a byte order mark", b"\xef\xbb\xbf1");
    put("the same key twice", br#"{"a":1,"a":{"a":2},"A":3," a ":4}"#);
    put("an empty key", br#"{"":1,".":2,"..":3,"a.b":4,"~":5,"/":6}"#);
    put("hostile keys", br#"{"a\r\nb":1,"\u202e":2,"__proto__":{"x":1},"customer.id":3}"#);
    put("a NUL in a key", br#"{"a\u0000b":1}"#);
    put("a key of 20 KB", format!("{{\"{}\":1}}", "k".repeat(20_000)).as_bytes());
    put("a key of 400 KB", format!("{{\"{}\":1}}", "k".repeat(400_000)).as_bytes());
    let many: Vec<String> = (0..2_000).map(|key| format!("\"k{key}\":{key}")).collect();
    put("2,000 keys", format!("{{{}}}", many.join(",")).as_bytes());
    put("a list of 10,000", format!("[{}]", vec!["1"; 10_000].join(",")).as_bytes());
    values
}
