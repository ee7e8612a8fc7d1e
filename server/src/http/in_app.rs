//! The in-app inbox of one customer: what to show, what became of it, and a stream of both.
//!
//! An item stays in the inbox until the browser says it was displayed; that acknowledgement is
//! what makes display exactly once, over tabs and devices.

use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use engine::delivery::Delivery;
use engine::delivery::hand_over::Ready;
use engine::fact::{Names, ReceiptKind};
use engine::ids::{CustomerId, DeliveryId, ProjectNo};
use engine::outreach::definition::PageRule;
use host::command::Command;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json_, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::auth::{self, Caller};
use super::error::{ApiError, ApiResult, Code, ProblemDetails};
use super::ingest::{BrowserFaults, check_depth, read_id, read_time, unreadable, url_pairs};
use crate::keys::KeyKind;
use crate::limits;

/// The routes of this room.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(inbox)).routes(routes!(receipt)).routes(routes!(stream))
}

/// A message for the customer, ready to show.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InboxItem {
    /// The delivery; receipts name it.
    id: String,
    /// The outreach it comes from.
    outreach: String,
    /// The version that was decided.
    version: u32,
    /// `banner`, `modal`, `survey`, `tour` …
    #[serde(rename = "type")]
    outreach_type: &'static str,
    /// The rendered content, in the form of the definition's `content`.
    #[schema(value_type = Object)]
    content: Json_,
    /// Only show it on these pages; none: on all.
    pages: Vec<PageRule>,
    /// The higher goes first.
    priority: i32,
    /// When it was decided.
    decided_at: String,
    /// Not to be shown after this; `null`: whenever.
    expires_at: Option<String>,
}

/// What lies in the inbox.
#[derive(Debug, Serialize, ToSchema)]
struct InboxAnswer {
    /// What to show.
    deliver: Vec<InboxItem>,
}

/// What became of a message, as the browser tells.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
struct Receipt {
    /// Your id of this receipt; the same counts once.
    #[schema(value_type = Option<String>)]
    id: Json_,
    /// When, RFC 3339; now when left out.
    #[schema(value_type = Option<String>)]
    at: Json_,
    /// Which button, which answer.
    #[schema(value_type = Option<Object>)]
    detail: Json_,
}

/// The receipt is stored.
#[derive(Debug, Serialize, ToSchema)]
struct ReceiptAnswer {
    /// Always true.
    success: bool,
    /// It was stored before.
    duplicate: bool,
    /// What to show now.
    deliver: Vec<InboxItem>,
}

/// Who asks. This or a header with the key.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "for the description; `who` reads the query")]
struct Who {
    /// The user, by your own id. This or `anonymousId` is needed.
    #[param(rename = "userId")]
    user_id: Option<String>,
    /// The device, before the user is known.
    #[param(rename = "anonymousId")]
    anonymous_id: Option<String>,
}

/// What lies in a customer's inbox now, rendered.
pub(crate) async fn items(
    app: &App,
    project: ProjectNo,
    customer: CustomerId,
) -> ApiResult<Vec<InboxItem>> {
    let ready = app.inbox(project, customer).await?;
    let item = |(delivery, ready): (Delivery, Ready)| InboxItem {
        id: delivery.id.to_string(),
        outreach: ready.outreach.id.clone(),
        version: ready.outreach.version,
        outreach_type: delivery.outreach_type.name(),
        content: ready.content,
        pages: ready.outreach.definition.pages.clone(),
        priority: ready.outreach.guardrails.priority,
        decided_at: delivery.decided_at.to_rfc3339(),
        expires_at: delivery.expires_at.map(engine::time::Timestamp::to_rfc3339),
    };
    Ok(ready.into_iter().map(item).collect())
}

