//! What is here, whether it lives, and what lies in the outbox.

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::{Json, Router, routing};
use serde_json::json;

use super::App;
use super::docs::{escape, page};
use super::error::ApiError;

/// Mails of the outbox that are listed, the newest first.
const LISTED: usize = 200;

/// The routes of this room; the outbox only while something goes into it.
pub(crate) fn routes(has_outbox: bool) -> Router<App> {
    let routes = Router::new()
        .route("/", routing::get(home))
        .route("/healthz", routing::get(healthz))
        .route("/readyz", routing::get(readyz));
    if !has_outbox {
        return routes;
    }
    routes.route("/outbox", routing::get(outbox)).route("/outbox/{name}", routing::get(outbox_file))
}

async fn home(State(app): State<App>) -> Html<String> {
    let outbox = match app.config.has_outbox() {
        true => "<li><a href=\"/outbox\">The outbox</a>: what would have left the house</li>",
        false => "",
    };
    Html(page(
        "Tidings",
        &format!(
            "<h1>Tidings</h1><p>Event-based customer messaging: what happened, to whom, whether \
             we say it, and why not.</p><ul><li><a href=\"/docs\">The API</a>, also as \
             <a href=\"/openapi.json\">openapi.json</a></li>{outbox}\
             <li><a href=\"/healthz\">Is it alive?</a> <a href=\"/readyz\">Is it ready?</a></li>\
             </ul><p class=\"muted\">Version {}</p>",
            env!("CARGO_PKG_VERSION")
        ),
    ))
}

async fn healthz() -> Json<serde_json::Value> {
    Json(json!({"status": "alive", "version": env!("CARGO_PKG_VERSION")}))
}

/// Ready: facts are accepted. A load balancer takes a stopping server out by this.
async fn readyz(State(app): State<App>) -> Response {
    match app.is_stopping() {
        false => Json(json!({"status": "ready"})).into_response(),
        true => {
            (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"status": "stopping"}))).into_response()
        }
    }
}

async fn outbox(State(app): State<App>) -> Result<Html<String>, ApiError> {
    let mut files = Vec::new();
    let Ok(mut entries) = tokio::fs::read_dir(app.config.outbox()).await else {
        return Ok(Html(page("Outbox", "<h1>Outbox</h1><p>Nothing yet.</p>")));
    };
    while let Some(entry) = entries.next_entry().await.map_err(ApiError::internal)? {
        let name = entry.file_name().to_string_lossy().into_owned();
        let modified = entry.metadata().await.ok().and_then(|data| data.modified().ok());
        if !name.starts_with('.') {
            files.push((modified, name));
        }
    }
    files.sort();
    let lines: String = files
        .iter()
        .rev()
        .take(LISTED)
        .map(|(_, name)| {
            let name = escape(name);
            format!("<li><a href=\"/outbox/{name}\"><code>{name}</code></a></li>")
        })
        .collect();
    let count = files.len();
    Ok(Html(page("Outbox", &format!("<h1>Outbox</h1><p>{count} files</p><ul>{lines}</ul>"))))
}

/// A file of the outbox: a mail's HTML as it would look, everything else as text.
///
/// The content is foreign: it is served under a sandbox without scripts, forms or this origin.
async fn outbox_file(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    let (file, part) = match name.strip_suffix(".html") {
        Some(file) => (file, Part::Html),
        None => (name.as_str(), Part::Frame),
    };
    let missing = || super::no_such_route(&format!("/outbox/{name}"));
    if file.starts_with('.') || !file.chars().all(plain) {
        return Err(missing());
    }
    let bytes = tokio::fs::read(app.config.outbox().join(file)).await.map_err(|_| missing())?;
    let text = String::from_utf8_lossy(&bytes);
    let html = file.ends_with(".eml").then(|| html_part(&text)).flatten();
    match part {
        Part::Html => {
            let policy =
                "sandbox; default-src 'none'; img-src https: data:; style-src 'unsafe-inline'";
            let headers = [
                (header::CONTENT_SECURITY_POLICY, policy),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            ];
            Ok((headers, Html(html.ok_or_else(missing)?)).into_response())
        }
        Part::Frame => {
            let frame = match html {
                Some(_) => {
                    format!("<iframe sandbox src=\"/outbox/{}.html\"></iframe>", escape(file))
                }
                None => String::new(),
            };
            let body = format!(
                "<p><a href=\"/outbox\">Outbox</a></p><h1>{}</h1>{frame}<h2>As it is</h2><pre>{}</pre>",
                escape(file),
                escape(&text)
            );
            Ok(Html(page(file, &body)).into_response())
        }
    }
}

enum Part {
    Frame,
    Html,
}

/// The HTML part of a mail that our own composer wrote.
fn html_part(mail: &str) -> Option<String> {
    let mail = mail.replace("\r\n", "\n");
    let start = mail.find("Content-Type: text/html")?;
    let rest = mail.get(start..)?;
    let (head, body) = rest.split_once("\n\n")?;
    let body = body.split("\n--").next().unwrap_or(body);
    let head = head.to_ascii_lowercase();
    if head.contains("quoted-printable") {
        return Some(quoted_printable(body));
    }
    if head.contains("base64") {
        use base64::Engine as _;
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
    fn the_html_of_a_mail_is_found() {
        let mail = "Subject: x\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\
            Content-Type: text/plain\r\n\r\nhi\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\n\
            Content-Transfer-Encoding: quoted-printable\r\n\r\n<p>gr=C3=BC=\r\n=C3=9F dich</p>\r\n--b--";
        assert_eq!(html_part(mail).unwrap(), "<p>grüß dich</p>");
    }
}
