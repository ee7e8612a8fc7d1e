//! What is here, and whether it lives.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, routing};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::page::{self, Place, escape};

/// The routes of this room.
pub(crate) fn routes() -> Router<App> {
    let (health, _) = health().split_for_parts();
    Router::new().route("/", routing::get(home)).merge(health).merge(page::routes())
}

/// Those that load balancers ask, with their description.
pub(crate) fn health() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(healthz)).routes(routes!(readyz))
}

/// Whether the server lives.
#[derive(Debug, Serialize, ToSchema)]
struct Health {
    /// `alive`, `ready` or `stopping`.
    status: &'static str,
    /// Which version of Tidings answers.
    version: &'static str,
}

impl Health {
    fn new(status: &'static str) -> Json<Health> {
        Json(Health { status, version: env!("CARGO_PKG_VERSION") })
    }
}

async fn home(State(app): State<App>) -> Response {
    let outbox = match app.config.has_outbox() {
        true => {
            "<li><a href=\"/outbox\"><span>Outbox</span><span class=\"grow\">Mail, text messages and \
             webhooks that would have left the house</span></a></li>"
        }
        false => "",
    };
    let body = format!(
        "<h1>Tidings</h1><p class=\"lead\">Messages that follow from what a customer does, and the \
         reason why somebody got one or did not.</p>\
         <ul class=\"clauses\"><li class=\"when\"><b>When</b><span>An event, a change, or a \
         moment</span></li><li class=\"who\"><b>Who</b><span>The audience, asked when it is \
         sent</span></li><li class=\"often\"><b>How often</b><span>Once, or every time within \
         limits</span></li><li class=\"what\"><b>What</b><span>A mail, a survey, a banner, a \
         webhook</span></li></ul>\
         <h2>Send your first event</h2><p>With the public key, which the first start printed. \
         <code>tidings keys create</code> makes another.</p><pre class=\"wrap\">{}</pre>\
         <h2>What is here</h2><ul class=\"rows\"><li><a href=\"/docs\"><span>API</span>\
         <span class=\"grow\">Send events, make outreaches, ask why</span></a></li>{outbox}\
         <li><a href=\"/errors\"><span>Errors</span><span class=\"grow\">What each code means and how \
         to repair it</span></a></li><li><a href=\"/openapi.json\"><span>openapi.json</span>\
         <span class=\"grow\">The API for generators</span></a></li><li><a href=\"/healthz\">\
         <span>Health</span><span class=\"grow\">For load balancers; <code>/readyz</code> says \
         whether events are accepted</span></a></li></ul>\
         <p class=\"muted small\"><br>Version {}</p>",
        escape(&format!(
            "curl {}/v1/track -u pk_…: -d '{{\"userId\": \"mara\", \"event\": \"signed_up\"}}'",
            app.config.base_url
        )),
        env!("CARGO_PKG_VERSION")
    );
    page::team(&app, Place::Home, "Tidings", &body)
}

/// Is it alive?
#[utoipa::path(get, path = "/healthz", tag = "Health", security(()),
    responses((status = 200, description = "The process answers", body = Health)))]
async fn healthz() -> Json<Health> {
    Health::new("alive")
}

/// Is it ready?
///
/// Ready: facts are accepted. A load balancer takes a stopping server out by this.
#[utoipa::path(get, path = "/readyz", tag = "Health", security(()),
    responses((status = 200, description = "Facts are accepted", body = Health),
        (status = 503, description = "It stops; `status` is `stopping`",
            body = Health, content_type = "application/json")))]
async fn readyz(State(app): State<App>) -> Response {
    match app.is_stopping() {
        false => Health::new("ready").into_response(),
        true => (StatusCode::SERVICE_UNAVAILABLE, Health::new("stopping")).into_response(),
    }
}
