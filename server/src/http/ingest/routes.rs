//! The addresses of the tracking API with their description: one line of work each.

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::{Json, routing};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::call::CallType;
use super::collect::CollectAnswer;
use super::shapes::{
    AliasCall, BatchCall, CollectCall, Faults, GroupCall, IdentifyCall, TrackCall, ViewCall,
};
use super::{Answer, collect};
use crate::http::App;
use crate::http::error::ApiResult;

/// The routes of this room.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(track))
        .routes(routes!(identify))
        .routes(routes!(page))
        .routes(routes!(screen))
        .routes(routes!(group))
        .routes(routes!(alias))
        .routes(routes!(batch))
        .routes(routes!(import))
        .routes(routes!(send))
        // The short names of Segment's own browser and mobile libraries.
        .route("/v1/t", routing::post(track))
        .route("/v1/i", routing::post(identify))
        .route("/v1/p", routing::post(page))
        .route("/v1/s", routing::post(screen))
        .route("/v1/g", routing::post(group))
        .route("/v1/a", routing::post(alias))
        .route("/v1/b", routing::post(batch))
        // Some clients are configured with a path of their own that ends so.
        .route("/batch", routing::post(batch))
        .route("/import", routing::post(batch))
}

/// A call as it came in. The key may be in the body, so nothing is asked before it is read.
pub(super) struct Incoming {
    pub(super) app: App,
    pub(super) query: Option<String>,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
}

impl FromRequest<App> for Incoming {
    type Rejection = std::convert::Infallible;

    async fn from_request(request: Request, app: &App) -> Result<Incoming, Self::Rejection> {
        let (parts, body) = request.into_parts();
        let query = parts.uri.query().map(str::to_owned);
        Ok(Incoming { app: app.clone(), query, headers: parts.headers, body })
    }
}

/// Say what somebody did.
#[utoipa::path(post, path = "/v1/track", tag = "Send events",
    security(("write_key" = []), ("key" = []), ("query_key" = [])),
    request_body(content = TrackCall, example = json!({"userId": "mara", "event": "order_completed",
        "properties": {"order": "A-1044", "total": 84.5}, "messageId": "order-A-1044"})),
    responses((status = 200, description = "It is stored. With a public key: what to show now",
        body = Answer), Faults))]
async fn track(call: Incoming) -> ApiResult<Json<Answer>> {
    super::single(CallType::Track, call).await
}

/// Say who somebody is.
#[utoipa::path(post, path = "/v1/identify", tag = "Send events",
    security(("write_key" = []), ("key" = []), ("query_key" = [])),
    request_body(content = IdentifyCall, example = json!({"userId": "mara", "anonymousId": "dev-7f3a",
        "traits": {"firstName": "Mara", "email": "mara@example.com", "plan": "pro"}})),
    responses((status = 200, description = "It is stored. With a public key: what to show now",
        body = Answer), Faults))]
async fn identify(call: Incoming) -> ApiResult<Json<Answer>> {
    super::single(CallType::Identify, call).await
}

/// Say which page somebody saw: the event `pageView`.
#[utoipa::path(post, path = "/v1/page", tag = "Send events",
    security(("write_key" = []), ("key" = []), ("query_key" = [])),
    request_body(content = ViewCall, example = json!({"anonymousId": "dev-7f3a", "name": "Pricing",
        "properties": {"url": "https://shop.example/pricing"}})),
    responses((status = 200, description = "It is stored. With a public key: what to show now",
        body = Answer), Faults))]
async fn page(call: Incoming) -> ApiResult<Json<Answer>> {
    super::single(CallType::Page, call).await
}

/// Say which screen of an app somebody saw: the event `screenView`.
#[utoipa::path(post, path = "/v1/screen", tag = "Send events",
    security(("write_key" = []), ("key" = []), ("query_key" = [])),
    request_body(content = ViewCall, example = json!({"userId": "mara", "name": "Basket"})),
    responses((status = 200, description = "It is stored. With a public key: what to show now",
        body = Answer), Faults))]
async fn screen(call: Incoming) -> ApiResult<Json<Answer>> {
    super::single(CallType::Screen, call).await
}

/// Say which company somebody belongs to.
#[utoipa::path(post, path = "/v1/group", tag = "Send events",
    security(("write_key" = []), ("key" = []), ("query_key" = [])),
    request_body(content = GroupCall, example = json!({"userId": "mara", "groupId": "initech",
        "traits": {"name": "Initech", "employees": 329, "plan": "business"}})),
    responses((status = 200, description = "It is stored. With a public key: what to show now",
        body = Answer), Faults))]
async fn group(call: Incoming) -> ApiResult<Json<Answer>> {
    super::single(CallType::Group, call).await
}

/// Say that two ids mean one customer.
///
/// A guest becomes part of a user. Joining two users who are both known cannot be undone, so it
/// takes a secret key.
#[utoipa::path(post, path = "/v1/alias", tag = "Send events",
    security(("write_key" = []), ("key" = []), ("query_key" = [])),
    request_body(content = AliasCall, example = json!({"previousId": "dev-7f3a", "userId": "mara"})),
    responses((status = 200, description = "It is stored. With a public key: what to show now",
        body = Answer),
        (status = 403, description = "previousId is a user who is known already, and the key is public",
            body = crate::http::error::ProblemDetails, content_type = "application/problem+json"),
        Faults))]
async fn alias(call: Incoming) -> ApiResult<Json<Answer>> {
    super::single(CallType::Alias, call).await
}

/// Send many calls at once.
///
/// The good ones are stored and the bad ones are listed in `errors`: sending those again would
/// not mend them, so the answer is 200.
#[utoipa::path(post, path = "/v1/batch", tag = "Send events",
    security(("write_key" = []), ("key" = []), ("query_key" = [])),
    request_body(content = BatchCall, example = json!({"batch": [
        {"type": "identify", "userId": "mara", "traits": {"plan": "pro"}},
        {"type": "track", "userId": "mara", "event": "signed_up", "messageId": "signup-mara"}]})),
    responses((status = 200, description = "What became of each", body = Answer), Faults))]
async fn batch(call: Incoming) -> ApiResult<Json<Answer>> {
    super::batch(call).await
}

/// Send the past.
///
/// The same as `/v1/batch`, under the name that importing clients use. Set `historical`, and
/// nothing is triggered.
#[utoipa::path(post, path = "/v1/import", tag = "Send events",
    security(("write_key" = []), ("key" = []), ("query_key" = [])),
    request_body(content = BatchCall, example = json!({"historical": true, "batch": [
        {"type": "track", "userId": "mara", "event": "order_completed",
         "timestamp": "2026-03-01T12:30:00Z", "messageId": "order-A-0917"}]})),
    responses((status = 200, description = "What became of each", body = Answer), Faults))]
async fn import(call: Incoming) -> ApiResult<Json<Answer>> {
    super::batch(call).await
}

/// Send what one customer did, and get what to show them.
///
/// Our own call for the browser: the message that an event triggers is in the answer to that
/// event. The body may come as `text/plain`, so that a beacon needs no permission first.
#[utoipa::path(post, path = "/v1/collect", tag = "Send events", operation_id = "collect",
    security(("write_key" = []), ("key" = []), ("query_key" = [])),
    request_body(content = CollectCall, example = json!({"userId": "mara",
        "attributes": {"plan": "pro"},
        "events": [{"name": "signed_up", "properties": {"via": "invite"}}]})),
    responses((status = 200, description = "What became of each, and what to show now",
        body = CollectAnswer), Faults))]
async fn send(call: Incoming) -> ApiResult<Json<CollectAnswer>> {
    collect::collect(call).await
}
