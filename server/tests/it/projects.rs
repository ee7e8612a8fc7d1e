use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::start;

#[tokio::test]
async fn projects_do_not_see_each_other() {
    let server = start().await;
    let shop = server
        .api(
            Method::POST,
            "/projects",
            Some(json!({"id": "shop", "name": "Shop"})),
            StatusCode::CREATED,
        )
        .await;
    let list = server.get("/projects").await;
    assert_eq!(list["items"][1], json!({"id": "shop", "name": "Shop"}));
    server.track("mara", "Bought", json!({})).await;
    let secret = shop["secret_key"].as_str().unwrap();
    let get = |path: &str| {
        server.http.get(format!("{}/api/v1{path}", server.base)).bearer_auth(secret).send()
    };
    assert_eq!(get("/customers/mara").await.unwrap().status(), StatusCode::NOT_FOUND);
    assert_eq!(get("/projects").await.unwrap().status(), StatusCode::FORBIDDEN);
    server.api(Method::POST, "/projects", Some(json!({"id": "shop"})), StatusCode::CONFLICT).await;
    let odd = json!({"id": "My Shop"});
    server.api(Method::POST, "/projects", Some(odd), StatusCode::UNPROCESSABLE_ENTITY).await;
}

#[tokio::test]
async fn settings_are_replaced_as_a_whole() {
    let server = start().await;
    let settings = json!({"name": "Shop", "timezone": "Europe/Vienna"});
    let saved = server.api(Method::PUT, "/settings", Some(settings), StatusCode::OK).await;
    assert_eq!(
        (&saved["timezone"], &saved["late_after_hours"]),
        (&json!("Europe/Vienna"), &json!(72))
    );
    assert_eq!(server.get("/settings").await, saved);
    for (settings, status) in [
        (json!({"timezone": "Mars/Olympus"}), StatusCode::UNPROCESSABLE_ENTITY),
        (json!({"sender": "nobody"}), StatusCode::UNPROCESSABLE_ENTITY),
        (json!({"tiemzone": "UTC"}), StatusCode::BAD_REQUEST),
    ] {
        server.api(Method::PUT, "/settings", Some(settings), status).await;
    }
}