/// The names in the query, and the caller who may speak for them.
fn who(app: &App, headers: &HeaderMap, query: Option<&str>) -> ApiResult<(Caller, Names)> {
    let mut key = auth::from_header(headers);
    let mut names = Names::default();
    for (name, value) in url_pairs(query.unwrap_or_default()) {
        let json = Json_::String(value);
        match name.as_str() {
            "userId" => names.user_id = read_id(Some(&json), "userId")?,
            "anonymousId" => names.anonymous_id = read_id(Some(&json), "anonymousId")?,
            "key" => key = key.or_else(|| json.as_str().map(str::to_owned)),
            other => {
                let detail = format!(
                    "there is no parameter {other:?}; there are anonymousId, userId and key"
                );
                return Err(ApiError::new(Code::UnknownParameter, detail));
            }
        }
    }
    let caller = auth::find_caller(app, key.as_deref())?;
    if names == Names::default() {
        let detail = "anonymousId or userId is needed, so that somebody can be found";
        return Err(ApiError::new(Code::MissingIdentity, detail));
    }
    if caller.kind == KeyKind::Public {
        auth::prove_identity(&caller, &names, headers)?;
    }
    Ok((caller, names))
}

/// Get what lies in a customer's inbox.
///
/// An item stays until the browser says that it was displayed.
#[utoipa::path(get, path = "/v1/inbox", tag = "In-app", params(Who),
    security(("write_key" = []), ("key" = []), ("query_key" = [])),
    responses((status = 200, description = "The messages, rendered", body = InboxAnswer),
        BrowserFaults))]
async fn inbox(
    State(app): State<App>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> ApiResult<Json<InboxAnswer>> {
    let (caller, names) = who(&app, &headers, query.as_deref())?;
    let deliver = match app.resolve(caller.project, &names)? {
        Some(customer) => items(&app, caller.project, customer).await?,
        None => Vec::new(),
    };
    Ok(Json(InboxAnswer { deliver }))
}

/// Say what became of a message.
///
/// Displayed and dismissed happen once; clicks and answers are told apart by `id`.
#[utoipa::path(post, path = "/v1/inbox/{delivery}/{receipt}", tag = "In-app", params(
        ("delivery" = String, Path, description = "The item's `id`"),
        ("receipt" = String, Path, description = "`displayed`, `clicked`, `dismissed` or `answered`"),
        Who),
    security(("write_key" = []), ("key" = []), ("query_key" = [])),
    request_body(content = Receipt, example = json!({"id": "r-1", "detail": {"button": "ok"}})),
    responses((status = 200, description = "It is stored; what to show now", body = ReceiptAnswer),
        (status = 404, description = "This customer has no such message", body = ProblemDetails),
        (status = 507, description = "The disk is full; come again after `Retry-After` seconds",
            body = ProblemDetails), BrowserFaults))]
async fn receipt(
    State(app): State<App>,
    Path((delivery, word)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> ApiResult<Json<ReceiptAnswer>> {
    let (caller, names) = who(&app, &headers, query.as_deref())?;
    let kind = match word.as_str() {
        "displayed" => ReceiptKind::Displayed,
        "clicked" => ReceiptKind::Clicked,
        "dismissed" => ReceiptKind::Dismissed,
        "answered" => ReceiptKind::Answered,
        _ => return Err(super::no_such_route(&format!("/v1/inbox/{delivery}/{word}"))),
    };
    let id: DeliveryId =
        delivery.parse().map_err(|_| ApiError::not_found("delivery", &delivery))?;
    let bytes = super::ingest::read_body(&app, &headers, body).await?;
    check_depth(&bytes)?;
    let body: Receipt = match bytes.is_empty() {
        true => Receipt::default(),
        false => serde_json::from_slice(&bytes).map_err(|error| unreadable(&error))?,
    };
    // Displayed and dismissed happen once; clicks and answers are told apart by the client's id.
    let receipt_id = match read_id(Some(&body.id), "/id")? {
        Some(id) => id,
        None => format!("{word}-{delivery}"),
    };
    let at = read_time(Some(&body.at), "/at")?;
    let detail = match body.detail {
        Json_::Null => json!({}),
        detail @ Json_::Object(_) => detail,
        _ => {
            return Err(ApiError::at(Code::InvalidBody, "/detail", "an object is expected here"));
        }
    };
    let missing = || ApiError::not_found("delivery", &delivery);
    let customer = app.resolve(caller.project, &names)?.ok_or_else(missing)?;
    let accepted = app
        .submit_one(
            caller.project,
            Command::Receipt {
                delivery: id,
                customer: Some(customer),
                kind,
                receipt_id,
                at,
                detail: detail.to_string(),
            },
        )
        .await?;
    let deliver = items(&app, caller.project, customer).await?;
    Ok(Json(ReceiptAnswer { success: true, duplicate: accepted.duplicate, deliver }))
}

/// Watch a customer's inbox.
///
/// Server-sent events `inbox`, each with the whole inbox, whenever something new becomes due; the
/// inbox itself is the truth.
#[utoipa::path(get, path = "/v1/stream", tag = "In-app", params(Who),
    security(("write_key" = []), ("key" = []), ("query_key" = [])),
    responses((status = 200, description = "Events until the client goes away",
        body = Vec<InboxItem>, content_type = "text/event-stream"), BrowserFaults))]
