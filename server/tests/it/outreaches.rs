use reqwest::{Method, StatusCode};
use serde_json::{Value as Json, json};

use crate::support::{banner, mail, start};

#[tokio::test]
async fn an_outreach_goes_through_its_life() {
    let server = start().await;
    let new = json!({"definition": banner("Viewed", "Hi")});
    let made =
        server.api(Method::POST, "/outreaches", Some(new.clone()), StatusCode::CREATED).await;
    assert_eq!((&made["id"], &made["status"]), (&json!("a-banner"), &json!("draft")));
    let second = server.api(Method::POST, "/outreaches", Some(new), StatusCode::CREATED).await;
    assert_eq!(second["id"], "a-banner-2");
    let taken = json!({"id": "a-banner", "definition": banner("Viewed", "Hi")});
    let taken = server.api(Method::POST, "/outreaches", Some(taken), StatusCode::CONFLICT).await;
    assert_eq!(taken["code"], "already_exists");

    server.api(Method::POST, "/outreaches/a-banner/pause", None, StatusCode::CONFLICT).await;
    assert_eq!(server.post("/outreaches/a-banner/go-live", Json::Null).await["live_version"], 1);
    let saved = server
        .api(
            Method::PUT,
            "/outreaches/a-banner",
            Some(banner("Viewed", "Hi again")),
            StatusCode::OK,
        )
        .await;
    assert_eq!((&saved["version"], &saved["live_version"]), (&json!(2), &json!(1)));
    assert_eq!(server.post("/outreaches/a-banner/pause", Json::Null).await["status"], "paused");
    assert_eq!(server.post("/outreaches/a-banner/resume", Json::Null).await["status"], "live");
    assert_eq!(server.post("/outreaches/a-banner/shadow", Json::Null).await["status"], "shadow");
    assert_eq!(server.post("/outreaches/a-banner/end", Json::Null).await["status"], "ended");

    let versions = server.get("/outreaches/a-banner/versions").await;
    assert_eq!(versions["items"].as_array().unwrap().len(), 2);
    let first = server.get("/outreaches/a-banner/versions/1").await;
    assert_eq!(first["definition"]["content"]["text"], "Hi");
    server.api(Method::GET, "/outreaches/a-banner/versions/3", None, StatusCode::NOT_FOUND).await;

    let copy =
        server.api(Method::POST, "/outreaches/a-banner/clone", None, StatusCode::CREATED).await;
    assert_eq!((&copy["id"], &copy["status"]), (&json!("a-banner-copy"), &json!("draft")));
    server.post("/outreaches/a-banner/archive", Json::Null).await;
    let list = server.get("/outreaches").await;
    let ids: Vec<&str> =
        list["items"].as_array().unwrap().iter().filter_map(|item| item["id"].as_str()).collect();
    assert_eq!(ids, ["a-banner-2", "a-banner-copy"]);
}

#[tokio::test]
async fn faults_are_named_with_their_place() {
    let server = start().await;
    let mut faulty = banner("Viewed", "Hi");
    faulty["audience"] = json!({"kind": "dynamic", "filter":
        {"kind": "segment", "segment": "nowhere"}});
    let checked = server.post("/outreaches/check", faulty.clone()).await;
    let pointer = checked["problems"][0]["pointer"].as_str().unwrap();
    assert!(pointer.starts_with("/audience/filter"), "{checked}");
    let sound = server.post("/outreaches/check", mail("Bought")).await;
    assert_eq!(sound["problems"], json!([]));

    let new = json!({"id": "faulty", "definition": faulty});
    let made = server.api(Method::POST, "/outreaches", Some(new), StatusCode::CREATED).await;
    assert_eq!(made["problem_count"], 1);
    let refused = server
        .api(Method::POST, "/outreaches/faulty/go-live", None, StatusCode::UNPROCESSABLE_ENTITY)
        .await;
    assert_eq!(refused["code"], "definition_problems");

    let unreadable = json!({"definition": {"name": "x", "trigger": {"kind": "dance"}}});
    let refused = server
        .api(Method::POST, "/outreaches", Some(unreadable), StatusCode::UNPROCESSABLE_ENTITY)
        .await;
    let pointers: Vec<&str> = refused["problems"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|problem| problem["pointer"].as_str())
        .collect();
    assert!(pointers.iter().all(|pointer| pointer.starts_with("/definition")), "{refused:#}");
}

#[tokio::test]
async fn once_is_once_and_the_second_is_explained() {
    let server = start().await;
    server.live("hello", banner("Viewed", "Hi")).await;
    server.track("mara", "Viewed", json!({})).await;
    server.track("mara", "Viewed", json!({})).await;
    let decisions = server.get("/decisions?customer=mara").await;
    let outcomes: Vec<&str> = decisions["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|item| item["outcome"].as_str())
        .collect();
    assert_eq!(outcomes, ["skip", "send"]);
    let skips = server.get("/decisions?outreach=hello&outcome=skip&gate=frequency").await;
    assert_eq!(skips["items"].as_array().unwrap().len(), 1);
    assert_eq!(skips["items"][0]["reason"], "already_sent");

    let why = server.get("/explain?customer=mara&outreach=hello").await;
    assert_eq!((&why["sends"], &why["refused_by"]), (&json!(false), &json!("frequency")));
    assert_eq!(why["gates"].as_array().unwrap().len(), 10);
    let position = decisions["items"][1]["position"].as_u64().unwrap();
    let then = server.get(&format!("/explain?customer=mara&outreach=hello&at={position}")).await;
    assert_eq!(then["sends"], true, "{then:#}");

    let body = json!({"outreach": "hello"});
    server.post("/customers/mara/allow-again", body).await;
    let answer = server.track("mara", "Viewed", json!({})).await;
    assert_eq!(answer["deliver"].as_array().unwrap().len(), 2, "{answer:#}");
}

#[tokio::test]
async fn a_one_off_reaches_each_once() {
    let server = start().await;
    for user in ["mara", "ben", "eve"] {
        server.identify(user, json!({"email": format!("{user}@x.example"), "plan": "pro"})).await;
    }
    let definition = json!({
        "name": "News", "trigger": {"kind": "one_off"},
        "audience": {"kind": "one_off", "filter":
            {"kind": "attribute", "attribute": "plan", "test": {"kind": "is", "value": "pro"}}},
        "content": {"kind": "email", "subject": "News", "html": "<p>News</p>"},
    });
    let new = json!({"id": "news", "definition": definition});
    server.api(Method::POST, "/outreaches", Some(new), StatusCode::CREATED).await;
    server.api(Method::POST, "/outreaches/news/go-live", None, StatusCode::CONFLICT).await;
    server.api(Method::POST, "/outreaches/news/launch", None, StatusCode::ACCEPTED).await;
    let progress =
        server.wait_for("/outreaches/news/launch", |progress| progress["done"] == 3).await;
    assert_eq!((&progress["launches"], &progress["total"]), (&json!(1), &json!(3)));
    let sent = |list: &Json| list["items"].as_array().is_some_and(|items| items.len() == 3);
    server.wait_for("/deliveries?outreach=news&state=sent", sent).await;
}
