use reqwest::{Method, StatusCode};
use serde_json::{Value as Json, json};

use crate::support::{Running, mail, start, start_with};

async fn bought(server: &Running) -> String {
    server.identify("mara", json!({"email": "mara@x.example", "firstName": "Mara"})).await;
    server.track("mara", "Bought", json!({"total": 80})).await;
    let list = server.get("/deliveries?customer=mara").await;
    list["items"][0]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_mail_lands_in_the_outbox() {
    let server = start().await;
    server.live("thanks", mail("Bought")).await;
    let id = bought(&server).await;
    let sent = |delivery: &Json| delivery["state"] == "sent";
    let delivery = server.wait_for(&format!("/deliveries/{id}"), sent).await;
    let states: Vec<&str> = delivery["steps"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|step| step["state"].as_str())
        .collect();
    assert_eq!(states, ["due", "attempting", "sent"]);
    let file = server.data().join("outbox").join(format!("{id}.eml"));
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.contains("Subject: Hello Mara"), "{text}");
    assert!(text.contains("List-Unsubscribe:"), "{text}");

    let page = async |path: String| {
        let response = server.http.get(format!("{}{path}", server.base)).send().await.unwrap();
        let policy = response.headers().get("content-security-policy").cloned();
        (policy, response.text().await.unwrap())
    };
    assert!(page("/outbox".to_owned()).await.1.contains(&id));
    let (policy, html) = page(format!("/outbox/{id}.eml.html")).await;
    assert!(html.contains("You bought for 80."), "{html}");
    assert!(policy.unwrap().to_str().unwrap().starts_with("sandbox"));
    let away = server.http.get(format!("{}/outbox/..%2Fkeys.json", server.base)).send().await;
    assert_eq!(away.unwrap().status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_mail_of_text_alone_is_not_blank() {
    let server = start().await;
    let mut definition = mail("Bought");
    definition["content"] = json!({"kind": "email", "subject": "Hi", "text": "1 < 2\nBye"});
    server.live("thanks", definition).await;
    let id = bought(&server).await;
    server.wait_for(&format!("/deliveries/{id}"), |delivery| delivery["state"] == "sent").await;
    let url = format!("{}/outbox/{id}.eml.html", server.base);
    let html = server.http.get(url).send().await.unwrap().text().await.unwrap();
    assert!(html.contains("1 &lt; 2"), "{html}");
}

#[tokio::test]
async fn a_webhook_is_signed_and_retried_with_the_same_id() {
    let (address, mut calls) = receiver(vec![503, 200]).await;
    let server = start_with(|config| {
        config.webhook.transport = server::config::Transport::Http;
        config.webhook.allow_hosts = vec!["127.0.0.1".to_owned()];
        config.webhook.secrets = vec!["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned()];
    })
    .await;
    let definition = json!({
        "name": "Hook", "trigger": {"kind": "event", "event": "Bought"},
        "content": {"kind": "webhook", "url": format!("http://{address}/hook")},
    });
    server.live("hook", definition).await;
    let id = bought(&server).await;
    let first = calls.recv().await.unwrap();
    // Tried again after about five seconds; an operator does not want to wait.
    let waits = |delivery: &Json| delivery["attempts"] == 1 && delivery["state"] == "due";
    server.wait_for(&format!("/deliveries/{id}"), waits).await;
    let second = calls.recv().await.unwrap();
    for call in [&first, &second] {
        assert!(call.contains(&format!("webhook-id: {id}")), "{call}");
        assert!(call.contains("webhook-signature: v1,"), "{call}");
    }
    assert!(second.contains("\"user_id\":\"mara\""), "{second}");
    server.wait_for(&format!("/deliveries/{id}"), |delivery| delivery["state"] == "sent").await;
}

/// A receiver that answers with these statuses, and hands on what it was sent.
async fn receiver(
    statuses: Vec<u16>,
) -> (std::net::SocketAddr, tokio::sync::mpsc::Receiver<String>) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, calls) = tokio::sync::mpsc::channel(8);
    tokio::spawn(async move {
        for status in statuses {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = Vec::new();
            let mut chunk = [0; 4096];
            loop {
                let count = stream.read(&mut chunk).await.unwrap();
                bytes.extend_from_slice(&chunk[..count]);
                let text = String::from_utf8_lossy(&bytes);
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                let length = head
                    .lines()
                    .find_map(|line| {
                        line.to_lowercase().strip_prefix("content-length: ")?.parse().ok()
                    })
                    .unwrap_or(0);
                if body.len() >= length {
                    break;
                }
            }
            let answer =
                format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
            sender.send(String::from_utf8_lossy(&bytes).into_owned()).await.unwrap();
        }
    });
    (address, calls)
}

#[tokio::test]
async fn rejected_mails_wait_for_an_operator() {
    let server = start().await;
    server.live("thanks", mail("Bought")).await;
    server.identify("mara", json!({"email": "mara@\u{7f}bad@", "firstName": "Mara"})).await;
    server.track("mara", "Bought", json!({"total": 80})).await;
    let failed = |list: &Json| !list["items"].as_array().unwrap().is_empty();
    let list = server.wait_for("/deliveries?state=failed", failed).await;
    let id = list["items"][0]["id"].as_str().unwrap();
    assert!(list["items"][0]["last_error"].is_string(), "{list:#}");
    server.identify("mara", json!({"email": "mara@x.example"})).await;
    server.post(&format!("/deliveries/{id}/retry"), Json::Null).await;
    server.wait_for(&format!("/deliveries/{id}"), |delivery| delivery["state"] == "sent").await;
}

#[tokio::test]
async fn a_delivery_is_withdrawn_before_it_leaves() {
    let server = start().await;
    let mut definition = mail("Bought");
    definition["trigger"]["delay"] = json!({"amount": 1, "unit": "hours"});
    server.live("thanks", definition).await;
    let id = bought(&server).await;
    assert_eq!(server.get(&format!("/deliveries/{id}")).await["state"], "waiting");
    let cancelled = server.post(&format!("/deliveries/{id}/cancel"), Json::Null).await;
    assert_eq!(cancelled["state"], "cancelled");
    let refused =
        server.api(Method::GET, "/deliveries?state=flying", None, StatusCode::BAD_REQUEST).await;
    assert_eq!(refused["code"], "invalid_parameter");
    server.api(Method::GET, "/deliveries/dlv_x", None, StatusCode::NOT_FOUND).await;
}

#[tokio::test]
async fn a_rate_limit_spreads_sends() {
    let server = start().await;
    let mut definition = mail("Bought");
    definition["guardrails"] =
        json!({"rate_limit": {"sends": 1, "per": {"amount": 1, "unit": "hours"}}});
    server.live("thanks", definition).await;
    for user in ["mara", "ben", "eve"] {
        server.identify(user, json!({"email": format!("{user}@x.example")})).await;
        server.track(user, "Bought", json!({"total": 1})).await;
    }
    let one = |list: &Json| list["items"].as_array().unwrap().len() == 1;
    server.wait_for("/deliveries?state=sent", one).await;
    let waiting = server.get("/deliveries?state=due").await;
    assert_eq!(waiting["items"].as_array().unwrap().len(), 2);
}

/// Whoever waits for a slot of their outreach is taken from the queue already.
#[tokio::test]
async fn what_is_cancelled_while_it_waits_for_its_slot_does_not_leave() {
    let server = start().await;
    let mut definition = mail("Bought");
    definition["content"] = json!({"kind": "webhook", "url": "https://x.example/hook"});
    definition["guardrails"] =
        json!({"rate_limit": {"sends": 1, "per": {"amount": 3, "unit": "seconds"}}});
    server.live("hook", definition).await;
    let mut ids = Vec::new();
    for user in ["first", "second", "third"] {
        server.track(user, "Bought", json!({})).await;
        let list = server.get(&format!("/deliveries?customer={user}")).await;
        ids.push(list["items"][0]["id"].as_str().unwrap().to_owned());
    }
    let cancelled = server.post(&format!("/deliveries/{}/cancel", ids[1]), Json::Null).await;
    assert_eq!(cancelled["state"], "cancelled");
    server.wait_for(&format!("/deliveries/{}", ids[2]), |one| one["state"] == "sent").await;
    let left = |id: &str| server.data().join(format!("outbox/{id}.webhook.json")).exists();
    assert!(left(&ids[0]) && left(&ids[2]));
    assert!(!left(&ids[1]), "it was withdrawn");
}

#[tokio::test]
async fn what_an_operator_says_too_late_is_a_conflict() {
    let server = start().await;
    server.live("thanks", mail("Bought")).await;
    let id = bought(&server).await;
    server.wait_for(&format!("/deliveries/{id}"), |delivery| delivery["state"] == "sent").await;
    let say = async |what: &str, body: Option<Json>| {
        let path = format!("/deliveries/{id}/{what}");
        server.api(Method::POST, &path, body, StatusCode::CONFLICT).await
    };
    let retried = say("retry", None).await;
    assert_eq!(retried["code"], "conflict");
    let detail = retried["detail"].as_str().unwrap();
    assert!(detail.contains("is sent and cannot be tried again"), "{detail}");
    say("settle", Some(json!({"outcome": "sent"}))).await;
    say("cancel", None).await;
    assert_eq!(server.get(&format!("/deliveries/{id}")).await["state"], "sent");
}
