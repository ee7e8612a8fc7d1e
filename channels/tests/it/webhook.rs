//! What a receiver can check, and what its answers are taken to mean.

use std::time::{Duration, SystemTime};

use channels::{Attempt, Channels, Config, Outgoing, WebhookBackend, WebhookConfig};
use serde_json::{Value, json};

use crate::http_sink::Sink;
use crate::python;
use crate::support::{secret, webhook};

fn channels(config: WebhookConfig) -> Channels {
    let (memory, _) = Config::memory();
    Channels::new(Config { webhook: WebhookBackend::Http(config), ..memory }).unwrap()
}

/// Reaches the sink, which is on this machine and speaks http.
fn to_loopback() -> Channels {
    let hosts = vec!["127.0.0.1".to_owned()];
    channels(WebhookConfig { allow_hosts: hosts, ..WebhookConfig::default() })
}

async fn attempt(head: &str) -> Attempt {
    let sink = Sink::start(head, b"{}".to_vec()).await;
    let url = format!("http://127.0.0.1:{}/hook", sink.port);
    let answer = to_loopback().send(&Outgoing::Webhook(webhook("dlv_1", &url))).await;
    assert_eq!(sink.requests().len(), 1);
    answer
}

fn retry(status: u16, not_before_seconds: Option<u64>) -> Attempt {
    Attempt::Retry { reason: format!("the receiver answered {status}"), not_before_seconds }
}

#[tokio::test]
async fn every_answer_has_its_meaning() {
    let ours = Attempt::Accepted { provider_id: "dlv_1".to_owned() };
    let theirs = Attempt::Accepted { provider_id: "req-7".to_owned() };
    let rejected = |status| Attempt::Rejected { reason: format!("the receiver answered {status}") };
    assert_eq!(attempt("200 OK").await, ours);
    assert_eq!(attempt("202 Accepted\r\nx-request-id: req-7").await, theirs);
    let gone = Attempt::AddressGone { reason: "the receiver answered 410".to_owned() };
    assert_eq!(attempt("410 Gone").await, gone);
    for status in [400, 401, 403, 404, 405, 409, 422] {
        assert_eq!(attempt(&format!("{status} No")).await, rejected(status));
    }
    for status in [408, 425, 429, 500, 502, 503, 504] {
        assert_eq!(attempt(&format!("{status} Later")).await, retry(status, None));
    }
    assert_eq!(attempt("429 Slow\r\nretry-after: 120").await, retry(429, Some(120)));
    // The attempt is made at 1_800_000_000, which is 15 January 2027, 08:00.
    let date = "503 Later\r\nretry-after: Fri, 15 Jan 2027 08:05:00 GMT";
    assert_eq!(attempt(date).await, retry(503, Some(300)));
    assert_eq!(attempt("503 Later\r\nretry-after: soon").await, retry(503, None));
}

