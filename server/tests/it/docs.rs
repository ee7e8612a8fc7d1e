use std::path::Path;

use reqwest::StatusCode;
use serde_json::Value as Json;

use crate::support::start;

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

#[tokio::test]
async fn the_pages_are_there_and_need_nobody_else() {
    let server = start().await;
    let get = async |path: &str| {
        let response = server.http.get(format!("{}{path}", server.base)).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        response.text().await.unwrap()
    };
    for path in ["/", "/docs", "/errors/overloaded", "/outbox"] {
        let html = get(path).await;
        assert!(html.starts_with("<!doctype html>"), "{path}");
        for foreign in ["<script", "src=\"http", "href=\"http", "@import"] {
            assert!(!html.contains(foreign), "{path} holds {foreign}");
        }
    }
    assert!(get("/docs").await.contains("/api/v1/outreaches/{id}/go-live"));
    assert!(get("/openapi.json").await.starts_with('{'));
    assert!(get("/healthz").await.contains("alive"));
    assert!(get("/readyz").await.contains("ready"));
}
