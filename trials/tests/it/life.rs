//! The tools of the trials themselves: a server is started, killed, stopped and used.

use serde_json::json;
use trials::client::{Client, event};
use trials::receiver::{Answer, Receiver};
use trials::server::{Plan, Server};

#[test]
fn a_server_lives_through_a_kill_and_a_stop() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start().unwrap();
    let plan = Plan::new(folder.path().join("data")).unwrap().with_webhooks();
    let mut server = Server::start(plan).unwrap();
    let mut client = server.client().unwrap();
    let hook = json!({
        "name": "A hook",
        "trigger": {"kind": "event", "event": "came"},
        "frequency": {"kind": "once"},
        "content": {"kind": "webhook", "url": receiver.url("/came"), "body": ""},
    });
    client.go_live("hook", &hook).unwrap();
    let mut sender =
        Client::new(server.address().unwrap()).with_key(&server.keys().unwrap().public);
    let sent = sender.batch(&[event("one", "mara", "came", &json!({}))]).unwrap();
    assert_eq!((sent.status, sent.json()["accepted"].as_u64()), (200, Some(1)));

    server.kill().unwrap();
    assert!(sender.get("/readyz").is_err());
    server.start_again().unwrap();
    let mut client = server.client().unwrap();
    let timeline = client.all("/api/v1/customers/mara/timeline").unwrap();
    assert!(timeline.iter().any(|entry| entry.to_string().contains("came")), "{timeline:?}");
    loop {
        let deliveries = client.all("/api/v1/deliveries?outreach=hook").unwrap();
        assert_eq!(deliveries.len(), 1);
        if deliveries[0]["state"] == "sent" {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let times = receiver.times_by_id();
    assert_eq!(times.len(), 1, "{times:?}");
    assert!(times.keys().all(|id| id.starts_with("dlv_")), "{times:?}");

    assert_eq!(server.terminate().unwrap().code(), Some(0));
    assert_eq!(server.complaints(), Vec::<String>::new());
}

#[test]
fn a_receiver_answers_as_it_is_told_and_counts() {
    let receiver = Receiver::start().unwrap();
    receiver.answer_by(Box::new(|_, _, number| match number {
        0 => Answer::Status(500),
        1 => Answer::HangUp,
        _ => Answer::Status(200),
    }));
    let address = receiver.url("").strip_prefix("http://").unwrap().parse().unwrap();
    let mut client = Client::new(address);
    let call = b"POST /here HTTP/1.1\r\nwebhook-id: a\r\ncontent-length: 2\r\n\r\n{}";
    assert_eq!(client.send_raw(call).unwrap().status, 500);
    assert!(client.send_raw(call).is_err());
    assert_eq!(client.send_raw(call).unwrap().status, 200);
    assert_eq!(receiver.times_by_id().get("a"), Some(&3));
    assert!(receiver.calls().iter().all(|call| call.path == "/here" && call.json() == json!({})));
}
