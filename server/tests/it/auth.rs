use reqwest::StatusCode;
use serde_json::{Value as Json, json};

use crate::support::start;

#[tokio::test]
async fn keys_open_what_they_are_for() {
    let server = start().await;
    let url = |path: &str| format!("{}{path}", server.base);
    let code = |json: &Json| json["code"].as_str().unwrap_or_default().to_owned();

    let none = server.http.get(url("/api/v1/customers")).send().await.unwrap();
    assert_eq!(none.status(), StatusCode::UNAUTHORIZED);
    assert!(none.headers().contains_key("www-authenticate"));
    assert_eq!(none.headers()["content-type"], "application/problem+json");
    assert_eq!(code(&none.json().await.unwrap()), "missing_key");

    let public = server.http.get(url("/api/v1/customers")).bearer_auth(&server.keys.public);
    let public = public.send().await.unwrap();
    assert_eq!(public.status(), StatusCode::FORBIDDEN);
    assert_eq!(code(&public.json().await.unwrap()), "key_not_allowed");

    // A secret key in a query would end up in logs; it is not even looked at.
    let query = url(&format!("/api/v1/customers?key={}", server.keys.secret));
    assert_eq!(server.http.get(query).send().await.unwrap().status(), StatusCode::UNAUTHORIZED);

    let wrong = server.http.get(url("/api/v1/customers")).bearer_auth("sk_main_x").send().await;
    assert_eq!(wrong.unwrap().status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn write_keys_come_in_every_way_clients_send_them() {
    let server = start().await;
    let event = json!({"userId": "m", "event": "x"});
    let url = format!("{}/v1/track", server.base);
    let key = &server.keys.public;
    let by_query = server.http.post(format!("{url}?key={key}")).json(&event);
    let mut with_key = event.clone();
    with_key["writeKey"] = json!(key);
    let requests = [
        server.http.post(&url).basic_auth(key, Some("")).json(&event),
        server.http.post(&url).bearer_auth(key).json(&event),
        by_query,
        server.http.post(&url).json(&with_key),
        server.http.post(&url).bearer_auth(&server.keys.secret).json(&event),
    ];
    for request in requests {
        assert_eq!(request.send().await.unwrap().status(), StatusCode::OK);
    }
    let none = server.http.post(&url).json(&event).send().await.unwrap();
    assert_eq!(none.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn revoked_keys_stop_while_the_server_runs() {
    let server = start().await;
    let keys = server::keys::Keys::open(&server.data()).unwrap();
    assert!(keys.revoke(&server.keys.public).unwrap());
    let begin = std::time::Instant::now();
    loop {
        let (status, _) = server.ingest("/v1/track", &json!({"userId": "m", "event": "x"})).await;
        if status == StatusCode::UNAUTHORIZED {
            return;
        }
        assert!(begin.elapsed().as_secs() < 10, "the key still works");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// Two users cannot be taken apart again, and a public key is in everybody's hands.
#[tokio::test]
async fn a_public_key_does_not_join_two_users() {
    let server = start().await;
    server.track("mara", "Looked", json!({})).await;
    server.ingest("/v1/track", &json!({"anonymousId": "g1", "event": "Looked"})).await;
    server.ingest("/v1/identify", &json!({"anonymousId": "g1", "userId": "mara"})).await;
    server.ingest("/v1/track", &json!({"anonymousId": "g2", "event": "Looked"})).await;
    let alias = |from: &str, to: &str| json!({"previousId": from, "userId": to});
    for known in ["mara", "g1"] {
        let (status, answer) = server.ingest("/v1/alias", &alias(known, "eve")).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{answer}");
    }
    for (from, to) in [("g2", "ben"), ("g2", "ben"), ("g1", "mara")] {
        let (status, answer) = server.ingest("/v1/alias", &alias(from, to)).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }
    let url = format!("{}/v1/alias", server.base);
    let by_server = server.http.post(url).bearer_auth(&server.keys.secret);
    let answer = by_server.json(&alias("mara", "ben")).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
}
