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
    let speaks = server
        .post(
            "/outreaches/check",
            banner("Viewed", "{{ customer.plan }} {{ event.properties.total | default(0) }}"),
        )
        .await;
    assert_eq!(
        speaks["variables"],
        json!([
            { "path": "customer.plan", "has_fallback": false },
            { "path": "event.properties.total", "has_fallback": true },
        ])
    );

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
async fn a_hundred_at_once_give_one_send() {
    let server = start().await;
    server.live("hello", banner("Viewed", "Hi")).await;
    let calls = (0..100).map(|number| {
        let body = json!({"userId": "mara", "event": "Viewed", "messageId": number.to_string()});
        let request = server
            .http
            .post(format!("{}/v1/track", server.base))
            .basic_auth(&server.keys.public, Some(""))
            .json(&body);
        tokio::spawn(async move { request.send().await.unwrap().status() })
    });
    let calls: Vec<_> = calls.collect();
    for call in calls {
        assert_eq!(call.await.unwrap(), StatusCode::OK);
    }
    let counts = &server.get("/outreaches/hello").await["counts"];
    assert_eq!((&counts["sends"], &counts["skips"]["frequency"]), (&json!(1), &json!(99)));
}

#[tokio::test]
async fn twenty_want_one_id_and_one_gets_it() {
    let server = start().await;
    for (id, winners) in [(json!("hello"), 1), (Json::Null, 20)] {
        let calls = (0..20).map(|number| {
            let mut body = json!({"definition": banner("Viewed", &format!("Hi {number}"))});
            if id.is_string() {
                body["id"] = id.clone();
            }
            let url = format!("{}/api/v1/outreaches", server.base);
            let request = server.http.post(url).bearer_auth(&server.keys.secret).json(&body);
            tokio::spawn(async move {
                let response = request.send().await.unwrap();
                (response.status(), response.json::<Json>().await.unwrap())
            })
        });
        let calls: Vec<_> = calls.collect();
        let mut created = 0;
        for call in calls {
            let (status, answer) = call.await.unwrap();
            created += usize::from(status == StatusCode::CREATED);
            let refused = status == StatusCode::CONFLICT && answer["code"] == "already_exists";
            assert!(status == StatusCode::CREATED || refused, "{status} {answer:#}");
        }
        assert_eq!(created, winners, "{id}");
    }
    assert_eq!(server.get("/outreaches/hello").await["version"], 1);
}

#[tokio::test]
async fn nobody_overwrites_what_they_have_not_read() {
    let server = start().await;
    let new = json!({"id": "hello", "definition": banner("Viewed", "Hi")});
    server.api(Method::POST, "/outreaches", Some(new), StatusCode::CREATED).await;
    let put = async |version: &str, text: &str| {
        let url = format!("{}/api/v1/outreaches/hello", server.base);
        let request = server.http.put(url).bearer_auth(&server.keys.secret);
        let request = request.header("if-match", version).json(&banner("Viewed", text));
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json::<Json>().await.unwrap())
    };
    let (status, saved) = put("\"1\"", "Hi from Ana").await;
    assert_eq!((status, &saved["version"]), (200, &json!(2)));
    let (status, refused) = put("\"1\"", "Hi from Ben").await;
    assert_eq!((status, &refused["code"]), (412, &json!("version_moved")));
    assert_eq!(refused["current_version"], 2);
    assert_eq!(
        server.get("/outreaches/hello").await["definition"]["content"]["text"],
        "Hi from Ana"
    );
    assert_eq!(put("2", "Hi from both").await.0, 200);
    assert_eq!(put("soon", "Hi").await.0, 400);
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
