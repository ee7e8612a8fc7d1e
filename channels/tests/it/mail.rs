//! The mail itself, read by programs that are not ours.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use channels::{
    Attempt, Channels, Config, DkimKey, Email, EmailBackend, Mailbox, Outgoing, Security,
    SmtpConfig, dns_record,
};
use serde_json::{Value, json};

use crate::python;
use crate::smtp_sink::{Script, Sink};
use crate::support::{dkim_keys, email};

const SUBJECTS: &[&str] = &[
    "Plain",
    "",
    "  spaces   inside  and trailing   ",
    "Grüße aus Köln – très bien",
    "詳細はこちら>> 🚀 続きを読む 詳細はこちら 詳細はこちら 詳細はこちら 詳細はこちら",
    "line\r\nBcc: victim@example.com",
    "tab\there, nul\0there, bell\u{7}",
    "a very long subject without any special characters that has to be folded more than once on its way",
    "Averyveryveryveryveryveryveryveryveryveryveryveryveryveryveryveryveryverylongwordwithoutanyspaceinit",
    "=?utf-8?q?looks_encoded?= \u{202e}bidi",
];

fn bodies() -> [String; 5] {
    [
        "<p>Hello</p>".to_owned(),
        "<p>trailing blanks   \t \r\n  \n\n\n</p>   \n\n\n".to_owned(),
        format!("<p>{}</p>", "x".repeat(3000)),
        "<body><p>.leading dot\n.\n..\nFrom the start\n日本語 🚀 é\rbare return</p></body>"
            .to_owned(),
        format!("<p>{}</p>", "word and a longer word é ".repeat(300)),
    ]
}

fn fifty() -> Vec<Email> {
    let mut emails = Vec::new();
    for (number, subject) in SUBJECTS.iter().enumerate() {
        for (body_number, body) in bodies().into_iter().enumerate() {
            let mut email = email(&format!("dlv_{number}-{body_number}"));
            email.subject = (*subject).to_owned();
            email.html = body;
            email.to = Mailbox::new(*subject, "anna@customer.example");
            emails.push(email);
        }
    }
    emails
}

/// The bytes that the folder back end would hand to a relay.
async fn composed(keys: Vec<DkimKey>, emails: &[Email]) -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { dkim: keys, ..Config::outbox(folder.path()) };
    let channels = Channels::new(config).unwrap();
    let mut mails = Vec::new();
    for email in emails {
        let answer = channels.send(&Outgoing::Email(email.clone())).await;
        assert!(matches!(answer, Attempt::Accepted { .. }), "{answer:?}");
        let file = folder.path().join(format!("{}.eml", email.delivery_id));
        mails.push(std::fs::read(file).unwrap());
    }
    mails
}

fn read(keys: &[DkimKey], mails: &[Vec<u8>]) -> Vec<Value> {
    let dns: serde_json::Map<String, Value> = keys
        .iter()
        .map(|key| {
            let name = format!("{}._domainkey.{}.", key.selector, key.domain);
            (name, dns_record(key).unwrap().into())
        })
        .collect();
    let mails: Vec<String> = mails.iter().map(|mail| STANDARD.encode(mail)).collect();
    let answer = python::run("verify_mail.py", &json!({ "dns": dns, "mails": mails }));
    answer.as_array().unwrap().clone()
}

fn changed(mail: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(mail.to_vec()).unwrap();
    assert!(text.contains(from), "{from:?} is not in the mail");
    text.replacen(from, to, 1).into_bytes()
}

