//! A file of the outbox, read for a person: who gets it, what it is about, how it looks.

use base64::Engine as _;
use serde_json::Value as Json;

/// Letters of a text that stand in a list.
const GLANCE: usize = 120;

/// How a message would have left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Email,
    Sms,
    Push,
    Webhook,
    Other,
}

/// A message.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) kind: Kind,
    /// Who gets it: an address, a number, an address of the web.
    pub(super) to: String,
    /// The subject, or the beginning of the text.
    pub(super) about: String,
    /// What stands above the message.
    pub(super) facts: Vec<(&'static str, String)>,
    /// A mail's HTML.
    pub(super) html: Option<String>,
    /// What is read when there is no HTML.
    pub(super) text: Option<String>,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Email => "Email",
            Kind::Sms => "Text message",
            Kind::Push => "Push",
            Kind::Webhook => "Webhook",
            Kind::Other => "File",
        }
    }
}

impl Message {
    /// What stands above it: a mail's subject; what has none is named by its receiver.
    pub(super) fn title(&self) -> String {
        match self.kind {
            Kind::Email | Kind::Other => self.about.clone(),
            Kind::Sms | Kind::Push | Kind::Webhook => {
                format!("{} to {}", self.kind.name(), self.to)
            }
        }
    }

    /// Read a file by its name and content.
    pub(super) fn read(file: &str, content: &str) -> Message {
        if file.ends_with(".eml") {
            return read_mail(content);
        }
        let kind = match file {
            name if name.ends_with(".sms.json") => Kind::Sms,
            name if name.ends_with(".push.json") => Kind::Push,
            name if name.ends_with(".webhook.json") => Kind::Webhook,
            _ => Kind::Other,
        };
        match (kind, serde_json::from_str::<Json>(content)) {
            (Kind::Webhook, Ok(json)) => read_webhook(&json),
            (Kind::Sms | Kind::Push, Ok(json)) => read_parcel(kind, &json),
            (kind, _) => Message {
                kind,
                to: file.to_owned(),
                about: file.to_owned(),
                facts: Vec::new(),
                html: None,
                text: None,
            },
        }
    }
}

fn read_mail(content: &str) -> Message {
    let content = content.replace("\r\n", "\n");
    let head = content.split("\n\n").next().unwrap_or_default();
    // A long header goes on in lines that begin with a space.
    let head = head.replace("\n ", " ").replace("\n\t", " ");
    let field = |name: &str| {
        let line = head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| decode_words(value.trim()))
        });
        line.unwrap_or_default()
    };
    let subject = field("Subject");
    let about = if subject.is_empty() { "(no subject)".to_owned() } else { subject };
    let facts = [("From", "From"), ("To", "To"), ("Reply to", "Reply-To"), ("Date", "Date")];
    let facts = facts.map(|(name, header)| (name, field(header).replace('"', "")));
    let html = html_part(&content);
    let text = content.split_once("\n\n").map(|(_, body)| body.to_owned());
    Message {
        kind: Kind::Email,
        to: person(&field("To")),
        about,
        facts: facts.into_iter().filter(|(_, value)| !value.is_empty()).collect(),
        text: text.filter(|_| html.is_none()),
        html,
    }
}

/// The name of an address, when it has one.
fn person(address: &str) -> String {
    let name = address.split('<').next().unwrap_or_default().trim().trim_matches('"');
    if name.is_empty() { address.trim_matches(['<', '>']).to_owned() } else { name.to_owned() }
}

fn read_webhook(json: &Json) -> Message {
    let text = |key: &str| json.get(key).and_then(Json::as_str).unwrap_or_default().to_owned();
    let body = text("body");
    let pretty = serde_json::from_str::<Json>(&body).map(|body| format!("{body:#}"));
    let url = text("url");
    Message {
        kind: Kind::Webhook,
        about: format!("{} {url}", text("method")),
        facts: vec![("To", format!("{} {url}", text("method")))],
        html: None,
        to: glance(
            url.split("://").last().unwrap_or_default().split('/').next().unwrap_or_default(),
        ),
        text: Some(pretty.unwrap_or(body)),
    }
}