#[tokio::test]
async fn silence_and_absence_are_told_apart_without_naming_the_url() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://127.0.0.1:{}/token-canary", silent.local_addr().unwrap().port());
    let hosts = vec!["127.0.0.1".to_owned()];
    let timeout = Duration::from_millis(200);
    let channels =
        channels(WebhookConfig { allow_hosts: hosts, timeout, ..WebhookConfig::default() });
    let outgoing = Outgoing::Webhook(webhook("dlv_1", &url));
    let unanswered = channels.send(&outgoing).await;
    drop(silent);
    let absent = channels.send(&outgoing).await;
    // Whoever accepted the connection and is silent may have read the request all the same.
    let Attempt::Unknown { reason: unanswered } = unanswered else { panic!("{unanswered:?}") };
    let Attempt::Retry { reason: absent, .. } = absent else { panic!("{absent:?}") };
    for reason in [unanswered, absent] {
        assert!(!reason.contains("canary") && !reason.contains("127.0.0.1"), "{reason}");
    }
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let sink = Sink::start("200 OK", vec![b'x'; 50_000_000]).await;
    let url = format!("http://127.0.0.1:{}/", sink.port);
    let started = std::time::Instant::now();
    let answer = to_loopback().send(&Outgoing::Webhook(webhook("dlv_1", &url))).await;
    assert!(matches!(answer, Attempt::Accepted { .. }), "{answer:?}");
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn the_official_verifier_accepts_each_secret_and_no_forgery() {
    let sink = Sink::start("200 OK", Vec::new()).await;
    let mut sent = webhook("dlv_1", &format!("http://127.0.0.1:{}/", sink.port));
    sent.secrets = vec![secret(1), secret(2)];
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    sent.timestamp = i64::try_from(now.as_secs()).unwrap();
    to_loopback().send(&Outgoing::Webhook(sent)).await;

    let request = sink.requests().remove(0);
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("x-team: growth") && head.contains("content-type: application/json"));
    let headers: serde_json::Map<String, Value> = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    let case = |secret: String, body: &str, change: Option<(&str, &str)>| {
        let mut headers = headers.clone();
        if let Some((name, value)) = change {
            headers.insert(name.to_owned(), value.into());
        }
        json!({ "secret": secret, "body": body, "headers": headers })
    };
    let old = (now.as_secs() - 600).to_string();
    let cases = json!([
        case(secret(1), body, None),
        case(secret(2), body, None),
        case(secret(3), body, None),
        case(secret(1), &body.replace("trial", "trail"), None),
        case(secret(1), body, Some(("webhook-id", "dlv_2"))),
        case(secret(1), body, Some(("webhook-timestamp", &old))),
    ]);
    let answer = python::run("verify_webhook.py", &cases);
    assert_eq!(answer, json!([true, true, false, false, false, false]));
}

#[tokio::test]
async fn a_webhook_that_cannot_be_sent_is_rejected() {
    let (config, sent) = Config::memory();
    let channels = Channels::new(config).unwrap();
    let good = webhook("dlv_1", "https://hooks.example.com/");
    let mut bad = vec![webhook("dlv_1", "not a url"), webhook("a/b", "https://hooks.example.com/")];
    for name in ["Webhook-Signature", "host", "Content-Length", "x\r\ny", ""] {
        let headers = vec![(name.to_owned(), "1".to_owned())];
        bad.push(channels::Webhook { headers, ..good.clone() });
    }
    let headers = vec![("x-a".to_owned(), "1\r\nx-b: 2".to_owned())];
    bad.push(channels::Webhook { headers, ..good.clone() });
    bad.push(channels::Webhook { method: "CONNECT".to_owned(), ..good.clone() });
    bad.push(channels::Webhook { secrets: vec!["whsec_!".to_owned()], ..good.clone() });
    for webhook in bad {
        let answer = channels.send(&Outgoing::Webhook(webhook)).await;
        assert!(matches!(answer, Attempt::Rejected { .. }), "{answer:?}");
    }
    assert!(sent.lock().unwrap().is_empty());
    channels.send(&Outgoing::Webhook(good.clone())).await;
    assert!(matches!(&sent.lock().unwrap()[..], [Outgoing::Webhook(only)] if *only == good));
}

#[tokio::test]
async fn an_unknown_certificate_is_not_accepted_and_a_named_one_is() {
    let sink = Sink::start_tls("200 OK").await;
    let url = format!("https://localhost:{}/", sink.port);
    let hosts = vec!["localhost".to_owned()];
    let strict = WebhookConfig { allow_hosts: hosts, ..WebhookConfig::default() };
    let trusting = WebhookConfig { ca_pem: sink.certificate.clone(), ..strict.clone() };
    let outgoing = Outgoing::Webhook(webhook("dlv_1", &url));
    let answer = channels(strict).send(&outgoing).await;
    assert!(matches!(answer, Attempt::Retry { .. }), "{answer:?}");
    assert_eq!(sink.requests().len(), 0);
    let answer = channels(trusting).send(&outgoing).await;
    assert!(matches!(answer, Attempt::Accepted { .. }), "{answer:?}");
    assert_eq!(sink.requests().len(), 1);
}
