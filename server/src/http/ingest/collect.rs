//! Our own call for the browser: what happened, what is known, and back what to show.
//!
//! One round trip: the message that an event triggers is in the answer to that event. The body may
//! come as `text/plain`, since a beacon with another type asks for permission first.

use axum::Json as JsonBody;
use engine::fact::Names;
use host::command::{Command, Track};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use utoipa::ToSchema;

use super::call::{check_event_name, read_id, read_properties};
use super::clock::{CallClock, read_time};
use super::json::nul_at;
use super::routes::Incoming;
use super::{ItemError, attributes, body, check_depth, early_caller, unreadable};
use crate::http::App;
use crate::http::auth::{self, Caller};
use crate::http::error::{ApiError, Code};
use crate::http::in_app::{self, InboxItem};
use crate::keys::KeyKind;
use crate::limits;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CollectBody {
    #[serde(default)]
    write_key: Option<String>,
    /// Makes the attributes of this call distinct, so that a repetition counts once.
    #[serde(default)]
    id: Option<Json>,
    #[serde(default)]
    anonymous_id: Option<Json>,
    #[serde(default)]
    user_id: Option<Json>,
    #[serde(default)]
    events: Vec<Json>,
    #[serde(default)]
    attributes: Option<Json>,
    #[serde(default)]
    sent_at: Option<Json>,
}

/// What became of the events, and what to show.
#[derive(Serialize, ToSchema)]
pub(super) struct CollectAnswer {
    /// Events that are stored by this call.
    accepted: usize,
    /// Events that were stored before, by their `id`.
    duplicates: usize,
    /// Events that were not stored.
    errors: Vec<ItemError>,
    /// In-app messages for the customer.
    deliver: Vec<InboxItem>,
}

pub(super) async fn collect(incoming: Incoming) -> Result<JsonBody<CollectAnswer>, ApiError> {
    let Incoming { app, query, headers, body } = incoming;
    let received = app.now();
    let early = early_caller(&app, &headers, query.as_deref())?;
    let bytes = body::read(&app, &headers, body).await?;
    check_depth(&bytes)?;
    let whole: CollectBody = serde_json::from_slice(&bytes).map_err(|error| unreadable(&error))?;
    let caller = match early {
        Some(caller) => caller,
        None => auth::find_caller(&app, whole.write_key.as_deref())?,
    };
    let names = Names {
        user_id: read_id(whole.user_id.as_ref(), "/userId")?,
        anonymous_id: read_id(whole.anonymous_id.as_ref(), "/anonymousId")?,
    };
    if names == Names::default() {
        let detail = "anonymousId or userId is needed, so that somebody can be found";
        return Err(ApiError::new(Code::MissingIdentity, detail));
    }
    if caller.kind == KeyKind::Public {
        auth::prove_identity(&caller, &names, &headers)?;
    }
    let clock = CallClock { received, sent: read_time(whole.sent_at.as_ref(), "/sentAt")? };
    let identify = read_attributes(&whole, &names)?;
    if whole.events.len() > limits::BATCH_ITEMS {
        let detail = format!("a call has at most {} events", limits::BATCH_ITEMS);
        return Err(ApiError::new(Code::BatchTooLarge, detail));
    }
    let mut commands: Vec<(Option<usize>, Command)> = Vec::new();
    commands.extend(identify.map(|command| (None, command)));
    let mut errors = Vec::new();
    for (index, event) in whole.events.iter().enumerate() {
        match read_event(event, &format!("/events/{index}"), &names, clock) {
            Ok(track) => commands.push((Some(index), Command::Track(track))),
            Err(error) => errors.push(ItemError::new(index, error)),
        }
    }
    Ok(JsonBody(submit(&app, &caller, &names, commands, errors).await?))
}

async fn submit(
    app: &App,
    caller: &Caller,
    names: &Names,
    commands: Vec<(Option<usize>, Command)>,
    mut errors: Vec<ItemError>,
) -> Result<CollectAnswer, ApiError> {
    let (places, commands): (Vec<_>, Vec<_>) = commands.into_iter().unzip();
    let mut accepted = 0;
    let mut duplicates = 0;
    let mut customer = None;
    if !commands.is_empty() {
        for (place, result) in places.into_iter().zip(app.submit(caller.project, commands).await?) {
            match (place, result) {
                (_, Ok(done)) => {
                    customer = done.customer.or(customer);
                    accepted += usize::from(place.is_some() && !done.duplicate);
                    duplicates += usize::from(place.is_some() && done.duplicate);
                }
                (Some(index), Err(refused)) => {
                    let mut error = ItemError::new(index, ApiError::from(refused));
                    error.pointer = format!("/events/{index}");
                    errors.push(error);
                }
                (None, Err(refused)) => return Err(ApiError::from(refused)),
            }
        }
    }
    errors.sort_by_key(|error| error.index);
    let customer = match customer {
        Some(customer) => Some(customer),
        None => app.resolve(caller.project, names)?,
    };
    let deliver = match customer {
        Some(customer) => in_app::items(app, caller.project, customer).await?,
        None => Vec::new(),
    };
    Ok(CollectAnswer { accepted, duplicates, errors, deliver })
}

/// The write of attributes, also an empty one when it makes a guest known.
fn read_attributes(whole: &CollectBody, names: &Names) -> Result<Option<Command>, ApiError> {
    let Some(json) = whole.attributes.as_ref().filter(|json| !json.is_null()) else {
        return Ok(None);
    };
    if let Some(place) = nul_at(json, "/attributes") {
        let detail = "a text contains the character U+0000, which cannot be stored";
        return Err(ApiError::at(Code::NulCharacter, place, detail));
    }
    let changes = attributes::from_object(Some(json), "/attributes")?;
    let joins = names.user_id.is_some() && names.anonymous_id.is_some();
    if changes.is_empty() && !joins {
        return Ok(None);
    }
    let message_id = match read_id(whole.id.as_ref(), "/id")? {
        Some(id) => id,
        None => format!("auto-{}", crate::secret::random_text(22)),
    };
    Ok(Some(Command::Identify { names: names.clone(), message_id, changes, historical: false }))
}

fn read_event(
    event: &Json,
    pointer: &str,
    names: &Names,
    clock: CallClock,
) -> Result<Track, ApiError> {
    let Json::Object(fields) = event else {
        return Err(ApiError::at(Code::InvalidBody, pointer, "an object is expected here"));
    };
    if event.to_string().len() > limits::EVENT_BYTES {
        return Err(ApiError::at(Code::EventTooLarge, pointer, "an event has at most 32 KB"));
    }
    if let Some(place) = nul_at(event, pointer) {
        let detail = "a text contains the character U+0000, which cannot be stored";
        return Err(ApiError::at(Code::NulCharacter, place, detail));
    }
    let at = |field: &str| format!("{pointer}/{field}");
    let name = check_event_name(fields.get("name").and_then(Json::as_str), &at("name"))?;
    let stamp = read_time(fields.get("at"), &at("at"))?;
    let properties = read_properties(fields.get("properties"), &at("properties"))?;
    let message_id = match read_id(fields.get("id"), &at("id"))? {
        Some(id) => id,
        None => format!("auto-{}", crate::secret::random_text(22)),
    };
    Ok(Track {
        names: names.clone(),
        message_id,
        name,
        at: clock.correct(stamp),
        properties: Json::Object(properties).to_string(),
        changes: attributes::Changes::new(),
        historical: false,
        page: fields.get("page").and_then(Json::as_str).map(str::to_owned),
    })
}
