//! Messages to send, and the keys and certificates they need.

use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use channels::{DkimKey, Email, Mailbox, Secret, Webhook};
use rustls::pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

pub(crate) fn email(delivery_id: &str) -> Email {
    Email {
        delivery_id: delivery_id.to_owned(),
        from: Mailbox::new("Acme", "news@acme.example"),
        reply_to: Some(Mailbox::bare("help@acme.example")),
        to: Mailbox::new("Anna Sørensen", "anna@customer.example"),
        subject: "Your trial ends soon".to_owned(),
        preheader: Some("Three days <left>".to_owned()),
        html: "<html><body><h1>Hello</h1><p>Dear Anna</p></body></html>".to_owned(),
        text: None,
        unsubscribe_url: Some("https://msg.acme.example/u/abc?d=1&e=2".to_owned()),
        unsubscribe_mailto: Some("unsubscribe+abc@acme.example".to_owned()),
        headers: vec![("Feedback-ID".to_owned(), "welcome:acme".to_owned())],
        date: "2026-11-22T10:00:00Z".parse().unwrap(),
    }
}

pub(crate) fn webhook(delivery_id: &str, url: &str) -> Webhook {
    Webhook {
        delivery_id: delivery_id.to_owned(),
        method: "POST".to_owned(),
        url: url.to_owned(),
        headers: vec![("X-Team".to_owned(), "growth".to_owned())],
        body: r#"{"type":"trial_ending","name":"Sørensen"}"#.to_owned(),
        timestamp: 1_800_000_000,
        secrets: vec![secret(1)],
    }
}

pub(crate) fn secret(seed: u8) -> String {
    format!("whsec_{}", STANDARD.encode([seed; 24]))
}

/// One RSA key and one Ed25519 key, the way an operator would have them.
pub(crate) fn dkim_keys() -> Vec<DkimKey> {
    let rsa = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let rsa: Pkcs8V1Der<'_> = rsa.as_der().unwrap();
    let ed25519 = Ed25519KeyPair::generate().unwrap();
    let ed25519: Pkcs8V1Der<'_> = ed25519.as_der().unwrap();
    vec![dkim_key("rsa2026", rsa.as_ref()), dkim_key("ed2026", ed25519.as_ref())]
}

fn dkim_key(selector: &str, der: &[u8]) -> DkimKey {
    let pem = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        STANDARD.encode(der)
    );
    DkimKey {
        domain: "acme.example".to_owned(),
        selector: selector.to_owned(),
        private_key_pem: Secret::new(pem),
    }
}

/// The server side of TLS for `localhost`, and its certificate in PEM.
pub(crate) fn self_signed() -> (TlsAcceptor, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), made.cert.pem())
}
