use super::*;
use engine::value::Value;
use serde_json::json;

const RECEIVED: Timestamp = Timestamp(1_767_225_600_000); // 2026-01-01T00:00:00Z

fn envelope() -> Envelope<'static> {
    Envelope { received: RECEIVED, sent: None, context: None, historical: false }
}

fn read(kind: &str, call: Json) -> Result<Command, ApiError> {
    read_call(CallType::named(kind).unwrap(), &call, "/batch/3", envelope())
}

fn track(kind: &str, call: Json) -> Track {
    match read(kind, call).unwrap() {
        Command::Track(track) => track,
        other => panic!("an event is expected, not {other:?}"),
    }
}

fn refusal(kind: &str, call: Json) -> (Code, String) {
    let error = read(kind, call).unwrap_err();
    (error.code, error.problems.first().map(|problem| problem.pointer.clone()).unwrap_or_default())
}

#[test]
fn a_track_call_as_the_node_client_sends_it() {
    let track = track(
        "track",
        json!({
            "type": "track", "userId": "mara", "event": " Order Placed ",
            "properties": {"total": 80, "items": [{"sku": "a"}]},
            "messageId": "node-next-1", "timestamp": "2025-12-31T23:59:00.000Z",
            "context": {"library": {"name": "@segment/analytics-node"}, "locale": "de-AT",
                        "page": {"url": "https://shop.example/cart"}},
            "integrations": {"All": false}, "_metadata": {"jsRuntime": "node"},
        }),
    );
    assert_eq!(track.name, "Order Placed");
    assert_eq!(track.message_id, "node-next-1");
    assert_eq!(track.at, Timestamp(RECEIVED.0 - 60_000));
    assert_eq!(track.page.as_deref(), Some("https://shop.example/cart"));
    assert_eq!(track.changes["language"], Some(Value::Text("de-AT".into())));
    assert!(!track.historical);
    let properties: Json = serde_json::from_str(&track.properties).unwrap();
    assert_eq!(properties, json!({"total": 80, "items": [{"sku": "a"}]}));
}

#[test]
fn pages_and_screens_are_events() {
    let page = track(
        "page",
        json!({
            "anonymousId": "a1", "name": "Pricing", "category": "Docs",
            "properties": {"path": "/own", "plan": "pro"},
            "context": {"page": {"url": "https://shop.example/pricing", "path": "/pricing"}},
        }),
    );
    assert_eq!(page.name, "pageView");
    assert_eq!(page.page.as_deref(), Some("https://shop.example/pricing"));
    let properties: Json = serde_json::from_str(&page.properties).unwrap();
    assert_eq!(
        properties,
        json!({"name": "Pricing", "category": "Docs", "path": "/own",
        "plan": "pro", "url": "https://shop.example/pricing"})
    );
    assert!(page.message_id.starts_with("auto-"));
    assert_eq!(track("screen", json!({"userId": 7, "name": "Home"})).name, "screenView");
}

#[test]
fn identify_writes_and_removes() {
    let call = json!({"userId": "mara", "anonymousId": "a1", "messageId": "m",
        "traits": {"plan": "pro", "phone": null}, "context": {"timezone": "Europe/Vienna"}});
    let Command::Identify { names, changes, historical, .. } = read("identify", call).unwrap()
    else {
        panic!("attributes are expected");
    };
    assert_eq!(names.user_id.as_deref(), Some("mara"));
    assert_eq!(names.anonymous_id.as_deref(), Some("a1"));
    assert_eq!(changes["phone"], None);
    assert_eq!(changes["timezone"], Some(Value::Text("Europe/Vienna".into())));
    assert!(!historical);
}

#[test]
fn history_is_marked_and_says_nothing_about_today() {
    for call in [
        json!({"userId": "m", "event": "x", "historical": true, "context": {"locale": "de"}}),
        json!({"userId": "m", "event": "x", "context": {"historical": true, "locale": "de"}}),
    ] {
        let track = track("track", call);
        assert!(track.historical);
        assert!(track.changes.is_empty());
    }
}

#[test]
fn refusals_name_code_and_place() {
    use Code::*;
    let long = "x".repeat(600);
    let many: Map<String, Json> = (0..501).map(|n| (n.to_string(), json!(n))).collect();
    for (kind, call, code, pointer) in [
        ("track", json!({"event": "x"}), MissingIdentity, "/batch/3"),
        ("track", json!({"event": "x", "userId": " "}), MissingIdentity, "/batch/3"),
        ("track", json!({"userId": "m"}), MissingEventName, "/batch/3/event"),
        ("track", json!({"userId": "m", "event": "  "}), MissingEventName, "/batch/3/event"),
        ("track", json!({"userId": "m", "event": long}), EventNameTooLong, "/batch/3/event"),
        ("track", json!({"userId": long, "event": "x"}), IdTooLong, "/batch/3/userId"),
        ("track", json!({"userId": [], "event": "x"}), InvalidBody, "/batch/3/userId"),
        (
            "track",
            json!({"userId": "m", "event": "x", "properties": many}),
            TooManyProperties,
            "/batch/3/properties",
        ),
        (
            "track",
            json!({"userId": "m", "event": "x", "properties": 3}),
            InvalidBody,
            "/batch/3/properties",
        ),
        (
            "track",
            json!({"userId": "m", "event": "x", "timestamp": "soon"}),
            InvalidTimestamp,
            "/batch/3/timestamp",
        ),
        (
            "track",
            json!({"userId": "m", "event": "x", "properties": {"a": "\0"}}),
            NulCharacter,
            "/batch/3/properties/a",
        ),
        ("identify", json!({"userId": "m", "traits": "x"}), InvalidBody, "/batch/3/traits"),
        ("alias", json!({"userId": "m"}), MissingIdentity, "/batch/3"),
        ("page", json!([]), InvalidBody, "/batch/3"),
    ] {
        assert_eq!(refusal(kind, call.clone()), (code, pointer.to_owned()), "{kind} {call}");
    }
}
