//! What each misbehaviour of a relay is taken to mean.

use std::time::Duration;

use channels::{
    Attempt, Channels, Config, ConfigError, Credentials, EmailBackend, Outgoing, Secret, Security,
    SmtpConfig,
};

use crate::smtp_sink::{End, Script, Sink, Tls};
use crate::support::email;

fn config(sink: &Sink, security: Security) -> SmtpConfig {
    let mut config = SmtpConfig::new("localhost", security);
    config.port = Some(sink.address.port());
    config.ca_pem = Some(sink.certificate.clone());
    config
}

fn channels(config: SmtpConfig) -> Channels {
    let (memory, _) = Config::memory();
    Channels::new(Config { email: EmailBackend::Smtp(config), ..memory }).unwrap()
}

async fn attempt(script: Script) -> Attempt {
    let sink = Sink::start(script).await;
    channels(config(&sink, Security::Plain)).send(&Outgoing::Email(email("dlv_1"))).await
}

fn kind(attempt: &Attempt) -> &'static str {
    match attempt {
        Attempt::Accepted { .. } => "accepted",
        Attempt::Retry { .. } => "retry",
        Attempt::Rejected { .. } => "rejected",
        Attempt::AddressGone { .. } => "gone",
        Attempt::Unknown { .. } => "unknown",
    }
}

#[tokio::test]
async fn every_refusal_has_its_meaning() {
    let mail = |mail| Script { mail, ..Script::default() };
    let rcpt = |rcpt| Script { rcpt, ..Script::default() };
    let data = |data| Script { data, ..Script::default() };
    let end = |end| Script { end, ..Script::default() };
    let cases = [
        (Script::default(), "accepted"),
        (mail("421 4.7.0 too busy"), "retry"),
        (mail("451 4.3.0 try later"), "retry"),
        (mail("550 5.7.1 sender not allowed"), "rejected"),
        (mail("530 5.7.0 authentication required"), "retry"),
        (rcpt("421 4.7.0 too busy"), "retry"),
        (rcpt("450 4.2.0 greylisted"), "retry"),
        (rcpt("550 5.1.1 <anna@customer.example> unknown"), "gone"),
        (rcpt("550-5.1.1 The account\r\n550 5.1.1 does not exist"), "gone"),
        (rcpt("550 5.1.10 null MX"), "gone"),
        (rcpt("550 no such user here"), "gone"),
        (rcpt("551 user not local"), "gone"),
        (rcpt("553 mailbox name invalid"), "gone"),
        (rcpt("550 5.7.1 Unable to relay"), "rejected"),
        (rcpt("550 relay not permitted"), "rejected"),
        (rcpt("552 5.2.2 mailbox full"), "rejected"),
        (rcpt("554 transaction failed"), "rejected"),
        (data("451 4.3.0 disk full"), "retry"),
        (data("554 5.5.1 no valid recipients"), "rejected"),
        (data("250 ok"), "retry"),
        (end(End::Reply("354 go on")), "unknown"),
        (end(End::Reply("451 4.3.0 disk full")), "retry"),
        (end(End::Reply("421 4.3.2 shutting down")), "retry"),
        (end(End::Reply("550 5.7.1 looks like spam")), "rejected"),
        (end(End::Reply("554 message refused")), "rejected"),
        (end(End::Reply("no code at all")), "unknown"),
        (end(End::DropAfterDot), "unknown"),
        (end(End::ReplyThenDrop), "accepted"),
    ];
    for (script, expected) in cases {
        let (mail, rcpt) = (script.mail, script.rcpt);
        let answer = attempt(script).await;
        assert_eq!(kind(&answer), expected, "mail {mail}, rcpt {rcpt}: {answer:?}");
    }
}

#[tokio::test]
async fn the_relay_s_answer_is_kept_without_the_address() {
    let accepted = attempt(Script::default()).await;
    assert_eq!(accepted, Attempt::Accepted { provider_id: "2.0.0 queued as q1".to_owned() });
    let script = Script { rcpt: "550 5.1.1 <anna@customer.example> unknown", ..Script::default() };
    let Attempt::AddressGone { reason } = attempt(script).await else { panic!() };
    assert_eq!(
        reason,
        "announcing the recipient: permanent error (550): 5.1.1 <the address> unknown"
    );
}

#[tokio::test]
async fn a_connection_lost_before_the_dot_is_safe_to_retry() {
    let sink = Sink::start(Script { end: End::DropInMessage, ..Script::default() }).await;
    let channels = channels(config(&sink, Security::Plain));
    let mut large = email("dlv_large");
    // More than the kernel buffers on both sides, so the loss is noticed while writing.
    large.html = "é ".repeat(1_300_000);
    let answer = channels.send(&Outgoing::Email(large)).await;
    assert_eq!(kind(&answer), "retry", "{answer:?}");
    assert!(sink.taken().is_empty());
}

#[tokio::test]
async fn silence_after_the_dot_is_unknown_and_before_it_a_retry() {
    let sink = Sink::start(Script { end: End::Silence, ..Script::default() }).await;
    let mut config = config(&sink, Security::Plain);
    config.message_timeout = Duration::from_millis(200);
    let answer = channels(config.clone()).send(&Outgoing::Email(email("dlv_1"))).await;
    assert_eq!(kind(&answer), "unknown", "{answer:?}");
    assert_eq!(sink.taken().len(), 1);

    let unanswered = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    config.port = Some(unanswered.local_addr().unwrap().port());
    config.connect_timeout = Duration::from_millis(200);
    let answer = channels(config.clone()).send(&Outgoing::Email(email("dlv_1"))).await;
    assert_eq!(kind(&answer), "retry", "{answer:?}");

    drop(unanswered);
    let answer = channels(config).send(&Outgoing::Email(email("dlv_1"))).await;
    assert_eq!(kind(&answer), "retry", "{answer:?}");
}

