use serde_json::json;

use crate::support::{banner, start};

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let server = start().await;
    server.live("hello", banner("Viewed", "Hi")).await;
    server.track("mara", "Viewed", json!({})).await;
    let before = server.get("/customers/mara").await;
    let server = server.restart().await;
    assert_eq!(server.get("/customers/mara").await, before);
    let answer = server.track("mara", "Viewed", json!({})).await;
    assert_eq!(answer["deliver"].as_array().unwrap().len(), 1, "once is once: {answer:#}");
}

#[tokio::test]
async fn open_streams_do_not_hold_up_a_stop() {
    let mut server = start().await;
    let url = format!("{}/v1/stream?userId=mara&key={}", server.base, server.keys.public);
    let stream = server.http.get(url).send().await.unwrap();
    let begin = std::time::Instant::now();
    server.end().await;
    assert!(begin.elapsed().as_secs() < 10, "{:?}", begin.elapsed());
    drop(stream);
}
