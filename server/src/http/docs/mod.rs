//! The description of the API: `openapi.json`, a page to read, and a page per error.
//!
//! All of it comes from the handlers and the table of errors themselves.

mod api;
mod markdown;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::{Router, routing};
use serde_json::Value as Json;

use super::App;
use super::error::{ApiError, Code};
use super::page::{self, Place, escape};
use super::query::Parts1;

/// The routes of this room.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/openapi.json", routing::get(openapi))
        .route("/docs", routing::get(docs))
        .route("/errors", routing::get(errors))
        .route("/errors/{code}", routing::get(error_page))
}

async fn openapi(State(app): State<App>) -> Response {
    let kind = (header::CONTENT_TYPE, "application/json");
    ([kind], app.openapi.clone()).into_response()
}

async fn docs(State(app): State<App>) -> Result<Response, ApiError> {
    let api: Json = serde_json::from_str(&app.openapi).map_err(ApiError::internal)?;
    let body = api::as_html(&api, &app.config.base_url);
    Ok(page::team(&app, Place::Docs, "API", &body))
}

async fn errors(State(app): State<App>) -> Response {
    let mut body =
        "<h1>Errors</h1><p class=\"lead\">Every answer that is not a success is a problem \
         document with one of these codes.</p><ul class=\"rows\">"
            .to_owned();
    for known in Code::ALL {
        let (code, title) = (known.code(), escape(known.title()));
        body.push_str(&format!(
            "<li><a href=\"/errors/{code}\"><code>{code}</code><span class=\"grow\">{title}</span>\
             <span class=\"end\">{}</span></a></li>",
            known.status().as_u16()
        ));
    }
    body.push_str("</ul>");
    page::team(&app, Place::Errors, "Errors", &body)
}

async fn error_page(
    State(app): State<App>,
    Parts1(code): Parts1<String>,
) -> Result<Response, ApiError> {
    let known = Code::ALL.iter().find(|known| known.code() == code);
    let known = known.ok_or_else(|| super::no_such_route(&format!("/errors/{code}")))?;
    // The page's first line is for readers of the file: the code and the title.
    let text = known.page();
    let rest = text.split_once('\n').map_or("", |(_, rest)| rest);
    let rest = rest.trim().strip_prefix(&format!("HTTP status {}.", known.status().as_u16()));
    let body = format!(
        "<article class=\"narrow\"><p class=\"crumb\"><a href=\"/errors\">Errors</a></p>\
         <h1>{}</h1><p class=\"muted\"><code>{}</code> · HTTP status {}</p>{}</article>",
        escape(known.title()),
        known.code(),
        known.status().as_u16(),
        markdown::as_html(rest.unwrap_or(text))
    );
    Ok(page::team(&app, Place::Errors, known.title(), &body))
}
