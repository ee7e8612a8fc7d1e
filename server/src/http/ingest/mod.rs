//! The Segment tracking API, as its official clients speak it, and our own call for the browser.
//!
//! A client takes 2xx for "all of it is safe", repeats on 429 and 5xx, and gives up on 400. So a
//! batch with a bad item is 200: the good ones are stored and the bad ones are listed; repeating
//! would not mend them. A call that holds one bad event is 400.

mod attributes;
mod body;
mod call;
mod clock;
mod collect;
mod json;
mod routes;
mod shapes;

pub(crate) use body::{read as read_body, read_at_most};
pub(crate) use call::read_id;
pub(crate) use clock::read_time;
pub(crate) use json::{check_depth, unreadable};
pub(crate) use routes::routes;
pub(crate) use shapes::BrowserFaults;

use axum::Json as JsonBody;
use axum::http::HeaderMap;
use engine::fact::Names;
use engine::ids::CustomerId;
use host::command::{Accepted, Command};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use self::call::{CallType, Envelope};
use self::routes::Incoming;
use super::App;
use super::auth::{self, Caller};
use super::error::{ApiError, Code};
use super::in_app::InboxItem;
use crate::keys::KeyKind;
use crate::limits;

/// What a client is told about what it sent.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Answer {
    /// Always true; what was not stored is listed.
    success: bool,
    /// Items that are stored by this call.
    accepted: usize,
    /// Items that were stored before, by their `messageId`.
    duplicates: usize,
    /// Items that were not stored.
    errors: Vec<ItemError>,
    /// With a public key: in-app messages for the one customer the call was about.
    #[serde(skip_serializing_if = "Option::is_none")]
    deliver: Option<Vec<InboxItem>>,
}

/// An item that was not accepted; the others were.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ItemError {
    /// Which item, from 0.
    index: usize,
    /// A stable word for programs, as at `/errors/<code>`.
    code: &'static str,
    /// Where in the body.
    pointer: String,
    /// What exactly, and what to do about it.
    message: String,
}

#[derive(Deserialize)]
struct BatchBody<'a> {
    #[serde(borrow)]
    batch: Vec<&'a RawValue>,
    #[serde(default, rename = "sentAt")]
    sent_at: Option<Json>,
    #[serde(default, rename = "writeKey")]
    write_key: Option<Json>,
    #[serde(default)]
    context: Option<Json>,
    #[serde(default)]
    historical: bool,
}

async fn single(kind: CallType, incoming: Incoming) -> Result<JsonBody<Answer>, ApiError> {
    let Incoming { app, query, headers, body } = incoming;
    let received = app.now();
    let early = early_caller(&app, &headers, query.as_deref())?;
    let bytes = body::read(&app, &headers, body).await?;
    if bytes.len() > limits::EVENT_BYTES {
        let detail = format!("{} bytes; an event has at most 32 KB", bytes.len());
        return Err(ApiError::new(Code::EventTooLarge, detail));
    }
    check_depth(&bytes)?;
    let call: Json = serde_json::from_slice(&bytes).map_err(|error| unreadable(&error))?;
    let caller = match early {
        Some(caller) => caller,
        None => auth::find_caller(&app, call.get("writeKey").and_then(Json::as_str))?,
    };
    let envelope = Envelope { received, sent: None, context: None, historical: false };
    let command = call::read_call(kind, &call, "", envelope)?;
    prove(&app, &caller, &command, &headers)?;
    let answer = submit(&app, &caller, vec![(0, command)], Vec::new(), String::new()).await?;
    // One call and it was refused by the engine: the same as a call that cannot be read.
    if let Some(refused) = answer.errors.first() {
        return Err(ApiError::at(Code::Invalid, refused.pointer.clone(), refused.message.clone()));
    }
    Ok(JsonBody(answer))
}

async fn batch(incoming: Incoming) -> Result<JsonBody<Answer>, ApiError> {
    let Incoming { app, query, headers, body } = incoming;
    let received = app.now();
    let early = early_caller(&app, &headers, query.as_deref())?;
    let bytes = body::read(&app, &headers, body).await?;
    check_depth(&bytes)?;
    let whole: BatchBody<'_> =
        serde_json::from_slice(&bytes).map_err(|error| unreadable(&error))?;
    let caller = match early {
        Some(caller) => caller,
        None => auth::find_caller(&app, whole.write_key.as_ref().and_then(Json::as_str))?,
    };
    if whole.batch.len() > limits::BATCH_ITEMS {
        let detail =
            format!("{} items; a batch has at most {}", whole.batch.len(), limits::BATCH_ITEMS);
        return Err(ApiError::new(Code::BatchTooLarge, detail));
    }
    let sent = read_time(whole.sent_at.as_ref(), "/sentAt")?;
    let envelope =
        Envelope { received, sent, context: whole.context.as_ref(), historical: whole.historical };
    let mut commands = Vec::with_capacity(whole.batch.len());
    let mut errors = Vec::new();
    for (index, item) in whole.batch.iter().enumerate() {
        let command = read_item(index, item.get(), envelope);
        match command.and_then(|command| prove(&app, &caller, &command, &headers).map(|()| command))
        {
            Ok(command) => commands.push((index, command)),
            Err(error) => errors.push(ItemError::new(index, error)),
        }
    }
    let answer = submit(&app, &caller, commands, errors, "/batch".to_owned()).await?;
    Ok(JsonBody(answer))
}