async fn stream(
    State(app): State<App>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let (caller, names) = who(&app, &headers, query.as_deref())?;
    let permit = app.open_stream()?;
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Event, Infallible>>(16);
    tokio::spawn(async move {
        let _permit = permit;
        feed(&app, caller.project, &names, &sender).await;
    });
    let ping = KeepAlive::new().interval(limits::STREAM_PING).text("ping");
    let events = tokio_stream::wrappers::ReceiverStream::new(receiver);
    let mut response = Sse::new(events).keep_alive(ping).into_response();
    let unbuffered = HeaderName::from_static("x-accel-buffering");
    response.headers_mut().insert(unbuffered, HeaderValue::from_static("no"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Send what is new in the inbox until the client goes away or the server stops.
async fn feed(
    app: &App,
    project: ProjectNo,
    names: &Names,
    sender: &tokio::sync::mpsc::Sender<Result<Event, Infallible>>,
) {
    let mut keys = Vec::new();
    // The error was logged; the client comes again.
    let Ok(found) = app.resolve(project, names) else { return };
    let nominal = [
        names.user_id.as_ref().map(|name| CustomerId::of_user(project, name)),
        names.anonymous_id.as_ref().map(|name| CustomerId::of_guest(project, name)),
        found,
    ];
    keys.extend(nominal.into_iter().flatten().map(|customer| (project, customer)));
    let mut changed = app.signals.watch(&keys);
    let mut known: Vec<String> = Vec::new();
    loop {
        let mut pause = None;
        let Ok(found) = app.resolve(project, names) else { break };
        if let Some(customer) = found {
            if !keys.contains(&(project, customer)) {
                // The guest became somebody: watched from here on, and read after that.
                keys.push((project, customer));
                changed = app.signals.watch(&keys);
            }
            let Ok(found) = items(app, project, customer).await else { break };
            let is_new = |item: &InboxItem| !known.contains(&item.id);
            if found.iter().any(is_new) {
                let Ok(event) = Event::default().event("inbox").json_data(&found) else { break };
                if sender.send(Ok(event)).await.is_err() {
                    break;
                }
            }
            known = found.into_iter().map(|item| item.id).collect();
            let Ok(next) = next_due(app, project, customer) else { break };
            pause = next;
        }
        let timer = async {
            match pause {
                Some(pause) => tokio::time::sleep(pause).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = changed.notified() => {}
            () = timer => {}
            () = sender.closed() => break,
            () = app.stopped() => break,
        }
    }
    drop(changed);
    app.signals.unwatch(&keys);
}

/// How long until something becomes due for the customer by time alone.
fn next_due(app: &App, project: ProjectNo, customer: CustomerId) -> ApiResult<Option<Duration>> {
    let now = app.now();
    let Some(customer) = app.customer(project, customer)? else { return Ok(None) };
    let next = customer
        .deliveries
        .values()
        .filter(|delivery| delivery.outreach_type.is_in_app() && !delivery.state.is_closed())
        .map(|delivery| delivery.due_at)
        .filter(|at| *at > now)
        .min();
    Ok(next.map(|at| Duration::from_millis(u64::try_from(at.0 - now.0).unwrap_or(0))))
}
