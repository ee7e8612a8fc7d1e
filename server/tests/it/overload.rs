//! More comes in than may wait: the rest is refused early, and nothing accepted is lost.

use reqwest::StatusCode;
use serde_json::json;

use crate::support::start_with;

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_wait_is_refused_with_a_time_to_come_back() {
    let server = start_with(|config| config.queue.commands = 200).await;
    let send = |batch: usize| {
        let request = server
            .http
            .post(format!("{}/v1/batch", server.base))
            .basic_auth(&server.keys.public, Some(""))
            .json(&json!({ "batch": (0..100).map(|number| json!({
                "type": "track", "event": "clicked", "messageId": format!("{batch}-{number}"),
                "userId": format!("user-{batch}"),
            })).collect::<Vec<_>>() }));
        tokio::spawn(async move {
            let response = request.send().await.unwrap();
            let again = response.headers().get("retry-after").cloned();
            (batch, response.status(), again)
        })
    };
    let mut left: Vec<usize> = (0..100).collect();
    let mut refused = 0;
    // A client that is told to come back comes back; here at once, which is harder.
    for _ in 0..1_000 {
        let waiting: Vec<_> = left.drain(..).map(send).collect();
        for answer in waiting {
            let (batch, status, again) = answer.await.unwrap();
            match status {
                StatusCode::OK => {}
                StatusCode::TOO_MANY_REQUESTS => {
                    let seconds: u32 = again.unwrap().to_str().unwrap().parse().unwrap();
                    assert!(seconds >= 1);
                    refused += 1;
                    left.push(batch);
                }
                other => panic!("{other}"),
            }
        }
        if left.is_empty() {
            break;
        }
    }
    assert!(left.is_empty(), "{} batches never came in", left.len());
    assert!(refused > 0, "a hundred batches at once fit into a queue for two");
    let catalogue = server.get("/catalogue").await;
    let clicked =
        catalogue["events"].as_array().unwrap().iter().find(|one| one["name"] == "clicked");
    assert_eq!(clicked.unwrap()["count"], 10_000, "{catalogue}");
}