fn read_parcel(kind: Kind, json: &Json) -> Message {
    let text = |pointer: &str| json.pointer(pointer).and_then(Json::as_str).unwrap_or_default();
    let parts = ["/payload/title", "/payload/body", "/payload/text"].map(text);
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    let whole = parts.join("\n");
    Message {
        kind,
        to: text("/to").to_owned(),
        about: glance(&parts.join(": ")),
        facts: vec![("To", text("/to").to_owned())],
        html: None,
        text: Some(whole),
    }
}

fn glance(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(GLANCE) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

/// A header's value with its encoded words (RFC 2047) read; what is not UTF-8 stays as it is.
fn decode_words(value: &str) -> String {
    let mut out = String::new();
    let mut rest = value;
    let mut after_word = false;
    while let Some((before, from)) = rest.split_once("=?") {
        let Some((word, tail)) = encoded_word(from) else {
            out.push_str(before);
            out.push_str("=?");
            rest = from;
            after_word = false;
            continue;
        };
        // White space between two encoded words is only there to fold the line.
        if !(after_word && before.trim().is_empty()) {
            out.push_str(before);
        }
        out.push_str(&word);
        rest = tail;
        after_word = true;
    }
    out.push_str(rest);
    out
}

fn encoded_word(text: &str) -> Option<(String, &str)> {
    let (charset, text) = text.split_once('?')?;
    let (encoding, text) = text.split_once('?')?;
    let (word, rest) = text.split_once("?=")?;
    if !charset.eq_ignore_ascii_case("utf-8") {
        return None;
    }
    let word = match encoding {
        "b" | "B" => {
            let bytes = base64::engine::general_purpose::STANDARD.decode(word).ok()?;
            String::from_utf8_lossy(&bytes).into_owned()
        }
        "q" | "Q" => quoted_printable(&word.replace('_', " ")),
        _ => return None,
    };
    Some((word, rest))
}

/// The HTML part of a mail that our own composer wrote.
fn html_part(mail: &str) -> Option<String> {
    let start = mail.find("Content-Type: text/html")?;
    let rest = mail.get(start..)?;
    let (head, body) = rest.split_once("\n\n")?;
    let body = body.split("\n--").next().unwrap_or(body);
    let head = head.to_ascii_lowercase();
    if head.contains("quoted-printable") {
        return Some(quoted_printable(body));
    }
    if head.contains("base64") {
        let letters: String = body.split_whitespace().collect();
        let bytes = base64::engine::general_purpose::STANDARD.decode(letters).ok()?;
        return Some(String::from_utf8_lossy(&bytes).into_owned());
    }
    Some(body.to_owned())
}

fn quoted_printable(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let joined = text.replace("=\n", "");
    let mut rest = joined.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let code = (*first == b'=')
            .then(|| tail.get(..2))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match code {
            Some(byte) => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_is_read_for_people() {
        let mail = "Subject: =?utf-8?b?R3LDvMOfZQ==?=\r\n =?utf-8?q?_aus_Linz?=\r\nTo: \"Mara\" <a@x.example>\r\n\
            Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\
            Content-Type: text/plain\r\n\r\nhi\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\n\
            Content-Transfer-Encoding: quoted-printable\r\n\r\n<p>gr=C3=BC=\r\n=C3=9F dich</p>\r\n--b--";
        let message = Message::read("dlv_1.eml", mail);
        assert_eq!(message.html.unwrap(), "<p>grüß dich</p>");
        assert_eq!((message.about.as_str(), message.to.as_str()), ("Grüße aus Linz", "Mara"));
        assert_eq!(message.facts, [("To", "Mara <a@x.example>".to_owned())]);
    }

    #[test]
    fn what_is_no_mail_has_its_words() {
        let sms = r#"{"to": "+491510000133", "payload": {"text": "On its way."}}"#;
        let sms = Message::read("dlv_1.sms.json", sms);
        assert_eq!((sms.kind, sms.about.as_str()), (Kind::Sms, "On its way."));
        let hook = r#"{"method": "POST", "url": "https://x.example/orders", "body": "{\"a\":1}"}"#;
        let hook = Message::read("dlv_1.webhook.json", hook);
        assert_eq!(
            (hook.to.as_str(), hook.text.as_deref()),
            ("x.example", Some("{\n  \"a\": 1\n}"))
        );
        assert_eq!(Message::read("dlv_1.webhook.json", "half a").about, "dlv_1.webhook.json");
    }
}
