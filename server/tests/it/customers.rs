use reqwest::{Method, StatusCode};
use serde_json::{Value as Json, json};

use crate::support::start;

fn ids(page: &Json) -> Vec<String> {
    let items = page["items"].as_array().unwrap();
    items.iter().map(|item| item["user_id"].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn customers_are_found_by_page_filter_and_name() {
    let server = start().await;
    for (user, plan) in [("mara", "pro"), ("ben", "free"), ("eve", "pro")] {
        server.identify(user, json!({"plan": plan, "email": format!("{user}@x.example")})).await;
    }
    let mut all = Vec::new();
    let mut path = "/customers?limit=2".to_owned();
    loop {
        let page = server.get(&path).await;
        all.extend(ids(&page));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/customers?limit=2&cursor={next}");
    }
    all.sort();
    assert_eq!(all, ["ben", "eve", "mara"]);
    assert_eq!(ids(&server.get("/customers?q=mar").await), ["mara"]);
    let filter =
        json!({"kind": "attribute", "attribute": "plan", "test": {"kind": "is", "value": "pro"}});
    let mut found = ids(&server.post("/customers/search", json!({"filter": filter})).await);
    found.sort();
    assert_eq!(found, ["eve", "mara"]);

    let estimate = json!({"filter": filter, "channel": "email"});
    let counts = server.post("/audience/estimate", estimate).await;
    assert_eq!((&counts["total"], &counts["matched"]), (&json!(3), &json!(2)), "{counts}");
    assert_eq!(counts["reachable"], 2);

    for (path, code) in [
        ("/customers?limit=0", "invalid_parameter"),
        ("/customers?cursor=x", "invalid_parameter"),
        ("/customers?nmae=x", "unknown_parameter"),
    ] {
        let refused = server.api(Method::GET, path, None, StatusCode::BAD_REQUEST).await;
        assert_eq!(refused["code"], code, "{path}");
    }
    let faulty =
        json!({"filter": {"kind": "attribute", "attribute": "nope", "test": {"kind": "is_set"}}});
    let refused = server
        .api(Method::POST, "/customers/search", Some(faulty), StatusCode::UNPROCESSABLE_ENTITY)
        .await;
    assert!(refused["problems"][0]["pointer"].as_str().unwrap().starts_with("/filter"));
}

#[tokio::test]
async fn segments_name_audiences() {
    let server = start().await;
    server.identify("mara", json!({"plan": "pro"})).await;
    let filter =
        json!({"kind": "attribute", "attribute": "plan", "test": {"kind": "is", "value": "pro"}});
    let new = json!({"name": "Paying", "filter": filter});
    let made = server.api(Method::POST, "/segments", Some(new.clone()), StatusCode::CREATED).await;
    assert_eq!(made["id"], "paying");
    server.api(Method::POST, "/segments", Some(new), StatusCode::CONFLICT).await;
    let search = json!({"filter": {"kind": "segment", "segment": "paying"}});
    assert_eq!(ids(&server.post("/customers/search", search).await), ["mara"]);
    let changed = json!({"name": "Everyone"});
    let changed = server.api(Method::PUT, "/segments/paying", Some(changed), StatusCode::OK).await;
    assert_eq!(changed, json!({"id": "paying", "name": "Everyone"}));
    let mut using = crate::support::banner("Viewed", "Hi");
    using["audience"] =
        json!({"kind": "dynamic", "filter": {"kind": "segment", "segment": "paying"}});
    server.live("using", using).await;
    let used = server.api(Method::DELETE, "/segments/paying", None, StatusCode::CONFLICT).await;
    assert_eq!(used["code"], "conflict");
    let spare = json!({"name": "Spare"});
    server.api(Method::POST, "/segments", Some(spare), StatusCode::CREATED).await;
    server.api(Method::DELETE, "/segments/spare", None, StatusCode::NO_CONTENT).await;
    server.api(Method::GET, "/segments/spare", None, StatusCode::NOT_FOUND).await;
}

#[tokio::test]
async fn a_customer_can_be_read_exported_and_forgotten() {
    let server = start().await;
    server.identify("mara", json!({"email": "mara@x.example"})).await;
    server.track("mara", "Bought", json!({"total": 80})).await;
    let consent = json!({"channel": "email", "topic": "news", "allowed": false});
    let mara =
        server.api(Method::PUT, "/customers/mara/consent", Some(consent), StatusCode::OK).await;
    assert_eq!(mara["consent"], json!({"email/news": false}));
    let odd = json!({"channel": "smoke", "allowed": true});
    server
        .api(Method::PUT, "/customers/mara/consent", Some(odd), StatusCode::UNPROCESSABLE_ENTITY)
        .await;

    let export = server.get("/customers/mara/export").await;
    assert_eq!(export["complete"], true);
    let kinds: Vec<&str> = export["timeline"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|entry| entry["kind"].as_str())
        .collect();
    assert!(
        kinds.contains(&"event") && kinds.contains(&"attributes") && kinds.contains(&"consent")
    );

    server.api(Method::DELETE, "/customers/mara", None, StatusCode::NO_CONTENT).await;
    server.api(Method::GET, "/customers/mara", None, StatusCode::NOT_FOUND).await;
    assert_eq!(server.get("/decisions").await["items"], json!([]));
}

#[tokio::test]
async fn the_live_tail_shows_events_of_the_own_project() {
    use tokio_stream::StreamExt as _;
    let server = start().await;
    let url = format!("{}/api/v1/events/tail", server.base);
    let response = server.http.get(url).bearer_auth(&server.keys.secret).send().await.unwrap();
    let mut chunks = response.bytes_stream();
    server.track("mara", "Bought", json!({})).await;
    let mut text = String::new();
    while !text.contains("\"name\":\"Bought\"") {
        let chunk = tokio::time::timeout(std::time::Duration::from_secs(20), chunks.next());
        text.push_str(&String::from_utf8_lossy(&chunk.await.unwrap().unwrap().unwrap()));
    }
    assert!(text.contains("event: event"));
}