fn read_item(index: usize, raw: &str, envelope: Envelope<'_>) -> Result<Command, ApiError> {
    let pointer = format!("/batch/{index}");
    if raw.len() > limits::EVENT_BYTES {
        let detail = format!("{} bytes; an event has at most 32 KB", raw.len());
        return Err(ApiError::at(Code::EventTooLarge, pointer, detail));
    }
    let item: Json = serde_json::from_str(raw).map_err(|error| unreadable(&error))?;
    let named = item.get("type").and_then(Json::as_str).unwrap_or_default();
    let kind = CallType::named(named).ok_or_else(|| {
        let detail = "type is identify, track, page, screen, group or alias";
        ApiError::at(Code::UnknownType, format!("{pointer}/type"), detail)
    })?;
    call::read_call(kind, &item, &pointer, envelope)
}

/// The caller by header or query, before the body is read.
fn early_caller(
    app: &App,
    headers: &HeaderMap,
    query: Option<&str>,
) -> Result<Option<Caller>, ApiError> {
    let key = auth::from_header(headers).or_else(|| {
        let pairs = url_pairs(query.unwrap_or_default());
        pairs.into_iter().find(|(name, _)| name == "key" || name == "writeKey").map(|(_, key)| key)
    });
    key.map(|key| auth::find_caller(app, Some(&key))).transpose()
}

/// The pairs of a query string.
pub(crate) fn url_pairs(query: &str) -> Vec<(String, String)> {
    let whole = format!("http://localhost/?{query}");
    let Ok(url) = reqwest::Url::parse(&whole) else { return Vec::new() };
    url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

fn prove(
    app: &App,
    caller: &Caller,
    command: &Command,
    headers: &HeaderMap,
) -> Result<(), ApiError> {
    let names = match command {
        Command::Track(track) => &track.names,
        Command::Identify { names, .. } | Command::Alias { names, .. } => names,
        _ => return Ok(()),
    };
    match (caller.kind, command) {
        (KeyKind::Public, Command::Alias { previous, names, .. })
            if joins_users(app, caller, previous, names)? =>
        {
            Err(ApiError::new(
                Code::KeyNotAllowed,
                "previousId is a user who is known already; joining two users takes a secret key",
            ))
        }
        (KeyKind::Public, _) => auth::prove_identity(caller, names, headers),
        (KeyKind::Secret | KeyKind::Admin, _) => Ok(()),
    }
}

/// Whether an alias would make one known user part of another. It cannot be undone, so whoever has
/// read the key in a web page may not do it.
fn joins_users(
    app: &App,
    caller: &Caller,
    previous: &Names,
    names: &Names,
) -> Result<bool, ApiError> {
    let project = caller.project;
    let known = |id: Option<CustomerId>| match id {
        Some(id) => app.resolve_id(project, id),
        None => Ok(None),
    };
    let user = |names: &Names| {
        known(names.user_id.as_ref().map(|name| CustomerId::of_user(project, name)))
    };
    let before = match user(previous)? {
        Some(before) => Some(before),
        None => {
            let name = previous.anonymous_id.as_ref().or(previous.user_id.as_ref());
            known(name.map(|name| CustomerId::of_guest(project, name)))?
        }
    };
    let Some(before) = before else { return Ok(false) };
    Ok(user(names)? != Some(before) && !app.is_guest(project, before)?)
}

/// Hand the readable items to the engine and say what became of each.
async fn submit(
    app: &App,
    caller: &Caller,
    commands: Vec<(usize, Command)>,
    mut errors: Vec<ItemError>,
    pointer: String,
) -> Result<Answer, ApiError> {
    let (places, commands): (Vec<usize>, Vec<Command>) = commands.into_iter().unzip();
    let mut accepted = 0;
    let mut duplicates = 0;
    let mut customers = Vec::new();
    if !commands.is_empty() {
        for (index, result) in places.into_iter().zip(app.submit(caller.project, commands).await?) {
            match result {
                Ok(Accepted { duplicate, customer, .. }) => {
                    accepted += usize::from(!duplicate);
                    duplicates += usize::from(duplicate);
                    customers.extend(customer);
                }
                Err(refused) => {
                    let mut error = ItemError::new(index, ApiError::from(refused));
                    if !pointer.is_empty() {
                        error.pointer = format!("{pointer}/{index}");
                    }
                    errors.push(error);
                }
            }
        }
    }
    errors.sort_by_key(|error| error.index);
    customers.sort_unstable();
    customers.dedup();
    let deliver = match (caller.kind, customers.as_slice()) {
        (KeyKind::Public, [only]) => Some(super::in_app::items(app, caller.project, *only).await?),
        _ => None,
    };
    Ok(Answer { success: true, accepted, duplicates, errors, deliver })
}

impl ItemError {
    fn new(index: usize, error: ApiError) -> ItemError {
        let pointer = error.problems.first().map(|problem| problem.pointer.clone());
        ItemError {
            index,
            code: error.code.code(),
            pointer: pointer.unwrap_or_else(|| format!("/batch/{index}")),
            message: error.detail,
        }
    }
}
