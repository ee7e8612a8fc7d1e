//! From an [`Email`] to the bytes of a mail.
//!
//! lettre writes the MIME. What stands here is what it leaves open: a Message-ID that is the same
//! for every attempt, one-click unsubscribe, the hidden preheader, and protection against values
//! that came from a customer's own profile (lettre panics on a line break in a display name).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::SystemTime;

use aws_lc_rs::digest;
use lettre::address::Address;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox as LettreMailbox, MultiPart, MultiPartKind, SinglePart};

use super::{Email, Mailbox, dkim::Signer, html_to_text::html_to_text};
use crate::words;

/// A body above this is a mistake in a template; relays commonly stop at 10 MB.
const BODY_LIMIT: usize = 4 * 1024 * 1024;
/// What is left of a subject or a display name after which no mail program shows it.
const HEADER_TEXT_LIMIT: usize = 900;

/// Extra headers may not replace what the mail itself sets, add recipients, or pose as a relay.
const RESERVED_HEADERS: &[&str] = &[
    "from",
    "to",
    "cc",
    "bcc",
    "sender",
    "reply-to",
    "subject",
    "date",
    "message-id",
    "mime-version",
    "return-path",
    "received",
    "dkim-signature",
    "authentication-results",
    "list-unsubscribe",
    "list-unsubscribe-post",
];

/// A mail ready for a relay.
pub(crate) struct Mail {
    pub(crate) from: Address,
    pub(crate) to: Address,
    pub(crate) bytes: Vec<u8>,
}

/// Composes and signs. The error is a sentence for the person who wrote the message.
pub(crate) fn compose(email: &Email, signers: &[Signer]) -> Result<Mail, String> {
    // Belt and braces: whatever a library does with a strange value, one mail is lost, not the process.
    catch_unwind(AssertUnwindSafe(|| compose_unguarded(email, signers)))
        .unwrap_or_else(|_| Err("the mail could not be composed from these values".to_owned()))
}

fn compose_unguarded(email: &Email, signers: &[Signer]) -> Result<Mail, String> {
    if email.html.len() + email.text.as_ref().map_or(0, String::len) > BODY_LIMIT {
        return Err(format!("the mail is larger than {BODY_LIMIT} bytes"));
    }
    let from = mailbox("from", &email.from)?;
    let to = mailbox("to", &email.to)?;
    let message_id = format!("<{}@{}>", email.delivery_id, from.email.domain());
    let sender = from.email.clone();
    let recipient = to.email.clone();

    let mut builder = lettre::Message::builder()
        .from(from)
        .to(to)
        .subject(header_text(&email.subject))
        .date(SystemTime::from(email.date))
        .message_id(Some(message_id));
    if let Some(reply_to) = &email.reply_to {
        builder = builder.reply_to(mailbox("reply-to", reply_to)?);
    }
    for header in unsubscribe_headers(email)?.into_iter().chain(extra_headers(email)?) {
        builder = builder.raw_header(header);
    }
    let unsigned = builder
        .multipart(body(email))
        .map_err(|error| format!("the mail could not be composed: {error}"))?
        .formatted();

    let mut bytes = Vec::with_capacity(unsigned.len() + 1024);
    for signer in signers.iter().filter(|signer| signer.covers(sender.domain())) {
        let signature = signer
            .sign(&unsigned, email.date.as_second())
            .ok_or("the mail could not be signed with the DKIM key")?;
        bytes.extend_from_slice(signature.as_bytes());
    }
    bytes.extend_from_slice(&unsigned);
    Ok(Mail { from: sender, to: recipient, bytes })
}

fn mailbox(field: &str, mailbox: &Mailbox) -> Result<LettreMailbox, String> {
    let address = ascii_domain(&mailbox.address)
        .parse::<Address>()
        .map_err(|error| format!("the {field} address is not valid: {error}"))?;
    let name = mailbox.name.as_deref().map(header_text).filter(|name| !name.is_empty());
    Ok(LettreMailbox::new(name, address))
}

/// The address with its domain in the form DNS and every relay know (`køb.dk` as `xn--kb-lka.dk`).
fn ascii_domain(address: &str) -> String {
    if let Some((local, domain)) = address.rsplit_once('@')
        && !domain.is_ascii()
        && let Ok(url::Host::Domain(domain)) = url::Host::parse(domain)
    {
        return format!("{local}@{domain}");
    }
    address.to_owned()
}

/// Free text for a header: no control characters, one space between words, bounded.
fn header_text(text: &str) -> String {
    let spaced = words::without_controls(text, ' ');
    let joined = spaced.split_whitespace().collect::<Vec<_>>().join(" ");
    joined.chars().take(HEADER_TEXT_LIMIT).collect()
}

