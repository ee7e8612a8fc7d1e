use std::path::Path;

use reqwest::StatusCode;
use serde_json::Value as Json;

use crate::support::{start, start_with};

/// The description in the repository is the one the server serves. `UPDATE=1` writes it anew.
#[test]
fn the_description_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    let now = server::http::openapi_json();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &now).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == now, "docs/openapi.json is old; run the tests of this crate with UPDATE=1");
}

#[test]
fn every_operation_is_described() {
    let api: Json = serde_json::from_str(&server::http::openapi_json()).unwrap();
    assert!(api["openapi"].as_str().unwrap().starts_with("3.1"));
    let paths = api["paths"].as_object().unwrap();
    let mut names = std::collections::BTreeSet::new();
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap();
            assert!(names.insert(name.to_owned()), "{name} is there twice ({method} {path})");
            assert!(operation["summary"].is_string(), "{method} {path} has no summary");
        }
    }
    assert!(names.len() > 30, "{}", names.len());
}

#[test]
fn what_clients_call_is_described_with_its_keys_and_answers() {
    let api: Json = serde_json::from_str(&server::http::openapi_json()).unwrap();
    for call in
        ["identify", "track", "page", "screen", "group", "alias", "batch", "import", "collect"]
    {
        let operation = &api["paths"][format!("/v1/{call}")]["post"];
        assert_eq!(operation["tags"][0], "Send events", "{call}");
        assert_eq!(operation["security"].as_array().unwrap().len(), 3, "{call}");
        let example = &operation["requestBody"]["content"]["application/json"]["example"];
        assert!(example.is_object(), "{call} has no example");
        for status in ["200", "400", "401", "408", "415", "422", "429", "500", "503", "507"] {
            assert!(operation["responses"][status].is_object(), "{call} does not tell of {status}");
        }
    }
    for (path, method) in
        [("/v1/inbox", "get"), ("/v1/inbox/{delivery}/{receipt}", "post"), ("/v1/stream", "get")]
    {
        assert_eq!(api["paths"][path][method]["tags"][0], "In-app", "{path}");
    }
    assert_eq!(api["paths"]["/readyz"]["get"]["security"], serde_json::json!([{}]));
}

/// Each example of the description, sent as it stands.
#[tokio::test]
async fn the_examples_work() {
    let server = start().await;
    let api: Json = serde_json::from_str(&server::http::openapi_json()).unwrap();
    for (path, methods) in api["paths"].as_object().unwrap() {
        if !path.starts_with("/v1/") || path.contains('{') {
            continue;
        }
        let body = &methods["post"]["requestBody"]["content"]["application/json"]["example"];
        // An alias is about a guest who is there.
        let guest = serde_json::json!({"anonymousId": "dev-7f3a", "event": "Viewed"});
        assert_eq!(server.ingest("/v1/track", &guest).await.0, StatusCode::OK);
        if body.is_object() {
            let (status, answer) = server.ingest(path, body).await;
            assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        }
    }
}

#[tokio::test]
async fn from_elsewhere_the_outbox_asks_for_the_admin_key() {
    let server = start_with(|config| config.listen = ([0, 0, 0, 0], 0).into()).await;
    let base = server.base.replace("0.0.0.0", "127.0.0.1");
    let ask = async |key: Option<&str>| {
        let request = server.http.get(format!("{base}/outbox"));
        let request = match key {
            Some(key) => request.basic_auth(key, Some("")),
            None => request,
        };
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.headers().contains_key("www-authenticate"))
    };
    assert_eq!(ask(None).await, (401, true));
    assert_eq!(ask(Some(&server.keys.public)).await.0, 403);
    assert_eq!(ask(Some(&server.keys.secret)).await.0, 200);

    let near = start().await;
    let url = format!("{}/outbox", near.base);
    assert_eq!(near.http.get(&url).send().await.unwrap().status(), StatusCode::OK);
    let proxied = near.http.get(&url).header("x-forwarded-for", "203.0.113.9");
    assert_eq!(proxied.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
}

#[test]
fn every_shape_that_is_named_is_described() {
    let text = server::http::openapi_json();
    let api: Json = serde_json::from_str(&text).unwrap();
    let shapes = api["components"]["schemas"].as_object().unwrap();
    for part in text.split("\"#/components/schemas/").skip(1) {
        let name = part.split('"').next().unwrap();
        assert!(shapes.contains_key(name), "{name} is named and not described");
    }
}

#[tokio::test]
async fn the_pages_are_there_and_need_nobody_else() {
    let server = start().await;
    let get = async |path: &str| {
        let response = server.http.get(format!("{}{path}", server.base)).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        response.text().await.unwrap()
    };
    for path in ["/", "/docs", "/errors", "/errors/overloaded", "/outbox"] {
        let response = server.http.get(format!("{}{path}", server.base)).send().await.unwrap();
        let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.starts_with("default-src 'none'; style-src 'self'"), "{path}: {policy}");
        let html = get(path).await;
        assert!(html.starts_with("<!doctype html>"), "{path}");
        for foreign in ["<script", "<style", " style=", "src=\"http", "href=\"http", "@import"] {
            assert!(!html.contains(foreign), "{path} holds {foreign}");
        }
    }
    let docs = get("/docs").await;
    let order =
        ["id=\"send-events\"", "id=\"track\"", "id=\"in-app\"", "id=\"go_live_outreaches\""];
    let places: Vec<usize> = order.iter().map(|part| docs.find(part).expect(part)).collect();
    assert!(places.is_sorted(), "{places:?}");
    assert!(!get("/style.css").await.contains("url("));
    assert!(get("/openapi.json").await.starts_with('{'));
    assert!(get("/healthz").await.contains("alive"));
    assert!(get("/readyz").await.contains("ready"));
}