#[tokio::test]
async fn connections_are_kept_and_a_dead_one_is_replaced() {
    let sink = Sink::start(Script::default()).await;
    let keeping = channels(config(&sink, Security::Plain));
    for number in 0..5 {
        let answer = keeping.send(&Outgoing::Email(email(&format!("dlv_{number}")))).await;
        assert_eq!(kind(&answer), "accepted", "{answer:?}");
    }
    assert_eq!((sink.connections(), sink.taken().len()), (1, 5));

    let refusing = Sink::start(Script { rcpt: "550 5.1.1 gone", ..Script::default() }).await;
    let after_refusals = channels(config(&refusing, Security::Plain));
    for number in 0..5 {
        after_refusals.send(&Outgoing::Email(email(&format!("dlv_{number}")))).await;
    }
    assert_eq!(refusing.connections(), 1);

    let leaving = Sink::start(Script { end: End::ReplyThenDrop, ..Script::default() }).await;
    let replacing = channels(config(&leaving, Security::Plain));
    for number in 0..5 {
        let answer = replacing.send(&Outgoing::Email(email(&format!("dlv_{number}")))).await;
        assert_eq!(kind(&answer), "accepted", "{answer:?}");
    }
    assert_eq!((leaving.connections(), leaving.taken().len()), (5, 5));
}

#[tokio::test]
async fn sends_at_once_share_the_permitted_connections() {
    let sink = Sink::start(Script::default()).await;
    let mut config = config(&sink, Security::Plain);
    config.connections = 3;
    let channels = std::sync::Arc::new(channels(config));
    let mut sends = tokio::task::JoinSet::new();
    for number in 0..40 {
        let channels = channels.clone();
        let outgoing = Outgoing::Email(email(&format!("dlv_{number}")));
        sends.spawn(async move { channels.send(&outgoing).await });
    }
    for answer in sends.join_all().await {
        assert_eq!(kind(&answer), "accepted", "{answer:?}");
    }
    assert_eq!(sink.taken().len(), 40);
    assert!(sink.connections() <= 3, "{} connections", sink.connections());
}

#[tokio::test]
async fn encryption_and_passwords() {
    let right = Some(Credentials { username: "u".into(), password: Secret::new("p ä") });
    let wrong = Some(Credentials { username: "u".into(), password: Secret::new("no") });
    for (tls, security) in [(Tls::Start, Security::StartTls), (Tls::Implicit, Security::Tls)] {
        for mechanism in ["PLAIN", "LOGIN"] {
            let auth = Some((mechanism, "u", "p ä"));
            let sink = Sink::start(Script { tls, auth, ..Script::default() }).await;
            let mut config = config(&sink, security);
            config.credentials = right.clone();
            let answer = channels(config.clone()).send(&Outgoing::Email(email("dlv_1"))).await;
            assert_eq!(kind(&answer), "accepted", "{mechanism}: {answer:?}");

            config.credentials = wrong.clone();
            let answer = channels(config.clone()).send(&Outgoing::Email(email("dlv_1"))).await;
            assert_eq!(kind(&answer), "retry", "{mechanism}: {answer:?}");

            config.ca_pem = None;
            config.credentials = right.clone();
            let answer = channels(config).send(&Outgoing::Email(email("dlv_1"))).await;
            assert_eq!(kind(&answer), "retry", "unknown certificate: {answer:?}");
            assert_eq!(sink.taken().len(), 1);
        }
    }
}

#[tokio::test]
async fn nothing_is_said_in_the_clear_unless_asked_for() {
    // The relay does not offer STARTTLS, or somebody on the way removed it.
    let sink = Sink::start(Script { auth: Some(("PLAIN", "u", "p")), ..Script::default() }).await;
    let mut config = config(&sink, Security::StartTls);
    config.credentials = Some(Credentials { username: "u".into(), password: Secret::new("p") });
    let answer = channels(config).send(&Outgoing::Email(email("dlv_1"))).await;
    assert_eq!(kind(&answer), "retry", "{answer:?}");
    assert!(sink.taken().is_empty());

    let mut config = SmtpConfig::new("relay.example.com", Security::Plain);
    let build = |config: SmtpConfig| {
        let (memory, _) = Config::memory();
        Channels::new(Config { email: EmailBackend::Smtp(config), ..memory })
    };
    assert!(matches!(build(config.clone()), Err(ConfigError::PlaintextSmtp { .. })));
    config.allow_plaintext = true;
    assert!(build(config).is_ok());
}

/// Text that arrives before encryption must not be taken for an answer that arrives after it: every
/// later answer would be read one too early, and `354 go` be taken for the message's acceptance.
#[tokio::test]
async fn an_answer_injected_before_encryption_is_not_believed() {
    let tls = Tls::StartInjected;
    let end = End::Reply("554 refused");
    let sink = Sink::start(Script { tls, end, ..Script::default() }).await;
    let outgoing = Outgoing::Email(email("dlv_1"));
    let answer = channels(config(&sink, Security::StartTls)).send(&outgoing).await;
    assert_eq!(kind(&answer), "retry", "{answer:?}");
    assert!(sink.taken().is_empty());
}
