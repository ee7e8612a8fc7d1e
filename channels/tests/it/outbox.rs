//! The development default.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use channels::{Attempt, Channels, Config, Outgoing, Parcel, ParcelBackend};
use serde_json::{Value, json};

use crate::support::{email, webhook};

fn parcel() -> Parcel {
    Parcel {
        channel: "sms".to_owned(),
        delivery_id: "dlv_3".to_owned(),
        to: "+45 1234".to_owned(),
        payload: json!({ "text": "Hello" }),
    }
}

fn names(folder: &std::path::Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn each_channel_has_its_file_and_sending_again_overwrites_it() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = folder.path().join("new/outbox");
    let channels = Channels::new(Config::outbox(&outbox)).unwrap();
    let all = [
        Outgoing::Email(email("dlv_1")),
        Outgoing::Webhook(webhook("dlv_2", "https://hooks.example.com/a?b=1")),
        Outgoing::Parcel(parcel()),
    ];
    for outgoing in all.iter().chain(&all) {
        let answer = channels.send(outgoing).await;
        assert!(matches!(answer, Attempt::Accepted { .. }), "{answer:?}");
    }
    assert_eq!(names(&outbox), ["dlv_1.eml", "dlv_2.webhook.json", "dlv_3.sms.json"]);

    let read = |name| std::fs::read_to_string(outbox.join(name)).unwrap();
    assert!(read("dlv_1.eml").contains("Message-ID: <dlv_1@acme.example>\r\n"));
    let shown: Value = serde_json::from_str(&read("dlv_2.webhook.json")).unwrap();
    assert_eq!(shown["method"], "POST");
    assert_eq!(shown["url"], "https://hooks.example.com/a?b=1");
    assert_eq!(shown["headers"]["webhook-id"], "dlv_2");
    assert!(shown["headers"]["webhook-signature"].as_str().unwrap().starts_with("v1,"));
    assert_eq!(shown["body"], webhook("", "").body);
    let shown: Value = serde_json::from_str(&read("dlv_3.sms.json")).unwrap();
    assert_eq!(shown["payload"], json!({ "text": "Hello" }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reader_never_sees_half_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let channels = Arc::new(Channels::new(Config::outbox(folder.path())).unwrap());
    let mut large = parcel();
    large.payload = json!({ "text": "x".repeat(500_000) });
    let large = Outgoing::Parcel(large);
    channels.send(&large).await;

    let done = Arc::new(AtomicBool::new(false));
    let reader = {
        let (done, path) = (done.clone(), folder.path().join("dlv_3.sms.json"));
        std::thread::spawn(move || {
            let mut reads = 0;
            while !done.load(Ordering::SeqCst) {
                let text = std::fs::read_to_string(&path).unwrap();
                assert!(serde_json::from_str::<Value>(&text).is_ok(), "half a file");
                reads += 1;
            }
            reads
        })
    };
    for _ in 0..50 {
        tokio::join!(channels.send(&large), channels.send(&large));
    }
    done.store(true, Ordering::SeqCst);
    assert!(reader.join().unwrap() > 0);
    assert_eq!(names(folder.path()), ["dlv_3.sms.json"]);
}

#[tokio::test]
async fn a_parcel_without_a_provider_says_what_to_configure() {
    let (memory, _) = Config::memory();
    let channels = Channels::new(Config { parcel: ParcelBackend::Provider, ..memory }).unwrap();
    let answer = channels.send(&Outgoing::Parcel(parcel())).await;
    let Attempt::Rejected { reason } = answer else { panic!("{answer:?}") };
    assert!(reason.contains("sms") && reason.contains("folder outbox"), "{reason}");

    let escaping = Parcel { channel: "../x".to_owned(), ..parcel() };
    let answer = channels.send(&Outgoing::Parcel(escaping)).await;
    assert!(matches!(answer, Attempt::Rejected { .. }), "{answer:?}");
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_a_retry() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = folder.path().join("outbox");
    let channels = Channels::new(Config::outbox(&outbox)).unwrap();
    std::fs::remove_dir(&outbox).unwrap();
    let answer = channels.send(&Outgoing::Parcel(parcel())).await;
    assert!(matches!(answer, Attempt::Retry { .. }), "{answer:?}");
}