fn unsubscribe_headers(email: &Email) -> Result<Vec<HeaderValue>, String> {
    let mut links = Vec::new();
    let mut one_click = false;
    if let Some(text) = &email.unsubscribe_url {
        let url = url::Url::parse(text).map_err(|_| "the unsubscribe link is not a URL")?;
        if !matches!(url.scheme(), "https" | "http") || !is_angle_safe(url.as_str()) {
            return Err("the unsubscribe link is not a web address".to_owned());
        }
        // One-click needs https (RFC 8058); a development server still gets its plain link.
        one_click = url.scheme() == "https";
        links.push(format!("<{url}>"));
    }
    if let Some(text) = &email.unsubscribe_mailto {
        let target = text.strip_prefix("mailto:").unwrap_or(text);
        if !is_angle_safe(target) || !target.contains('@') {
            return Err("the unsubscribe address is not a mail address".to_owned());
        }
        links.push(format!("<mailto:{target}>"));
    }

    let mut headers = Vec::new();
    if !links.is_empty() {
        // Pre-encoded: a generic encoder might fold inside a long URL. It breaks only at the comma.
        headers.push(HeaderValue::dangerous_new_pre_encoded(
            HeaderName::new_from_ascii_str("List-Unsubscribe"),
            links.join(", "),
            links.join(",\r\n "),
        ));
    }
    if one_click {
        headers.push(HeaderValue::new(
            HeaderName::new_from_ascii_str("List-Unsubscribe-Post"),
            "List-Unsubscribe=One-Click".to_owned(),
        ));
    }
    Ok(headers)
}

/// Printable ASCII without the characters that would end `<…>`, and short enough for one line.
fn is_angle_safe(text: &str) -> bool {
    let safe = |b: u8| b.is_ascii_graphic() && b != b'<' && b != b'>';
    text.len() <= HEADER_TEXT_LIMIT && text.bytes().all(safe)
}

fn extra_headers(email: &Email) -> Result<Vec<HeaderValue>, String> {
    let mut headers = Vec::with_capacity(email.headers.len());
    for (name, value) in &email.headers {
        let lower = name.to_ascii_lowercase();
        let reserved = RESERVED_HEADERS.contains(&lower.as_str())
            || lower.starts_with("content-")
            || lower.starts_with("resent-")
            || lower.starts_with("arc-");
        if reserved || !words::is_header_name(name) {
            return Err(format!("the header {name} cannot be set by a message"));
        }
        let name = HeaderName::new_from_ascii(name.clone())
            .map_err(|_| format!("{name} is not a header name"))?;
        headers.push(HeaderValue::new(name, header_text(value)));
    }
    Ok(headers)
}

fn body(email: &Email) -> MultiPart {
    let html = clean_body(&email.html);
    let text = match &email.text {
        Some(text) => clean_body(text),
        None => html_to_text(&html),
    };
    let html = match &email.preheader {
        Some(preheader) => with_preheader(&html, preheader),
        None => html,
    };
    // The boundary is a digest of what it separates: stable between attempts, and no body can
    // contain its own.
    let seed = format!("{}\n{text}\n{html}", email.delivery_id);
    let digest = digest::digest(&digest::SHA256, seed.as_bytes());
    let boundary: String = digest.as_ref().iter().take(16).map(|b| format!("{b:02x}")).collect();
    MultiPart::builder()
        .kind(MultiPartKind::Alternative)
        .boundary(format!("tidings-{boundary}"))
        .singlepart(SinglePart::plain(text))
        .singlepart(SinglePart::html(html))
}

/// Line feeds only, no NUL: lettre turns them into CRLF, and a bare CR is refused by relays.
fn clean_body(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n").replace('\0', "")
}

/// Puts the preheader first in the body, invisible. It is text, so it is escaped.
fn with_preheader(html: &str, preheader: &str) -> String {
    let escaped = header_text(preheader)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;");
    let hidden = format!(
        "<div style=\"display:none;max-height:0;overflow:hidden;mso-hide:all\">{escaped}</div>"
    );
    let at = after_body_tag(html).unwrap_or(0);
    let (before, after) = html.split_at(at);
    format!("{before}{hidden}{after}")
}

fn after_body_tag(html: &str) -> Option<usize> {
    let lower = html.to_ascii_lowercase();
    let start = lower.find("<body")?;
    let end = lower.get(start..)?.find('>')?;
    Some(start + end + 1)
}
