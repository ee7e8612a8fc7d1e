//! The bodies and answers of the tracking API, for its description only.
//!
//! The bodies are read field by field elsewhere, so that each fault names its place; these shapes
//! say the same to people and generators. What clients send beyond them is accepted and ignored.

#![expect(dead_code, reason = "shapes of the description; nobody makes one")]

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

use crate::http::error::PROBLEM;

/// What every call may say.
#[derive(ToSchema)]
pub(super) struct AnyCall {
    /// The user, by your own id. This or `anonymousId` is needed.
    #[serde(rename = "userId")]
    user_id: Option<String>,
    /// The device, before the user is known. With both ids the guest becomes part of the user.
    #[serde(rename = "anonymousId")]
    anonymous_id: Option<String>,
    /// Your id of this call; the same counts once, so a repetition is safe.
    #[serde(rename = "messageId")]
    message_id: Option<String>,
    /// When it happened, RFC 3339; now when left out.
    timestamp: Option<String>,
    /// When the client sent it; its clock is corrected by this.
    #[serde(rename = "sentAt")]
    sent_at: Option<String>,
    /// Language, zone, page and device: `locale`, `timezone`, `page.url`, `traits` …
    #[schema(value_type = Option<Object>)]
    context: Option<Map<String, Json>>,
    /// The key, for callers that cannot set a header.
    #[serde(rename = "writeKey")]
    write_key: Option<String>,
    /// It is history: it counts in filters and triggers nothing.
    historical: Option<bool>,
}

/// Who somebody is: attributes of a customer.
#[derive(ToSchema)]
pub(super) struct IdentifyCall {
    #[serde(flatten)]
    call: AnyCall,
    /// Attributes. Nested objects are written with dots; `null` removes.
    #[schema(value_type = Option<Object>)]
    traits: Option<Map<String, Json>>,
}

/// What somebody did.
#[derive(ToSchema)]
pub(super) struct TrackCall {
    #[serde(flatten)]
    call: AnyCall,
    /// The name of the event, at most 200 characters.
    event: String,
    /// What varies about it.
    #[schema(value_type = Option<Object>)]
    properties: Option<Map<String, Json>>,
}

/// Which page or screen somebody saw: the event `pageView` or `screenView`.
#[derive(ToSchema)]
pub(super) struct ViewCall {
    #[serde(flatten)]
    call: AnyCall,
    /// Its name.
    name: Option<String>,
    /// What kind of page or screen it is.
    category: Option<String>,
    /// More about it; `url`, `path`, `title` and `referrer` are taken from `context.page`.
    #[schema(value_type = Option<Object>)]
    properties: Option<Map<String, Json>>,
}

/// Which company somebody belongs to: attributes that begin with `company_`.
#[derive(ToSchema)]
pub(super) struct GroupCall {
    #[serde(flatten)]
    call: AnyCall,
    /// Becomes `company_id`.
    #[serde(rename = "groupId")]
    group_id: Option<String>,
    /// Becomes `company_name`, `company_plan` …
    #[schema(value_type = Option<Object>)]
    traits: Option<Map<String, Json>>,
}

/// Two ids mean one customer.
#[derive(ToSchema)]
pub(super) struct AliasCall {
    /// The id so far.
    #[serde(rename = "previousId")]
    previous_id: String,
    /// The id from now on.
    #[serde(rename = "userId")]
    user_id: String,
    /// Your id of this call; the same counts once.
    #[serde(rename = "messageId")]
    message_id: Option<String>,
    /// The key, for callers that cannot set a header.
    #[serde(rename = "writeKey")]
    write_key: Option<String>,
}

/// Up to 2,500 calls, 500 KB after decompression.
#[derive(ToSchema)]
pub(super) struct BatchCall {
    /// The calls, each with its `type`: `identify`, `track`, `page`, `screen`, `group` or `alias`.
    #[schema(value_type = Vec<Object>)]
    batch: Vec<Map<String, Json>>,
    /// When the client sent it; clocks are corrected by this.
    #[serde(rename = "sentAt")]
    sent_at: Option<String>,
    /// The context of calls that have none.
    #[schema(value_type = Option<Object>)]
    context: Option<Map<String, Json>>,
    /// The key, for callers that cannot set a header.
    #[serde(rename = "writeKey")]
    write_key: Option<String>,
    /// All of it is history.
    historical: Option<bool>,
}

/// What one customer did in the browser, and what is known of them.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct CollectCall {
    /// The user, by your own id. This or `anonymousId` is needed.
    user_id: Option<String>,
    /// The device, before the user is known.
    anonymous_id: Option<String>,
    /// What happened.
    events: Option<Vec<CollectEvent>>,
    /// Attributes; `null` removes.
    #[schema(value_type = Option<Object>)]
    attributes: Option<BTreeMap<String, Json>>,
    /// Makes the write of attributes distinct; the same counts once.
    id: Option<String>,
    /// When the client sent it; its clock is corrected by this.
    sent_at: Option<String>,
    /// The key, since a beacon cannot set a header.
    write_key: Option<String>,
}

/// One event of `collect`.
#[derive(ToSchema)]
pub(super) struct CollectEvent {
    /// The name of the event, at most 200 characters.
    name: String,
    /// Your id of this event; the same counts once.
    id: Option<String>,
    /// When it happened, RFC 3339; now when left out.
    at: Option<String>,
    /// What varies about it.
    #[schema(value_type = Option<Object>)]
    properties: Option<Map<String, Json>>,
    /// The address of the page.
    page: Option<String>,
}

/// How a call of the tracking API can fail. 400 is for good; 429, 503 and 507 ask to come again.
pub(super) enum Faults {}

/// How a question of the browser can fail.
pub(crate) enum BrowserFaults {}

const UNREADABLE: (u16, &str) =
    (400, "Not stored: it cannot be read, or it is too large. Sending it again does not help");
const NO_KEY: (u16, &str) = (401, "No key, or one that is not known");
const ENCODING: (u16, &str) = (415, "The body is neither gzip nor plain");
const SLOW: (u16, &str) = (408, "The body did not arrive in time");
const BUSY: (u16, &str) = (429, "Too much is waiting; come again after `Retry-After` seconds");
const BROKEN: (u16, &str) = (500, "Something broke on our side");
const STOPPING: (u16, &str) = (503, "The server is stopping; come again");
const FULL: (u16, &str) = (507, "The disk is full; come again after `Retry-After` seconds");

impl IntoResponses for Faults {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let refused = (422, "Not stored: the engine refuses what the call says");
        problems(&[UNREADABLE, NO_KEY, SLOW, ENCODING, refused, BUSY, BROKEN, STOPPING, FULL])
    }
}

impl IntoResponses for BrowserFaults {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let unreadable = (400, "A parameter is missing or not known");
        problems(&[unreadable, NO_KEY, BUSY, BROKEN, STOPPING])
    }
}

fn problems(rows: &[(u16, &str)]) -> BTreeMap<String, RefOr<Response>> {
    let shape = Ref::from_schema_name("ProblemDetails");
    let content = ContentBuilder::new().schema(Some(shape)).build();
    let response = |says: &str| {
        let response = ResponseBuilder::new().description(says);
        RefOr::T(response.content(PROBLEM, content.clone()).build())
    };
    rows.iter().map(|(status, says)| (status.to_string(), response(says))).collect()
}
