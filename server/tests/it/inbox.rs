use reqwest::StatusCode;
use serde_json::{Value as Json, json};
use tokio_stream::StreamExt as _;

use crate::support::{Running, banner, start};

async fn inbox(server: &Running, user: &str) -> Vec<Json> {
    let url = format!("{}/v1/inbox?userId={user}&key={}", server.base, server.keys.public);
    let answer: Json = server.http.get(url).send().await.unwrap().json().await.unwrap();
    answer["deliver"].as_array().cloned().unwrap_or_default()
}

async fn receipt(server: &Running, user: &str, delivery: &str, word: &str) -> (StatusCode, Json) {
    let path = format!("/v1/inbox/{delivery}/{word}?userId={user}");
    server.ingest(&path, &json!({"id": format!("r-{word}"), "detail": {"button": "ok"}})).await
}

#[tokio::test]
async fn an_item_is_displayed_once() {
    let server = start().await;
    server.live("hello", banner("Viewed", "Hi")).await;
    let answer = server.track("mara", "Viewed", json!({})).await;
    let id = answer["deliver"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(inbox(&server, "mara").await.len(), 1);

    let (status, answer) = receipt(&server, "mara", &id, "displayed").await;
    assert_eq!((status, &answer["duplicate"]), (StatusCode::OK, &json!(false)), "{answer}");
    assert!(inbox(&server, "mara").await.is_empty());
    let (_, again) = receipt(&server, "mara", &id, "displayed").await;
    assert_eq!(again["duplicate"], true);
    receipt(&server, "mara", &id, "clicked").await;
    let delivery = server.get(&format!("/deliveries/{id}")).await;
    assert_eq!(delivery["state"], "clicked", "{delivery:#}");
}

#[tokio::test]
async fn nobody_answers_for_somebody_else() {
    let server = start().await;
    server.live("hello", banner("Viewed", "Hi")).await;
    let answer = server.track("mara", "Viewed", json!({})).await;
    let id = answer["deliver"][0]["id"].as_str().unwrap().to_owned();
    server.track("ben", "Other", json!({})).await;
    let (status, _) = receipt(&server, "ben", &id, "displayed").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(inbox(&server, "mara").await.len(), 1);
    let (status, _) = receipt(&server, "mara", &id, "danced").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_stream_tells_what_becomes_due() {
    let server = start().await;
    server.live("hello", banner("Viewed", "Hi")).await;
    let url = format!("{}/v1/stream?userId=mara&key={}", server.base, server.keys.public);
    let response = server.http.get(url).send().await.unwrap();
    assert_eq!(response.headers()["x-accel-buffering"], "no");
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut chunks = response.bytes_stream();
    server.track("mara", "Viewed", json!({})).await;
    let mut text = String::new();
    while !text.contains("\n\n") {
        let chunk = tokio::time::timeout(std::time::Duration::from_secs(20), chunks.next());
        text.push_str(&String::from_utf8_lossy(&chunk.await.unwrap().unwrap().unwrap()));
    }
    assert!(text.starts_with("event: inbox") && text.contains("\"text\":\"Hi\""), "{text}");
}

#[tokio::test]
async fn unknown_parameters_are_refused() {
    let server = start().await;
    let url = format!("{}/v1/inbox?user=mara&key={}", server.base, server.keys.public);
    let answer: Json = server.http.get(url).send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["code"], "unknown_parameter");
}
