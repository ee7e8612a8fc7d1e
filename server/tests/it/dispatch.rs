//! Who may leave when: channels do not hold up each other, and nothing leaves whose outreach is
//! paused or over.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value as Json, json};
use server::config::{MailSecurity, Transport};
use tokio::net::TcpListener;

use crate::support::{Running, mail, start, start_with};

/// A relay that accepts connections and says nothing.
async fn silent_relay() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    port
}

/// A webhook on an event, into the outbox.
fn hook(event: &str) -> Json {
    json!({
        "name": "Hook", "trigger": {"kind": "event", "event": event},
        "content": {"kind": "webhook", "url": "https://x.example/hook"},
    })
}

/// So many at once, so many seconds apart.
fn paced(mut definition: Json, seconds: u32) -> Json {
    definition["guardrails"] =
        json!({"rate_limit": {"sends": 1, "per": {"amount": seconds, "unit": "seconds"}}});
    definition
}

/// The delivery that an event of a user leads to.
async fn caused(server: &Running, user: &str, event: &str) -> String {
    server.track(user, event, json!({"total": 1})).await;
    let list = server.get(&format!("/deliveries?customer={user}")).await;
    list["items"][0]["id"].as_str().unwrap().to_owned()
}

async fn wait_for_state(server: &Running, id: &str, state: &str) -> Json {
    server.wait_for(&format!("/deliveries/{id}"), |one| one["state"] == state).await
}

async fn state(server: &Running, id: &str) -> Json {
    server.get(&format!("/deliveries/{id}")).await["state"].clone()
}

fn left(server: &Running, id: &str) -> bool {
    server.data().join(format!("outbox/{id}.webhook.json")).exists()
}

#[tokio::test]
async fn a_relay_that_hangs_does_not_hold_up_webhooks() {
    let port = silent_relay().await;
    let server = start_with(|config| {
        config.email.transport = Transport::Smtp;
        config.email.host = "127.0.0.1".to_owned();
        config.email.port = Some(port);
        config.email.security = MailSecurity::Plain;
    })
    .await;
    server.live("thanks", mail("Bought")).await;
    server.live("hook", hook("Called")).await;
    for hundred in 0..4 {
        let of_user = |number: u32| {
            let user = format!("user-{hundred}-{number}");
            let mail = format!("{user}@x.example");
            [
                json!({"type": "identify", "userId": user, "traits": {"email": mail}}),
                json!({"type": "track", "userId": user, "event": "Bought", "properties": {}}),
            ]
        };
        let batch: Vec<Json> = (0..100).flat_map(of_user).collect();
        let (status, answer) = server.ingest("/v1/batch", &json!({"batch": batch})).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }
    // The relay has taken what it gets before the webhook comes due.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let id = caused(&server, "mara", "Called").await;
    let begin = std::time::Instant::now();
    wait_for_state(&server, &id, "sent").await;
    assert!(begin.elapsed() < Duration::from_secs(5), "it took {:?}", begin.elapsed());
    let due = server.get("/deliveries?state=due&limit=200").await;
    assert_eq!(due["items"].as_array().unwrap().len(), 200, "the mails wait");
}

#[tokio::test]
async fn what_waits_for_a_slot_stays_while_its_outreach_is_paused() {
    let server = start().await;
    server.live("hook", paced(hook("Called"), 2)).await;
    let first = caused(&server, "first", "Called").await;
    let second = caused(&server, "second", "Called").await;
    wait_for_state(&server, &first, "sent").await;
    server.post("/outreaches/hook/pause", Json::Null).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(state(&server, &second).await, "due");
    assert!(!left(&server, &second), "its outreach is paused");
    server.post("/outreaches/hook/resume", Json::Null).await;
    wait_for_state(&server, &second, "sent").await;
    assert!(left(&server, &second));
}

#[tokio::test]
async fn what_is_paused_survives_a_restart_and_holds_up_nobody() {
    let server = start().await;
    server.live("hook", paced(hook("Called"), 2)).await;
    server.live("other", hook("Asked")).await;
    caused(&server, "first", "Called").await;
    let second = caused(&server, "second", "Called").await;
    server.post("/outreaches/hook/pause", Json::Null).await;
    let server = server.restart().await;
    let other = caused(&server, "mara", "Asked").await;
    wait_for_state(&server, &other, "sent").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(state(&server, &second).await, "due");
    assert!(!left(&server, &second), "its outreach is paused");
    server.post("/outreaches/hook/resume", Json::Null).await;
    wait_for_state(&server, &second, "sent").await;
}

#[tokio::test]
async fn what_waits_for_a_slot_is_cancelled_when_its_outreach_ends() {
    let server = start().await;
    server.live("ends", paced(hook("Called"), 3_600)).await;
    caused(&server, "first", "Called").await;
    let waits = caused(&server, "second", "Called").await;
    assert_eq!(state(&server, &waits).await, "due");
    server.post("/outreaches/ends/end", Json::Null).await;
    wait_for_state(&server, &waits, "cancelled").await;
    assert!(!left(&server, &waits), "its outreach is over");

    server.live("paused", paced(hook("Asked"), 3_600)).await;
    caused(&server, "third", "Asked").await;
    let waits = caused(&server, "fourth", "Asked").await;
    server.post("/outreaches/paused/pause", Json::Null).await;
    server.post("/outreaches/paused/archive", Json::Null).await;
    wait_for_state(&server, &waits, "cancelled").await;
    assert!(!left(&server, &waits), "its outreach is put away");
}

#[tokio::test]
async fn a_one_off_stops_when_it_is_paused() {
    let server = start().await;
    for user in ["a", "b"] {
        server.identify(user, json!({"plan": "pro"})).await;
    }
    let mut definition = paced(hook("-"), 2);
    definition["trigger"] = json!({"kind": "one_off"});
    definition["audience"] = json!({"kind": "one_off", "filter":
        {"kind": "attribute", "attribute": "plan", "test": {"kind": "is", "value": "pro"}}});
    let new = json!({"id": "news", "definition": definition});
    server.api(Method::POST, "/outreaches", Some(new), StatusCode::CREATED).await;
    server.api(Method::POST, "/outreaches/news/launch", None, StatusCode::ACCEPTED).await;
    let count = |wanted: usize| {
        move |list: &Json| list["items"].as_array().is_some_and(|items| items.len() == wanted)
    };
    server.wait_for("/deliveries?state=sent", count(1)).await;
    server.post("/outreaches/news/pause", Json::Null).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let due = server.get("/deliveries?state=due").await;
    assert!(count(1)(&due), "{due:#}");
    server.post("/outreaches/news/resume", Json::Null).await;
    server.wait_for("/deliveries?state=sent", count(2)).await;
}
