//! Events: which there are, with the properties they carry; and a live tail.

use std::collections::BTreeMap;

use axum::Json;
use axum::http::{HeaderName, HeaderValue};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use engine::customer::STANDARD_ATTRIBUTES;
use engine::ids::ProjectNo;
use host::Published;
use host::catalogue::PropertyEntry;
use serde::Serialize;
use serde_json::{Value as Json_, json};
use tokio::sync::broadcast::error::RecvError;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::auth::Team;
use super::decisions;
use super::error::{ApiResult, ProblemDetails};
use crate::limits;

/// The routes of this room.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(catalogue)).routes(routes!(tail))
}

/// Which events and attributes a project sees.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CatalogueView {
    /// The events, the most frequent first.
    pub events: Vec<EventView>,
    /// The attributes, by key.
    pub attributes: Vec<PropertyView>,
}

/// One name of events.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventView {
    /// The first spelling.
    pub name: String,
    /// How many there were.
    pub count: u64,
    /// The earliest.
    pub first: String,
    /// The latest.
    pub last: String,
    /// Its properties, by name; nested ones by dots.
    pub properties: Vec<PropertyView>,
}

/// One property or attribute.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PropertyView {
    /// Its name.
    pub name: String,
    /// How often each type was seen; more than one is a drift.
    pub types: BTreeMap<String, u64>,
    /// The most frequent short values.
    pub values: Vec<ValueView>,
    /// Whether it is a standard attribute.
    pub standard: bool,
}

/// A value and how often it was seen.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ValueView {
    /// The value as text.
    pub value: String,
    /// How often.
    pub count: u64,
}

/// See which events and attributes there are, with their types and values.
#[utoipa::path(get, path = "/catalogue", tag = "Events",
    responses((status = 200, description = "The catalogue", body = CatalogueView)))]
async fn catalogue(app: App, Team(caller): Team) -> ApiResult<Json<CatalogueView>> {
    let no = caller.project;
    let found = app.ask(move |host| host.catalogue(no)).await?;
    let mut events: Vec<EventView> = found
        .events
        .values()
        .map(|entry| EventView {
            name: entry.name.clone(),
            count: entry.count,
            first: entry.first.to_rfc3339(),
            last: entry.last.to_rfc3339(),
            properties: entry
                .properties
                .iter()
                .map(|(name, entry)| property(name, entry, false))
                .collect(),
        })
        .collect();
    events
        .sort_by(|one, other| other.count.cmp(&one.count).then_with(|| one.name.cmp(&other.name)));
    let attributes = found
        .attributes
        .iter()
        .map(|(name, entry)| property(name, entry, STANDARD_ATTRIBUTES.contains(&name.as_str())))
        .collect();
    Ok(Json(CatalogueView { events, attributes }))
}

/// Follow events and decisions as they become durable (server-sent events `event` and `decision`).
#[utoipa::path(get, path = "/events/tail", tag = "Events",
    responses((status = 200, description = "A stream", content_type = "text/event-stream"),
        (status = 429, description = "Too many streams are open", body = ProblemDetails)))]
async fn tail(app: App, Team(caller): Team) -> ApiResult<Response> {
    let permit = app.open_stream()?;
    let mut published = app.signals.tail();
    let (sender, receiver) =
        tokio::sync::mpsc::channel::<Result<Event, std::convert::Infallible>>(64);
    let project = caller.project;
    tokio::spawn(async move {
        let _permit = permit;
        loop {
            let next = tokio::select! {
                next = published.recv() => next,
                () = sender.closed() => return,
                () = app.stopped() => return,
            };
            let line = match next {
                Ok(published) => line(&app, project, &published),
                // The reader was too slow; it is told, and goes on with what comes.
                Err(RecvError::Lagged(missed)) => Some(("missed", json!({"missed": missed}))),
                Err(RecvError::Closed) => return,
            };
            let Some((name, data)) = line else { continue };
            let Ok(event) = Event::default().event(name).json_data(data) else { continue };
            if sender.send(Ok(event)).await.is_err() {
                return;
            }
        }
    });
    let events = tokio_stream::wrappers::ReceiverStream::new(receiver);
    let ping = KeepAlive::new().interval(limits::STREAM_PING).text("ping");
    let mut response = Sse::new(events).keep_alive(ping).into_response();
    let unbuffered = HeaderName::from_static("x-accel-buffering");
    response.headers_mut().insert(unbuffered, HeaderValue::from_static("no"));
    Ok(response)
}

fn line(app: &App, own: ProjectNo, published: &Published) -> Option<(&'static str, Json_)> {
    match published {
        Published::EventAccepted {
            project,
            customer,
            position,
            name,
            at,
            accepted_at,
            decisions,
            sends,
        } if *project == own => Some((
            "event",
            json!({
                "customer": customer.to_string(),
                "position": position,
                "name": name,
                "at": at.to_rfc3339(),
                "accepted_at": accepted_at.to_rfc3339(),
                "decisions": decisions,
                "sends": sends,
            }),
        )),
        Published::DecisionMade { project, customer, position, at, decision }
            if *project == own =>
        {
            let project = app.project(own).ok()?;
            let view = decisions::view(&project, *customer, decision, *at, *position);
            Some(("decision", serde_json::to_value(view).ok()?))
        }
        Published::DeliveryChanged { project, customer, delivery, state } if *project == own => {
            Some((
                "delivery",
                json!({
                    "customer": customer.to_string(),
                    "delivery": delivery.to_string(),
                    "state": state.name(),
                }),
            ))
        }
        Published::EventAccepted { .. }
        | Published::DecisionMade { .. }
        | Published::DeliveryChanged { .. }
        | Published::InboxChanged { .. }
        | Published::DeliveryDue
        | Published::ProjectChanged { .. }
        | Published::LaunchAdvanced { .. } => None,
    }
}

fn property(name: &str, entry: &PropertyEntry, standard: bool) -> PropertyView {
    let values = entry.top_values().into_iter().map(|(value, count)| ValueView { value, count });
    PropertyView {
        name: name.to_owned(),
        types: entry.types.clone(),
        values: values.collect(),
        standard,
    }
}
