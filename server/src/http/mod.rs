//! The border: who may ask, what they may ask, and in which words they are answered.

mod app;
pub mod auth;
mod audience;
mod backup;
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
mod outbox;
mod outreaches;
mod page;
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

use self::error::{ApiError, Code, PROBLEM};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tidings",
        description = "Event-based customer messaging: what happened, to whom, whether we say it, \
            and why not.\n\nEvents come in over the Segment tracking API (`/v1/track`, \
            `/v1/identify`, `/v1/batch` …) with the public key (`pk_…`) as the Basic user name, so \
            official client libraries work with their host set to this server.\n\nThe REST API \
            takes a secret key as `Authorization: Bearer sk_…`; the key names the project. Lists \
            answer `{items, next}`; give `next` as `cursor` for the next page. Unknown query \
            parameters are refused. Errors are problem details (RFC 9457) with a stable `code`; \
            each code has a page at `/errors/<code>`."
    ),
    tags(
        (name = "Send events", description = "What happened, and to whom. A public or a secret \
            key: as the Basic user name, as a bearer token, as `key` in the query, or as \
            `writeKey` in the body."),
        (name = "In-app", description = "What to show in the page or app, and what became of it. \
            The same keys; the public one is meant for this."),
        (name = "Outreaches", description = "What could be said, through all its versions."),
        (name = "Segments", description = "Named audiences, and how many customers a filter matches."),
        (name = "Customers", description = "Who they are, and what was said to them."),
        (name = "Events", description = "What happens, as it comes in."),
        (name = "Decisions", description = "Every time it was decided to send or not, and why."),
        (name = "Deliveries", description = "What left the house, and what came back."),
        (name = "Projects", description = "The tenants of this installation, and their settings."),
        (name = "Health", description = "For load balancers. No key.")
    ),
    modifiers(&KeyScheme),
    security(("key" = []))
)]
struct ApiDoc;

struct KeyScheme;

impl utoipa::Modify for KeyScheme {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        use utoipa::openapi::security::{
            ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme,
        };
        let components = api.components.get_or_insert_default();
        let mut header = |name: &str, scheme: HttpAuthScheme, says: &str| {
            let scheme = HttpBuilder::new().scheme(scheme).description(Some(says)).build();
            components.add_security_scheme(name, SecurityScheme::Http(scheme));
        };
        header("key", HttpAuthScheme::Bearer, "A key as bearer token");
        header("write_key", HttpAuthScheme::Basic, "A key as user name, without a password");
        let says = "A key in the address, for beacons, which cannot set headers";
        let query = ApiKeyValue::with_description("key", says);
        components.add_security_scheme("query_key", SecurityScheme::ApiKey(ApiKey::Query(query)));
    }
}

/// All the server answers to.
pub fn router(app: App) -> Router {
    let (rest, _) = rest().split_for_parts();
    let (browser, _) = browser().split_for_parts();
    // The fallback comes first, or it would answer the browser's question before the layer does.
    let browser = browser.method_not_allowed_fallback(wrong_method).layer(cors());
    let nosniff = HeaderValue::from_static("nosniff");
    Router::new()
        .merge(rest)
        .merge(browser)
        .merge(docs::routes())
        .merge(home::routes())
        .merge(outbox::routes(&app))
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
    let (_, mut api) = rest().merge(browser()).merge(home::health()).split_for_parts();
    name_operations(&mut api);
    api.to_pretty_json().unwrap_or_default() + "\n"
}

/// Each operation by its function and noun (`list_outreaches`), unique over the whole API: the
/// names that generated clients use.
fn name_operations(api: &mut utoipa::openapi::OpenApi) {
    for (path, item) in &mut api.paths.paths {
        // What stands before the nouns of the REST API has a name of its own.
        let Some(nouns) = path.strip_prefix("/api/v1/") else { continue };
        let noun = nouns.split('/').next().unwrap_or_default().to_owned();
        let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            if let Some(name) = operation.operation_id.as_mut().filter(|name| !name.contains(&noun))
            {
                name.push('_');
                name.push_str(&noun);
            }
            declare_problems(operation);
        }
    }
}

/// Every error is a problem document, also those that no handler names.
fn declare_problems(operation: &mut utoipa::openapi::path::Operation) {
    use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder};
    let responses = &mut operation.responses.responses;
    for (status, response) in responses.iter_mut() {
        if let RefOr::T(response) = response
            && status.starts_with(['4', '5'])
            && let Some(content) = response.content.shift_remove("application/json")
        {
            response.content.insert(PROBLEM.to_owned(), content);
        }
    }
    let shape = Ref::from_schema_name("ProblemDetails");
    let content = ContentBuilder::new().schema(Some(shape)).build();
    let other = ResponseBuilder::new()
        .description("Any other problem: the key, the parameters, the load")
        .content(PROBLEM, content)
        .build();
    responses.insert("default".to_owned(), RefOr::T(other));
}

/// What browsers, apps and servers of the customer's side call.
fn browser() -> OpenApiRouter<App> {
    OpenApiRouter::new().merge(ingest::routes()).merge(in_app::routes())
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
        .merge(audience::routes())
        .merge(backup::routes());
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
