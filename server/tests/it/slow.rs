use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Running, start_with};

/// Send a request a byte at a time and see what comes back until the server hangs up.
async fn drip(server: &Running, at_once: &str, slowly: &str) -> (String, Duration) {
    let address = server.base.strip_prefix("http://").unwrap();
    let begin = Instant::now();
    let (mut from, mut to) = TcpStream::connect(address).await.unwrap().into_split();
    to.write_all(at_once.as_bytes()).await.unwrap();
    let slowly = slowly.to_owned();
    let dripping = tokio::spawn(async move {
        let mut beat = tokio::time::interval(Duration::from_millis(50));
        for byte in slowly.bytes() {
            beat.tick().await;
            if to.write_all(&[byte]).await.is_err() {
                return;
            }
        }
    });
    let mut answer = Vec::new();
    // The server may also reset the connection, which it still writes to.
    let read = from.read_to_end(&mut answer);
    let _ = tokio::time::timeout(Duration::from_secs(20), read).await.expect("it hangs up");
    dripping.abort();
    (String::from_utf8_lossy(&answer).into_owned(), begin.elapsed())
}

#[tokio::test]
async fn nobody_holds_a_connection_by_dripping() {
    let server = start_with(|config| {
        config.patience.head = Duration::from_millis(400);
        config.patience.body = Duration::from_millis(400);
    })
    .await;
    let long = "x".repeat(10_000);
    let (_, took) = drip(&server, "POST /v1/track HTTP/1.1\r\nhost: x\r\nx-long: ", &long).await;
    assert!(took < Duration::from_secs(10), "a dripping head was held for {took:?}");
    let (_, took) = drip(&server, "", "").await;
    assert!(took < Duration::from_secs(10), "silence was held for {took:?}");

    let head = "POST /v1/track HTTP/1.1\r\nhost: x\r\ncontent-length: 10000\r\n\r\n";
    let (answer, took) = drip(&server, head, &long).await;
    assert!(took < Duration::from_secs(10), "a dripping body was held for {took:?}");
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("body_timeout"), "{answer}");
    server.track("mara", "Viewed", json!({})).await;
}
