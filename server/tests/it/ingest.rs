use std::io::Write as _;

use reqwest::StatusCode;
use serde_json::{Value as Json, json};

use crate::support::{banner, start};

fn gzip(body: &Json) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(body.to_string().as_bytes()).unwrap();
    packed.finish().unwrap()
}

#[tokio::test]
async fn a_batch_as_the_node_client_posts_it() {
    let server = start().await;
    let body = json!({
        "batch": [
            {"type": "identify", "userId": "mara", "messageId": "n1", "traits": {"email": "m@x.example",
                "firstName": "Mara", "address": {"city": "Linz"}},
             "timestamp": "2026-01-01T00:00:00.000Z", "integrations": {}, "context": {
                "library": {"name": "@segment/analytics-node", "version": "2.2.0"}}},
            {"type": "track", "userId": "mara", "event": "Order Placed", "messageId": "n2",
             "properties": {"total": 80}},
            {"type": "group", "userId": "mara", "groupId": "g1", "traits": {"name": "Initech"}},
            {"type": "page", "userId": "mara", "name": "Pricing",
             "context": {"page": {"url": "https://x.example/pricing", "path": "/pricing"}}},
            {"type": "screen", "userId": "mara", "name": "Home"},
        ],
        "sentAt": "2026-01-01T00:00:01.000Z",
        "writeKey": server.keys.public,
    });
    let packed = gzip(&body);
    let send = || {
        server
            .http
            .post(format!("{}/v1/batch", server.base))
            .basic_auth(&server.keys.public, Some(""))
            .header("content-type", "application/json")
            .header("content-encoding", "gzip")
            .body(packed.clone())
            .send()
    };
    let answer: Json = send().await.unwrap().json().await.unwrap();
    assert_eq!((&answer["success"], &answer["accepted"]), (&json!(true), &json!(5)), "{answer}");
    // The same again, as after a lost answer: what carries a messageId counts once.
    let again: Json = send().await.unwrap().json().await.unwrap();
    assert_eq!(again["duplicates"], 2, "{again}");

    let mara = server.get("/customers/mara").await;
    let attributes = &mara["attributes"];
    assert_eq!(attributes["first_name"], "Mara");
    assert_eq!(attributes["address.city"], "Linz");
    assert_eq!(attributes["company_name"], "Initech");
    assert_eq!(attributes["company_id"], "g1");
    assert_eq!(mara["page"], "https://x.example/pricing");
    let catalogue = server.get("/catalogue").await;
    let names: Vec<&str> =
        catalogue["events"].as_array().unwrap().iter().filter_map(|e| e["name"].as_str()).collect();
    for name in ["Order Placed", "pageView", "screenView"] {
        assert!(names.contains(&name), "{names:?}");
    }
}

