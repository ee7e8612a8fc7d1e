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

/// A shared computer: the guest of this device became somebody, and now somebody else logs in whom
/// nobody has heard of yet.
#[tokio::test]
async fn a_new_user_does_not_see_the_inbox_of_who_used_the_device_before() {
    let server = start().await;
    server.live("hello", banner("Bought", "Only for Mara")).await;
    let both = json!({"anonymousId": "device", "userId": "mara", "event": "Bought"});
    let guest = json!({"anonymousId": "device", "event": "Looked"});
    server.ingest("/v1/track", &guest).await;
    server.ingest("/v1/track", &both).await;
    let names =
        |query: &str| format!("{}/v1/inbox?{query}&key={}", server.base, server.keys.public);
    let inbox = async |query: &str| {
        let response = server.http.get(names(query)).send().await.unwrap();
        response.json::<Json>().await.unwrap()["deliver"].as_array().unwrap().len()
    };
    assert_eq!(inbox("userId=mara&anonymousId=device").await, 1);
    assert_eq!(inbox("userId=ben&anonymousId=device").await, 0);
    assert_eq!(inbox("userId=ben&anonymousId=elsewhere").await, 0);
}

#[tokio::test]
async fn the_stream_of_a_guest_goes_on_when_they_become_somebody() {
    let server = start().await;
    server.live("hello", banner("Bought", "Hi")).await;
    server.track("mara", "Looked", json!({})).await;
    server.ingest("/v1/track", &json!({"anonymousId": "a1", "event": "Looked"})).await;
    let url = format!("{}/v1/stream?anonymousId=a1&key={}", server.base, server.keys.public);
    let mut chunks = server.http.get(url).send().await.unwrap().bytes_stream();
    server.ingest("/v1/identify", &json!({"anonymousId": "a1", "userId": "mara"})).await;
    // The stream learns of it on its own time; what comes after that must reach it.
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    server.track("mara", "Bought", json!({})).await;
    let chunk = tokio::time::timeout(std::time::Duration::from_secs(10), chunks.next());
    let text = String::from_utf8_lossy(&chunk.await.unwrap().unwrap().unwrap()).into_owned();
    assert!(text.starts_with("event: inbox"), "{text}");
}
