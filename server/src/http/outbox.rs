//! The outbox: what would have left the house, to look at while trying things out.
//!
//! The files are whole messages with addresses in them. On the machine itself they are open; from
//! anywhere else they take the key that may see all projects, since the folder holds all of them.

mod message;

use std::path::PathBuf;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::{Router, routing};
use engine::time::Timestamp;

use self::message::{Kind, Message};
use super::App;
use super::auth;
use super::error::{ApiError, Code};
use super::page::{self, Place, escape};
use super::query::Parts1;
use crate::keys::KeyKind;

/// Messages that are listed, the newest first.
const LISTED: usize = 200;
/// A foreign mail: no scripts, no forms, not our origin.
const MAIL_POLICY: &str =
    "sandbox; default-src 'none'; img-src https: data:; style-src 'unsafe-inline'";

/// The routes of this room; none while nothing goes into the outbox.
pub(crate) fn routes(app: &App) -> Router<App> {
    if !app.config.has_outbox() {
        return Router::new();
    }
    let guard = middleware::from_fn_with_state(app.clone(), guard);
    Router::new()
        .route("/outbox", routing::get(list))
        .route("/outbox/{name}", routing::get(show))
        .layer(guard)
}

async fn guard(State(app): State<App>, request: Request, next: Next) -> Response {
    let error = match admit(&app, request.headers()) {
        Ok(()) => return next.run(request).await,
        Err(error) => error,
    };
    let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    if !accept.is_some_and(|accept| accept.contains("text/html")) {
        return error.into_response();
    }
    let (status, detail) = (error.code.status(), escape(&error.detail));
    let body =
        format!("<h1>The outbox is locked</h1><p>{detail}.</p><p><a href=\"/\">Back</a></p>");
    let mut response = page::customer(status, "The outbox is locked", &body);
    // With them the browser asks for the key.
    for challenge in error.into_response().headers().get_all(header::WWW_AUTHENTICATE) {
        response.headers_mut().append(header::WWW_AUTHENTICATE, challenge.clone());
    }
    response
}

fn admit(app: &App, headers: &HeaderMap) -> Result<(), ApiError> {
    if app.is_local && is_from_here(headers) {
        return Ok(());
    }
    let key = auth::from_header(headers);
    if key.as_deref().is_none_or(str::is_empty) {
        let detail = "The outbox shows whole messages. From another machine it takes the admin \
                      key (the secret one of the first start) as user name, without a password";
        return Err(ApiError::new(Code::MissingKey, detail));
    }
    match auth::find_caller(app, key.as_deref())?.kind {
        KeyKind::Admin => Ok(()),
        KeyKind::Public | KeyKind::Secret => Err(ApiError::new(
            Code::KeyNotAllowed,
            "the outbox holds the messages of all projects; it takes an admin key: \
             tidings keys create --admin",
        )),
    }
}

/// Whether the request means this machine by its name and no proxy passed it on. A listener on the
/// loopback may still stand behind a proxy that the world reaches.
fn is_from_here(headers: &HeaderMap) -> bool {
    let passed_on = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via"];
    if passed_on.iter().any(|name| headers.contains_key(*name)) {
        return false;
    }
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

struct Line {
    at: String,
    file: String,
    message: Message,
}

/// The newest messages, and how many there are.
fn read_newest(folder: PathBuf) -> std::io::Result<(Vec<Line>, usize)> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok((Vec::new(), 0)),
        Err(error) => return Err(error),
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            files.push((
                entry.metadata().and_then(|data| data.modified()).ok(),
                name,
                entry.path(),
            ));
        }
    }
    files.sort();
    let count = files.len();
    let mut lines = Vec::new();
    for (modified, file, path) in files.into_iter().rev().take(LISTED) {
        // One that is gone meanwhile is left out.
        let Ok(bytes) = std::fs::read(path) else { continue };
        let message = Message::read(&file, &String::from_utf8_lossy(&bytes));
        lines.push(Line { at: modified.map(moment).unwrap_or_default(), file, message });
    }
    Ok((lines, count))
}

fn moment(at: std::time::SystemTime) -> String {
    let since = at.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let at = Timestamp(i64::try_from(since.as_millis()).unwrap_or(0)).to_rfc3339();
    at.get(..19).unwrap_or(&at).replace('T', " ")
}