#[tokio::test]
async fn fifty_odd_mails_verify_and_say_what_was_meant() {
    let keys = dkim_keys();
    let emails = fifty();
    assert_eq!(emails.len(), 50);
    let mails = composed(keys.clone(), &emails).await;
    let expected_names = [
        "DKIM-Signature",
        "DKIM-Signature",
        "From",
        "To",
        "Subject",
        "Date",
        "Message-ID",
        "Reply-To",
        "List-Unsubscribe",
        "List-Unsubscribe-Post",
        "Feedback-ID",
        "MIME-Version",
        "Content-Type",
    ];
    for (email, seen) in emails.iter().zip(read(&keys, &mails)) {
        let id = &email.delivery_id;
        assert_eq!(seen["dkim"], json!([true, true]), "{id}");
        let mut names: Vec<&str> =
            seen["names"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        names.sort_unstable();
        let mut expected = expected_names;
        expected.sort_unstable();
        assert_eq!(names, expected, "{id}");
        assert_eq!(seen["to"][0][1], "anna@customer.example", "{id}");
        assert_eq!(seen["defects"], json!([]), "{id}");
        assert_eq!(seen["bare_breaks"], 0, "{id}");
        assert!(seen["longest_line"].as_u64().unwrap() <= 998, "{id}: {}", seen["longest_line"]);
        assert_eq!(seen["headers"]["Message-ID"], format!("<{id}@acme.example>"));
        let html = seen["html"].as_str().unwrap().replace("\r\n", "\n");
        assert!(html.contains("Three days &lt;left&gt;"), "{id}");
        let meant = email.html.replace("\r\n", "\n").replace('\r', "\n");
        assert!(html.contains(meant.trim_end().trim_start_matches("<body>")), "{id}: {html}");
        assert!(!seen["text"].as_str().unwrap().contains(['<', '>']), "{id}");
    }
    // Readable in the original too, where no character was replaced.
    let subjects: Vec<String> = read(&keys, &mails)
        .iter()
        .map(|seen| seen["headers"]["Subject"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(subjects[15], SUBJECTS[3]);
    assert_eq!(subjects[20], SUBJECTS[4]);
    assert_eq!(subjects[25], "line Bcc: victim@example.com");
}

#[tokio::test]
async fn tampering_breaks_both_signatures() {
    let keys = dkim_keys();
    let mail = composed(keys.clone(), &[email("dlv_1")]).await.remove(0);
    let tampered = [
        changed(
            &mail,
            "List-Unsubscribe: <https://msg.acme.example",
            "List-Unsubscribe: <https://evil.example",
        ),
        changed(&mail, "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n", ""),
        changed(&mail, "Subject: Your", "Subject: My"),
        changed(&mail, "\r\nTo: ", "\r\nFrom: Boss <boss@evil.example>\r\nTo: "),
        changed(&mail, "\r\nFrom: ", "\r\nFrom: Boss <boss@evil.example>\r\nFrom: "),
        changed(&mail, "Dear Anna", "Dear Anne"),
        changed(&mail, "dlv_1@acme", "dlv_2@acme"),
    ];
    let unharmed = changed(&mail, "Subject: Your trial", "Subject:  Your \r\n\t trial");
    assert_eq!(
        read(&keys, &[mail, unharmed]).iter().filter(|s| s["dkim"] == json!([true, true])).count(),
        2
    );
    for (number, seen) in read(&keys, &tampered).iter().enumerate() {
        let verified = seen["dkim"].as_array().unwrap().contains(&json!(true));
        assert!(!verified, "change {number} went unnoticed: {}", seen["dkim"]);
    }
}

/// dkimpy refuses a second From by itself; other verifiers need the signature to name one more.
#[tokio::test]
async fn the_signature_counts_one_more_from() {
    let mail = composed(dkim_keys(), &[email("dlv_1")]).await.remove(0);
    let text = String::from_utf8(mail).unwrap().replace("\r\n ", "").replace(' ', "");
    let lists: Vec<&str> = text
        .split("DKIM-Signature:")
        .skip(1)
        .map(|signature| signature.split(";h=").nth(1).unwrap().split(';').next().unwrap())
        .collect();
    let list = "From:To:Subject:Date:Message-ID:MIME-Version:Content-Type:Reply-To:\
                List-Unsubscribe:List-Unsubscribe-Post:From";
    assert_eq!(lists, [list, list]);
}

#[tokio::test]
async fn a_mail_verifies_as_the_relay_receives_it() {
    let keys = dkim_keys();
    let sink = Sink::start(Script::default()).await;
    let mut smtp = SmtpConfig::new("127.0.0.1", Security::Plain);
    smtp.port = Some(sink.address.port());
    let (memory, _) = Config::memory();
    let config = Config { email: EmailBackend::Smtp(smtp), dkim: keys.clone(), ..memory };
    let channels = Channels::new(config).unwrap();
    for email in fifty() {
        channels.send(&Outgoing::Email(email)).await;
    }
    let received = read(&keys, &sink.taken());
    assert_eq!(received.len(), 50);
    assert!(received.iter().all(|seen| seen["dkim"] == json!([true, true])));
}

#[tokio::test]
async fn unsubscribe_needs_https_for_one_click() {
    let mut plain = email("dlv_1");
    plain.unsubscribe_url = Some("http://localhost:3000/u/abc".to_owned());
    plain.unsubscribe_mailto = None;
    let mut neither = email("dlv_2");
    neither.unsubscribe_url = None;
    neither.unsubscribe_mailto = Some("mailto:stop@acme.example?subject=stop".to_owned());
    let long = "https://msg.acme.example/u/".to_owned() + &"a".repeat(400);
    let mut folded = email("dlv_3");
    folded.unsubscribe_url = Some(long.clone());
    let mails = composed(Vec::new(), &[plain, neither, folded]).await;
    let seen = read(&[], &mails);
    assert_eq!(seen[0]["headers"]["List-Unsubscribe"], "<http://localhost:3000/u/abc>");
    assert_eq!(seen[0]["headers"]["List-Unsubscribe-Post"], Value::Null);
    assert_eq!(seen[1]["headers"]["List-Unsubscribe"], "<mailto:stop@acme.example?subject=stop>");
    let expected = format!("<{long}>, <mailto:unsubscribe+abc@acme.example>");
    assert_eq!(seen[2]["headers"]["List-Unsubscribe"], expected);
    assert_eq!(seen[2]["headers"]["List-Unsubscribe-Post"], "List-Unsubscribe=One-Click");
}

#[tokio::test]
async fn values_that_cannot_be_a_mail_are_rejected_with_a_sentence() {
    let (config, sent) = Config::memory();
    let channels = Channels::new(config).unwrap();
    let change = |change: fn(&mut Email)| {
        let mut email = email("dlv_1");
        change(&mut email);
        email
    };
    let bad = [
        change(|e| e.to.address = "anna@customer.example\r\nRCPT TO:<x@y.example>".to_owned()),
        change(|e| e.to.address = "nobody".to_owned()),
        change(|e| e.delivery_id = "../../etc/passwd".to_owned()),
        change(|e| e.delivery_id = String::new()),
        change(|e| e.headers = vec![("Bcc".to_owned(), "x@y.example".to_owned())]),
        change(|e| e.headers = vec![("X\r\nBcc".to_owned(), "x@y.example".to_owned())]),
        change(|e| e.unsubscribe_url = Some("javascript:alert(1)".to_owned())),
        change(|e| e.unsubscribe_mailto = Some("a@b.example>, <https://evil.example".to_owned())),
        change(|e| e.html = "x".repeat(5_000_000)),
        change(|e| e.date = jiff::Timestamp::MIN),
    ];
    for email in bad {
        let answer = channels.send(&Outgoing::Email(email)).await;
        assert!(matches!(answer, Attempt::Rejected { .. }), "{answer:?}");
    }
    assert!(sent.lock().unwrap().is_empty());

    // What a customer's own name may hold harms nobody, on any channel of the seven bits.
    for code in 0..=0x2f_u8 {
        let odd = change(|_| ());
        let name = format!("a{}b\u{2028}\u{85}\"<x@y>, \\", char::from(code));
        let odd = Email { to: Mailbox::new(name, "anna@customer.example"), ..odd };
        let answer = channels.send(&Outgoing::Email(odd)).await;
        assert!(matches!(answer, Attempt::Accepted { .. }), "{code}: {answer:?}");
    }
}

#[tokio::test]
async fn the_same_mail_is_the_same_bytes() {
    let emails = [email("dlv_1"), email("dlv_1")];
    let mails = composed(dkim_keys(), &emails).await;
    assert_eq!(mails[0], mails[1]);
}

#[tokio::test]
async fn a_domain_in_any_script_is_written_for_dns() {
    let mut danish = email("dlv_1");
    danish.to = Mailbox::new("Søren", "soeren@køb.example");
    let mails = composed(Vec::new(), &[danish]).await;
    assert_eq!(read(&[], &mails)[0]["to"], json!([["Søren", "soeren@xn--kb-lka.example"]]));
}

/// The PKCS#1 form is what older tools write; it is the content of the PKCS#8 form.
#[test]
fn both_forms_of_an_rsa_key_are_read() {
    let pkcs8 = dkim_keys().remove(0);
    let inner: Vec<&str> = pkcs8.private_key_pem.expose().lines().collect();
    let der = STANDARD.decode(inner[1..inner.len() - 1].concat()).unwrap();
    let pem = format!(
        "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----\n",
        STANDARD.encode(&der[26..])
    );
    let pkcs1 = DkimKey { private_key_pem: channels::Secret::new(pem), ..pkcs8.clone() };
    assert_eq!(dns_record(&pkcs1).unwrap(), dns_record(&pkcs8).unwrap());
}

#[test]
fn a_key_that_cannot_sign_is_refused_at_the_start() {
    let with = |pem: &str| {
        let mut key = dkim_keys().remove(0);
        key.private_key_pem = channels::Secret::new(pem);
        let (memory, _) = Config::memory();
        Channels::new(Config { dkim: vec![key], ..memory }).unwrap_err().to_string()
    };
    assert_eq!(
        with("nonsense"),
        "dkim key of acme.example (selector rsa2026): it is not a PEM private key"
    );
    let p256 = rcgen::KeyPair::generate().unwrap().serialize_pem();
    assert!(with(&p256).ends_with("it is neither Ed25519 nor RSA of 2048 to 8192 bits"));
}
