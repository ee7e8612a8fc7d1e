//! The border: who may ask, what they may ask, and in which words they are answered.

mod app;
pub mod auth;
mod audience;
mod customers;
mod decisions;
mod deliveries;
mod docs;
pub mod error;
mod events;
mod explain;
mod home;
pub(crate) mod in_app;
mod ingest;
mod outreaches;
mod projects;
mod query;
mod segments;
mod timeline;
pub(crate) mod unsubscribe;

pub use app::App;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::response::{IntoResponse, Response};
use engine::time::Timestamp;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{Any, CorsLayer};
use tower_http::decompression::RequestDecompressionLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use self::error::{ApiError, Code};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tidings",
        description = "Event-based customer messaging: what happened, to whom, whether we say it, \
            and why not.\n\nThe REST API takes a secret key as `Authorization: Bearer sk_…`; the \
            key names the project. Lists answer `{items, next}`; give `next` as `cursor` for the \
            next page. Unknown query parameters are refused. Errors are problem details \
            (RFC 9457) with a stable `code`; each code has a page at `/errors/<code>`.\n\nEvents \
            come in over the Segment tracking API (`/v1/track`, `/v1/identify`, `/v1/batch` …) \
            with the write key as the Basic user name, so official client libraries work with \
            their host set to this server."
    ),
    modifiers(&KeyScheme),
    security(("key" = []))
)]
struct ApiDoc;

struct KeyScheme;

impl utoipa::Modify for KeyScheme {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let components = api.components.get_or_insert_default();
        components.add_security_scheme("key", SecurityScheme::Http(scheme));
    }
}

/// All the server answers to.
pub fn router(app: App) -> Router {
    let (rest, _) = rest().split_for_parts();
    let browser = Router::new().merge(ingest::routes()).merge(in_app::routes()).layer(cors());
    let nosniff = HeaderValue::from_static("nosniff");
    Router::new()
        .merge(rest)
        .merge(browser)
        .merge(docs::routes())
        .merge(home::routes(app.config.has_outbox()))
        .merge(unsubscribe::routes())
        .fallback(missing)
        .method_not_allowed_fallback(wrong_method)
        .layer(RequestDecompressionLayer::new().pass_through_unaccepted(true))
        .layer(axum::extract::DefaultBodyLimit::disable())
        .layer(SetResponseHeaderLayer::if_not_present(
            HeaderName::from_static("x-content-type-options"),
            nosniff,
        ))
        .layer(CatchPanicLayer::custom(panicked))
        .with_state(app)
}

/// The description of the REST API, as JSON.
pub fn openapi_json() -> String {
    let (_, mut api) = rest().split_for_parts();
    name_operations(&mut api);
    api.to_pretty_json().unwrap_or_default() + "\n"
}

/// Each operation by its function and noun (`list_outreaches`), unique over the whole API: the
/// names that generated clients use.
fn name_operations(api: &mut utoipa::openapi::OpenApi) {
    for (path, item) in &mut api.paths.paths {
        let noun = path.split('/').nth(3).unwrap_or_default().to_owned();
        let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            if let Some(name) = operation.operation_id.as_mut().filter(|name| !name.contains(&noun))
            {
                name.push('_');
                name.push_str(&noun);
            }
        }
    }
}

fn rest() -> OpenApiRouter<App> {
    let nouns = OpenApiRouter::new()
        .merge(projects::routes())
        .merge(outreaches::routes())
        .merge(segments::routes())
        .merge(customers::routes())
        .merge(events::routes())
        .merge(decisions::routes())
        .merge(deliveries::routes())
        .merge(explain::routes())
        .merge(audience::routes());
    OpenApiRouter::with_openapi(ApiDoc::openapi()).nest("/api/v1", nouns)
}

/// Pages of any origin may send events and use the inbox; there are no cookies to steal.
fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, header::CONTENT_ENCODING])
        .expose_headers([header::RETRY_AFTER])
        .max_age(std::time::Duration::from_secs(24 * 3600))
}

async fn missing(request: Request) -> ApiError {
    no_such_route(request.uri().path())
}

async fn wrong_method(request: Request) -> ApiError {
    let detail = format!("{} does not take {}", request.uri().path(), request.method());
    ApiError::new(Code::MethodNotAllowed, detail)
}

/// There is nothing at this address.
pub(crate) fn no_such_route(path: &str) -> ApiError {
    let path: String = path.chars().take(200).collect();
    ApiError::new(Code::NotFound, format!("there is nothing at {path}; see /docs"))
}

fn panicked(cause: Box<dyn std::any::Any + Send>) -> Response {
    let cause = match cause.downcast::<String>() {
        Ok(text) => *text,
        Err(cause) => cause.downcast::<&str>().map_or_else(|_| "?".into(), |text| text.to_string()),
    };
    ApiError::internal(format!("a handler panicked: {cause}")).into_response()
}

/// The wall clock, for what happens outside of a host.
pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp(since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX)))
}
