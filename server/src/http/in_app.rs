//! The in-app inbox of one customer: what to show, what became of it, and a stream of both.
//!
//! An item stays in the inbox until the browser says it was displayed; that acknowledgement is
//! what makes display exactly once, over tabs and devices.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, routing};
use engine::fact::{Names, ReceiptKind};
use engine::ids::{CustomerId, DeliveryId, ProjectNo};
use host::command::Command;
use serde_json::{Value as Json_, json};

use super::App;
use super::auth::{self, Caller};
use super::error::{ApiError, ApiResult, Code};
use super::ingest::{check_depth, read_id, read_time, unreadable, url_pairs};
use crate::keys::KeyKind;
use crate::limits;

/// The routes of this room.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/inbox", routing::get(inbox))
        .route("/v1/inbox/{delivery}/{receipt}", routing::post(receipt))
        .route("/v1/stream", routing::get(stream))
}

/// What lies in a customer's inbox now, rendered.
pub(crate) async fn items(
    app: &App,
    project: ProjectNo,
    customer: CustomerId,
) -> ApiResult<Vec<Json_>> {
    let ready = app.inbox(project, customer).await?;
    Ok(ready
        .into_iter()
        .map(|(delivery, ready)| {
            let outreach = &ready.outreach;
            json!({
                "id": delivery.id.to_string(),
                "outreach": outreach.id,
                "version": outreach.version,
                "type": delivery.outreach_type.name(),
                "content": ready.content,
                "pages": outreach.definition.pages,
                "priority": outreach.guardrails.priority,
                "decided_at": delivery.decided_at.to_rfc3339(),
                "expires_at": delivery.expires_at.map(engine::time::Timestamp::to_rfc3339),
            })
        })
        .collect())
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

async fn inbox(
    State(app): State<App>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> ApiResult<Json<Json_>> {
    let (caller, names) = who(&app, &headers, query.as_deref())?;
    let deliver = match app.resolve(caller.project, &names) {
        Some(customer) => items(&app, caller.project, customer).await?,
        None => Vec::new(),
    };
    Ok(Json(json!({"deliver": deliver})))
}

async fn receipt(
    State(app): State<App>,
    Path((delivery, word)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> ApiResult<Json<Json_>> {
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
    let bytes = super::ingest::read_body(&headers, body).await?;
    check_depth(&bytes)?;
    let body: Json_ = match bytes.is_empty() {
        true => json!({}),
        false => serde_json::from_slice(&bytes).map_err(|error| unreadable(&error))?,
    };
    // Displayed and dismissed happen once; clicks and answers are told apart by the client's id.
    let receipt_id = match read_id(body.get("id"), "/id")? {
        Some(id) => id,
        None => format!("{word}-{delivery}"),
    };
    let at = read_time(body.get("at"), "/at")?;
    let detail = match body.get("detail") {
        None | Some(Json_::Null) => json!({}),
        Some(detail @ Json_::Object(_)) => detail.clone(),
        Some(_) => {
            return Err(ApiError::at(Code::InvalidBody, "/detail", "an object is expected here"));
        }
    };
    let missing = || ApiError::not_found("delivery", &delivery);
    let customer = app.resolve(caller.project, &names).ok_or_else(missing)?;
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
    Ok(Json(json!({
        "success": true,
        "duplicate": accepted.duplicate,
        "deliver": deliver,
    })))
}

/// Inbox items as they become due. Each item comes once per stream; the inbox itself is the truth.
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
    let nominal = [
        names.user_id.as_ref().map(|name| CustomerId::of_user(project, name)),
        names.anonymous_id.as_ref().map(|name| CustomerId::of_guest(project, name)),
        app.resolve(project, names),
    ];
    keys.extend(nominal.into_iter().flatten().map(|customer| (project, customer)));
    let mut changed = app.signals.watch(&keys);
    let mut known: Vec<DeliveryId> = Vec::new();
    loop {
        let mut pause = None;
        if let Some(customer) = app.resolve(project, names) {
            if !keys.contains(&(project, customer)) {
                // The guest became somebody: watched from here on, and read after that.
                keys.push((project, customer));
                changed = app.signals.watch(&keys);
            }
            let Ok(found) = items(app, project, customer).await else { break };
            let is_new = |item: &Json_| !known.iter().any(|id| item["id"] == id.to_string());
            if found.iter().any(is_new) {
                let Ok(event) = Event::default().event("inbox").json_data(&found) else { break };
                if sender.send(Ok(event)).await.is_err() {
                    break;
                }
            }
            let id = |item: &Json_| item["id"].as_str().and_then(|id| id.parse().ok());
            known = found.iter().filter_map(id).collect();
            pause = next_due(app, project, customer);
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
fn next_due(app: &App, project: ProjectNo, customer: CustomerId) -> Option<Duration> {
    let now = app.now();
    let at = app
        .customer(project, customer)?
        .deliveries
        .values()
        .filter(|delivery| delivery.outreach_type.is_in_app() && !delivery.state.is_closed())
        .map(|delivery| delivery.due_at)
        .filter(|at| *at > now)
        .min()?;
    Some(Duration::from_millis(u64::try_from(at.0 - now.0).unwrap_or(0)))
}
