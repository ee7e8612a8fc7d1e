//! A webhook must not reach what only this machine can reach.

use std::process::Command;

use channels::{Attempt, Channels, Config, Outgoing, WebhookBackend, WebhookConfig};

use crate::http_sink::Sink;
use crate::support::webhook;

/// Ways to write an address of this machine.
const SPELLINGS: &[&str] = &[
    "127.0.0.1",
    "127.1",
    "127.0.0.1.",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0177.0.0.1",
    "①②⑦.0.0.1",
    "0.0.0.0",
    "0",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "127.0.0.1%2e",
    "user:password@127.0.0.1",
];

fn channels(config: WebhookConfig) -> Channels {
    let (memory, _) = Config::memory();
    Channels::new(Config { webhook: WebhookBackend::Http(config), ..memory }).unwrap()
}

async fn send(channels: &Channels, url: &str) -> Attempt {
    channels.send(&Outgoing::Webhook(webhook("dlv_1", url))).await
}

#[tokio::test]
async fn no_spelling_reaches_this_machine() {
    let sink = Sink::start("200 OK", Vec::new()).await;
    let http = WebhookConfig { allow_http: true, ..WebhookConfig::default() };
    let guarded = channels(http.clone());
    for spelling in SPELLINGS {
        let answer = send(&guarded, &format!("http://{spelling}:{}/", sink.port)).await;
        // Not every system knows the name with the final dot; then it is a name that nobody has.
        let unresolved = *spelling == "localhost." && matches!(answer, Attempt::Retry { .. });
        let rejected = matches!(answer, Attempt::Rejected { .. });
        assert!(rejected || unresolved, "{spelling}: {answer:?}");
    }
    assert_eq!(sink.requests().len(), 0);

    // The same spellings do arrive when nothing guards: the test can fail.
    let open = channels(WebhookConfig { allow_private: true, ..http });
    for spelling in SPELLINGS {
        send(&open, &format!("http://{spelling}:{}/", sink.port)).await;
    }
    let arrived = sink.requests().len();
    assert!(arrived >= 14, "only {arrived} of {} arrive unguarded", SPELLINGS.len());
}

#[tokio::test]
async fn only_https_unless_allowed() {
    let sink = Sink::start("200 OK", Vec::new()).await;
    let private = WebhookConfig { allow_private: true, ..WebhookConfig::default() };
    let url = format!("http://127.0.0.1:{}/", sink.port);
    let refused = Attempt::Rejected { reason: "the webhook must use https".to_owned() };
    assert_eq!(send(&channels(private), &url).await, refused);
    assert_eq!(send(&channels(WebhookConfig::default()), "ftp://example.com/").await, refused);
    assert_eq!(sink.requests().len(), 0);
}

#[tokio::test]
async fn the_allow_list_opens_one_host() {
    let sink = Sink::start("200 OK", Vec::new()).await;
    let allow_hosts = vec!["LocalHost".to_owned(), "[::1]".to_owned()];
    let channels = channels(WebhookConfig { allow_hosts, ..WebhookConfig::default() });
    let accepted = send(&channels, &format!("http://localhost:{}/", sink.port)).await;
    assert!(matches!(accepted, Attempt::Accepted { .. }), "{accepted:?}");
    let other = send(&channels, &format!("https://127.0.0.1:{}/", sink.port)).await;
    let reason = "the webhook points to a private or reserved address".to_owned();
    assert_eq!(other, Attempt::Rejected { reason });
    assert_eq!(sink.requests().len(), 1);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let inside = Sink::start("200 OK", Vec::new()).await;
    for status in [301, 302, 303, 307, 308] {
        let to = format!("{status} Go\r\nlocation: http://127.0.0.1:{}/secret", inside.port);
        let outside = Sink::start(&to, Vec::new()).await;
        let allow_hosts = vec!["localhost".to_owned()];
        let channels = channels(WebhookConfig { allow_hosts, ..WebhookConfig::default() });
        let answer = send(&channels, &format!("http://localhost:{}/", outside.port)).await;
        let reason = format!("the receiver answered {status}; redirects are not followed");
        assert_eq!(answer, Attempt::Rejected { reason });
        assert_eq!(outside.requests().len(), 1);
    }
    assert_eq!(inside.requests().len(), 0);
}

/// Runs one of the tests above in a process whose environment names a proxy.
#[tokio::test]
async fn a_proxy_in_the_environment_is_ignored() {
    let proxy = Sink::start("200 OK", Vec::new()).await;
    let address = format!("http://127.0.0.1:{}", proxy.port);
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "guard::the_allow_list_opens_one_host"]);
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"] {
        child.env(name, &address);
    }
    let output = tokio::task::spawn_blocking(move || child.output().unwrap()).await.unwrap();
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
    assert_eq!(proxy.requests().len(), 0);
}