#[tokio::test]
async fn bad_items_do_not_hold_up_the_good_ones() {
    let server = start().await;
    let body = json!({"batch": [
        {"type": "track", "userId": "m", "event": "good"},
        {"type": "track", "event": "nobody"},
        {"type": "dance", "userId": "m"},
        {"type": "track", "userId": "m", "event": "big", "properties": {"x": "x".repeat(33 * 1024)}},
        {"type": "track", "userId": "m", "event": "good"},
    ]});
    let (status, answer) = server.ingest("/v1/batch", &body).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(answer["accepted"], 2);
    let errors: Vec<(u64, &str)> = answer["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| (error["index"].as_u64().unwrap(), error["code"].as_str().unwrap()))
        .collect();
    assert_eq!(errors, [(1, "missing_identity"), (2, "unknown_type"), (3, "event_too_large")]);
}

#[tokio::test]
async fn bad_calls_are_refused_with_a_problem() {
    let server = start().await;
    let (status, answer) = server.ingest("/v1/track", &json!({"event": "x"})).await;
    assert_eq!((status, &answer["code"]), (StatusCode::BAD_REQUEST, &json!("missing_identity")));
    assert_eq!(answer["type"], "/errors/missing_identity");

    let post = |path: &str, body: Vec<u8>, encoding: Option<&str>| {
        let mut request = server.http.post(format!("{}{path}", server.base));
        request = request.basic_auth(&server.keys.public, Some(""));
        if let Some(encoding) = encoding {
            request = request.header("content-encoding", encoding);
        }
        request.body(body).send()
    };
    let code = async |response: Result<reqwest::Response, reqwest::Error>| {
        let response = response.unwrap();
        let status = response.status().as_u16();
        let json: Json = response.json().await.unwrap();
        (status, json["code"].as_str().unwrap_or_default().to_owned())
    };
    let is = |status: u16, code: &str| (status, code.to_owned());
    assert_eq!(code(post("/v1/track", b"{".to_vec(), None).await).await, is(400, "invalid_json"));
    let deep = "[".repeat(20_000).into_bytes();
    assert_eq!(code(post("/v1/track", deep, None).await).await, is(400, "too_deep"));
    let big = vec![b' '; 501 * 1024];
    assert_eq!(code(post("/v1/batch", big, None).await).await, is(400, "batch_too_large"));
    let junk = b"no gzip".to_vec();
    assert_eq!(
        code(post("/v1/batch", junk.clone(), Some("gzip")).await).await,
        is(400, "invalid_gzip")
    );
    assert_eq!(
        code(post("/v1/batch", junk, Some("br")).await).await,
        is(415, "unsupported_encoding")
    );
    assert_eq!(code(post("/v1/dance", b"{}".to_vec(), None).await).await, is(404, "not_found"));

    // Many megabytes of nothing in a small body: refused at the limit, not unpacked.
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..32 {
        bomb.write_all(&vec![b' '; 1024 * 1024]).unwrap();
    }
    let bomb = bomb.finish().unwrap();
    assert_eq!(code(post("/v1/batch", bomb, Some("gzip")).await).await, is(400, "batch_too_large"));
}

#[tokio::test]
async fn a_guest_who_identifies_keeps_their_events() {
    let server = start().await;
    let guest = json!({"anonymousId": "a1", "event": "Viewed", "messageId": "g1"});
    server.ingest("/v1/track", &guest).await;
    let both = json!({"anonymousId": "a1", "userId": "mara", "traits": {"plan": "pro"}});
    server.ingest("/v1/identify", &both).await;
    let timeline = server.get("/customers/mara/timeline").await;
    let names: Vec<&str> = timeline["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|item| item["fact"]["name"].as_str())
        .collect();
    assert!(names.contains(&"Viewed"), "{timeline:#}");
    assert_eq!(server.get("/customers/a1").await["user_id"], "mara");
}

#[tokio::test]
async fn collect_answers_with_what_to_show() {
    let server = start().await;
    server.live("hello", banner("Viewed", "Hi {{ customer.first_name }}")).await;
    let body = json!({
        "writeKey": server.keys.public, "anonymousId": "a1", "attributes": {"firstName": "Mara"},
        "events": [{"id": "e1", "name": "Viewed", "at": "2026-01-01T00:00:00Z", "properties": {},
                    "page": "https://x.example/"}, {"name": ""}],
        "sentAt": "2026-01-01T00:00:00Z",
    });
    // As a beacon sends it: a text, without a header that would ask for permission first.
    let response = server
        .http
        .post(format!("{}/v1/collect", server.base))
        .header("content-type", "text/plain;charset=UTF-8")
        .header("origin", "https://x.example")
        .body(body.to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    let answer: Json = response.json().await.unwrap();
    assert_eq!(answer["accepted"], 1, "{answer}");
    assert_eq!(answer["errors"][0]["code"], "missing_event_name");
    assert_eq!(answer["deliver"][0]["content"]["text"], "Hi Mara");
}

#[tokio::test]
async fn history_counts_and_never_triggers() {
    let server = start().await;
    server.live("hello", banner("Signed Up", "Hi")).await;
    let body = json!({"batch": [{"type": "track", "userId": "m", "event": "Signed Up",
        "timestamp": "2020-01-01T00:00:00Z"}], "historical": true});
    let (_, answer) = server.ingest("/v1/import", &body).await;
    assert_eq!((&answer["accepted"], &answer["deliver"]), (&json!(1), &json!([])), "{answer}");
}