async fn list(State(app): State<App>) -> Result<Response, ApiError> {
    let folder = app.config.outbox();
    let (lines, count) =
        app.ask(move |_| read_newest(folder)).await?.map_err(ApiError::internal)?;
    let mut body = "<h1>Outbox</h1>".to_owned();
    if lines.is_empty() {
        body.push_str(
            "<div class=\"empty\"><p>Nothing has left the house yet. Mail, text messages and \
             webhooks appear here as soon as an outreach sends one.</p></div>",
        );
        return Ok(page::team(&app, Place::Outbox, "Outbox", &body));
    }
    let shown = match count {
        1 => "One message, kept here instead of being sent.".to_owned(),
        count if count > LISTED => format!("The newest {LISTED} of {count} messages"),
        count => format!("{count} messages, kept here instead of being sent"),
    };
    let shown = shown.trim_end_matches('.');
    body.push_str(&format!(
        "<p class=\"lead\">{shown}. Times are UTC.</p><ul class=\"rows mails\">"
    ));
    for Line { at, file, message } in &lines {
        body.push_str(&format!(
            "<li><a href=\"/outbox/{}\"><span>{}</span><span class=\"grow\">{}</span>\
             <span class=\"end small\">{} · {at}</span></a></li>",
            escape(file),
            escape(&message.to),
            escape(&message.about),
            message.kind.name()
        ));
    }
    body.push_str("</ul>");
    Ok(page::team(&app, Place::Outbox, "Outbox", &body))
}

/// A message as it would look, and as it is; `<file>.html` is a mail's HTML alone.
async fn show(State(app): State<App>, Parts1(name): Parts1<String>) -> Result<Response, ApiError> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    let (file, alone) = match name.strip_suffix(".html") {
        Some(file) => (file, true),
        None => (name.as_str(), false),
    };
    let missing = || super::no_such_route(&format!("/outbox/{name}"));
    if file.starts_with('.') || !file.chars().all(plain) {
        return Err(missing());
    }
    let bytes = tokio::fs::read(app.config.outbox().join(file)).await.map_err(|_| missing())?;
    let text = String::from_utf8_lossy(&bytes);
    let message = Message::read(file, &text);
    if alone {
        let headers = [
            (header::CONTENT_SECURITY_POLICY, MAIL_POLICY),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        return Ok((headers, Html(message.html.ok_or_else(missing)?)).into_response());
    }
    let mut facts = String::new();
    for (name, value) in &message.facts {
        facts.push_str(&format!("<div><dt>{name}</dt><dd>{}</dd></div>", escape(value)));
    }
    let look = match (&message.html, &message.text) {
        (Some(_), _) => format!(
            "<iframe class=\"mail\" title=\"The mail\" sandbox src=\"/outbox/{file}.html\"></iframe>"
        ),
        (None, Some(text)) if message.kind == Kind::Webhook => {
            format!("<pre class=\"wrap\">{}</pre>", escape(text))
        }
        (None, Some(text)) => format!("<div class=\"bubble\">{}</div>", escape(text)),
        (None, None) => String::new(),
    };
    let body = format!(
        "<article class=\"narrow\"><p class=\"crumb\"><a href=\"/outbox\">Outbox</a></p>\
         <h1>{}</h1><dl class=\"facts\">{facts}</dl>{look}\
         <details{}><summary>The message as it is</summary><pre class=\"wrap\">{}</pre></details>\
         </article>",
        escape(&message.title()),
        if look.is_empty() { " open" } else { "" },
        escape(&text)
    );
    Ok(page::team(&app, Place::Outbox, &message.title(), &body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn here_is_the_loopback_by_name_and_no_proxy() {
        let from_here = |pairs: &[(&'static str, &str)]| {
            let pairs = pairs.iter();
            is_from_here(
                &pairs
                    .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
                    .collect(),
            )
        };
        assert!(from_here(&[("host", "localhost:8080")]));
        assert!(from_here(&[("host", "127.0.0.1")]));
        assert!(from_here(&[("host", "[::1]:8080")]));
        assert!(!from_here(&[("host", "messages.example.com")]));
        assert!(!from_here(&[("host", "localhost.example.com:8080")]));
        assert!(!from_here(&[("host", "localhost"), ("x-forwarded-for", "203.0.113.9")]));
        assert!(!from_here(&[]));
    }
}
