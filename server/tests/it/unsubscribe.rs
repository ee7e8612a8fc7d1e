use reqwest::StatusCode;
use serde_json::{Value as Json, json};

use crate::support::{mail, start};

#[tokio::test]
async fn one_click_unsubscribes_and_a_look_does_not() {
    let server = start().await;
    server.live("thanks", mail("Bought")).await;
    server.identify("mara", json!({"email": "mara@x.example"})).await;
    server.track("mara", "Bought", json!({"total": 80})).await;
    let sent = |list: &Json| list["items"][0]["state"] == "sent";
    let list = server.wait_for("/deliveries?customer=mara", sent).await;
    let id = list["items"][0]["id"].as_str().unwrap();
    let text = std::fs::read_to_string(server.data().join(format!("outbox/{id}.eml"))).unwrap();
    // Long headers are folded.
    let text = text.replace("\r\n ", "");
    let port = server.base.rsplit(':').next().unwrap();
    assert!(text.contains(&format!("http://localhost:{port}/u/")), "{text}");
    let start = text.find("/u/").unwrap();
    let token: String = text[start..]
        .chars()
        .take_while(|letter| !matches!(letter, '>' | '"' | ' ' | '\r'))
        .collect();
    let url = format!("{}{token}", server.base);

    let page = server.http.get(&url).send().await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    assert!(page.text().await.unwrap().contains("<form method=\"post\">"));
    assert_eq!(server.get("/customers/mara").await["consent"], json!({}));

    let click = || server.http.post(&url).body("List-Unsubscribe=One-Click").send();
    assert_eq!(click().await.unwrap().status(), StatusCode::OK);
    assert_eq!(server.get("/customers/mara").await["consent"], json!({"email": false}));
    assert_eq!(click().await.unwrap().status(), StatusCode::OK);

    let mut changed = url.clone();
    changed.pop();
    changed.push(if url.ends_with('A') { 'B' } else { 'A' });
    assert_eq!(server.http.post(&changed).send().await.unwrap().status(), StatusCode::NOT_FOUND);
}
