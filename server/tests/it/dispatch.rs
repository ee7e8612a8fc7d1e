//! Who may leave when: channels do not hold up each other.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value as Json, json};
use server::config::{MailSecurity, Transport};
use tokio::net::TcpListener;

use crate::support::{Running, mail, start_with};

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

/// The delivery that an event of a user leads to.
async fn caused(server: &Running, user: &str, event: &str) -> String {
    server.track(user, event, json!({"total": 1})).await;
    let list = server.get(&format!("/deliveries?customer={user}")).await;
    list["items"][0]["id"].as_str().unwrap().to_owned()
}

async fn wait_for_state(server: &Running, id: &str, state: &str) -> Json {
    server.wait_for(&format!("/deliveries/{id}"), |one| one["state"] == state).await
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
