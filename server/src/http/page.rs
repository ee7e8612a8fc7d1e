//! The frame around every page that people read: its head, its style, and what it may load.
//!
//! The pages are plain HTML and one style sheet from this server, without a script or an address
//! outside, so they work on a machine without a network and under any policy.

use axum::http::{HeaderName, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::{Router, routing};

use super::App;

/// Nothing but our own style and frames.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; \
    frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Four bars in the hues of the four questions.
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' \
    viewBox='0 0 16 16'%3E%3Cg%3E%3Crect x='1' width='3' height='16' rx='1' fill='%23926016'/%3E\
    %3Crect x='5' width='3' height='16' rx='1' fill='%23006e5c'/%3E%3Crect x='9' width='3' \
    height='16' rx='1' fill='%237f3b8f'/%3E%3Crect x='13' width='3' height='16' rx='1' \
    fill='%232f5fbf'/%3E%3C/g%3E%3C/svg%3E";

/// Where a page stands in the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The first page.
    Home,
    /// The API.
    Docs,
    /// The errors.
    Errors,
    /// The outbox.
    Outbox,
}

/// The routes of this room.
pub(crate) fn routes() -> Router<App> {
    Router::new().route("/style.css", routing::get(style))
}

/// A page for the team, with the navigation.
pub(crate) fn team(app: &App, place: Place, title: &str, body: &str) -> Response {
    let mut links = String::new();
    for (here, address, name) in [
        (Place::Docs, "/docs", "API"),
        (Place::Errors, "/errors", "Errors"),
        (Place::Outbox, "/outbox", "Outbox"),
    ] {
        if here == Place::Outbox && !app.config.has_outbox() {
            continue;
        }
        let current = if here == place { " aria-current=\"page\"" } else { "" };
        links.push_str(&format!("<a href=\"{address}\"{current}>{name}</a>"));
    }
    let current = if place == Place::Home { " aria-current=\"page\"" } else { "" };
    let body = format!(
        "<a class=\"skip\" href=\"#main\">Skip to the content</a>\
         <header class=\"top\"><div><a class=\"mark\" href=\"/\"{current}><i></i><i></i><i></i><i></i>\
         Tidings</a><nav aria-label=\"Pages\">{links}</nav></div></header>\
         <main id=\"main\">{body}</main>"
    );
    let title = match place {
        Place::Home => title.to_owned(),
        Place::Docs | Place::Errors | Place::Outbox => format!("{title} · Tidings"),
    };
    whole(StatusCode::OK, &title, &body)
}

/// A page for a customer, who does not know what Tidings is.
pub(crate) fn customer(status: StatusCode, title: &str, body: &str) -> Response {
    whole(status, title, &format!("<main class=\"alone\"><section>{body}</section></main>"))
}

/// Text as HTML.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Text with what stands between backticks set as code.
pub(crate) fn with_code(text: &str) -> String {
    let mut out = String::new();
    for (place, part) in text.split('`').enumerate() {
        let part = escape(part);
        match place % 2 {
            0 => out.push_str(&part),
            _ => out.push_str(&format!("<code>{part}</code>")),
        }
    }
    out
}

fn whole(status: StatusCode, title: &str, body: &str) -> Response {
    let html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta name=\"robots\" content=\"noindex\"><title>{}</title>\
         <link rel=\"icon\" href=\"{ICON}\"><link rel=\"stylesheet\" href=\"/style.css\"></head>\
         <body>{body}</body></html>\n",
        escape(title)
    );
    let headers = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("x-frame-options"), "DENY"),
    ];
    (status, headers, Html(html)).into_response()
}

async fn style() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/css; charset=utf-8"),
        // A new version of the server may bring a new one under the same name.
        (header::CACHE_CONTROL, "public, max-age=300"),
    ];
    (headers, include_str!("page.css")).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_cannot_become_markup() {
        assert_eq!(with_code("a `<b>` & c"), "a <code>&lt;b&gt;</code> &amp; c");
    }
}
