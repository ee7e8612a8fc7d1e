//! One call of the Segment tracking API, read into one command.
//!
//! The fields and their meaning follow the public specification: `identify`, `track`, `page`,
//! `screen`, `group`, `alias`. `integrations` is about other people's systems and is ignored.

use std::borrow::Cow;

use engine::fact::Names;
use engine::time::Timestamp;
use host::command::{Command, Track};
use serde_json::{Map, Value as Json};

use super::attributes::{self, Changes};
use super::clock::{CallClock, read_time};
use super::json::{escape, nul_at};
use crate::http::error::{ApiError, Code};
use crate::limits;

/// What a call says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallType {
    Identify,
    Track,
    Page,
    Screen,
    Group,
    Alias,
}

impl CallType {
    /// By its name in URL and batch.
    pub(crate) fn named(name: &str) -> Option<CallType> {
        match name {
            "identify" => Some(CallType::Identify),
            "track" => Some(CallType::Track),
            "page" => Some(CallType::Page),
            "screen" => Some(CallType::Screen),
            "group" => Some(CallType::Group),
            "alias" => Some(CallType::Alias),
            _ => None,
        }
    }
}

/// What the whole request says about each of its calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Envelope<'a> {
    /// When the server received it.
    pub(crate) received: Timestamp,
    /// When the client sent it, as far as the request says so for all calls.
    pub(crate) sent: Option<Timestamp>,
    /// The context of calls that have none.
    pub(crate) context: Option<&'a Json>,
    /// All of it is history.
    pub(crate) historical: bool,
}

/// Read one call. `pointer` is its place in the body.
pub(crate) fn read_call(
    kind: CallType,
    call: &Json,
    pointer: &str,
    envelope: Envelope<'_>,
) -> Result<Command, ApiError> {
    let Json::Object(fields) = call else {
        return Err(ApiError::at(Code::InvalidBody, pointer, "an object is expected here"));
    };
    if let Some(place) = nul_at(call, pointer) {
        let detail = "a text contains the character U+0000, which cannot be stored";
        return Err(ApiError::at(Code::NulCharacter, place, detail));
    }
    let call = Call { fields, pointer, context: fields.get("context").or(envelope.context) };
    let sent = call.time("sentAt")?.or(envelope.sent);
    let clock = CallClock { received: envelope.received, sent };
    let historical = envelope.historical || call.is_historical();
    let message_id = match call.id("messageId")? {
        Some(id) => id,
        None => format!("auto-{}", crate::secret::random_text(22)),
    };
    match kind {
        CallType::Identify => {
            let mut changes = call.context_changes(historical)?;
            changes.extend(attributes::from_object(fields.get("traits"), &call.at("traits"))?);
            let names = call.names()?;
            Ok(Command::Identify { names, message_id, changes, historical })
        }
        CallType::Group => {
            let group_id = call.id("groupId")?;
            let mut changes = call.context_changes(historical)?;
            let traits = fields.get("traits");
            changes.extend(attributes::from_group(group_id, traits, &call.at("traits"))?);
            let names = call.names()?;
            Ok(Command::Identify { names, message_id, changes, historical })
        }
        CallType::Alias => call.alias(message_id),
        CallType::Track => {
            let name = call.event_name("event")?;
            call.happened(name, Map::new(), message_id, clock, historical)
        }
        CallType::Page => {
            let extra = call.page_properties();
            call.happened("pageView".to_owned(), extra, message_id, clock, historical)
        }
        CallType::Screen => {
            let extra = call.named_properties();
            call.happened("screenView".to_owned(), extra, message_id, clock, historical)
        }
    }
}

struct Call<'a> {
    fields: &'a Map<String, Json>,
    pointer: &'a str,
    context: Option<&'a Json>,
}

impl Call<'_> {
    fn at(&self, field: &str) -> String {
        format!("{}/{}", self.pointer, escape(field))
    }

    fn is_historical(&self) -> bool {
        let marked = |json: Option<&Json>| json.and_then(Json::as_bool).unwrap_or(false);
        marked(self.fields.get("historical"))
            || marked(self.context.and_then(|context| context.get("historical")))
    }

    /// An id: text, or a number as some clients send it. The empty text is none.
    fn id(&self, field: &str) -> Result<Option<String>, ApiError> {
        self.read(field, read_id)
    }

    fn time(&self, field: &str) -> Result<Option<Timestamp>, ApiError> {
        self.read(field, read_time)
    }

    /// Read a field. Its place is made up only for a fault, since nearly all calls have none.
    fn read<'a, T>(
        &'a self,
        field: &str,
        read: impl Fn(Option<&'a Json>, &str) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let json = self.fields.get(field);
        read(json, "").or_else(|_| read(json, &self.at(field)))
    }

    fn names(&self) -> Result<Names, ApiError> {
        let names = Names { user_id: self.id("userId")?, anonymous_id: self.id("anonymousId")? };
        if names == Names::default() {
            let detail = "userId or anonymousId is needed, so that somebody can be found";
            return Err(ApiError::at(Code::MissingIdentity, self.pointer, detail));
        }
        Ok(names)
    }

    fn event_name(&self, field: &str) -> Result<String, ApiError> {
        self.read(field, |json, at| check_event_name(json.and_then(Json::as_str), at))
    }

    /// Attributes from the context. History says nothing about today's language or zone.
    fn context_changes(&self, historical: bool) -> Result<Changes, ApiError> {
        if historical {
            return Ok(Changes::new());
        }
        attributes::from_context(self.context, &self.at("context"))
    }

    fn alias(&self, message_id: String) -> Result<Command, ApiError> {
        let previous = self.id("previousId")?;
        let user_id = self.id("userId")?;
        let (Some(previous), Some(user_id)) = (previous, user_id) else {
            let detail = "alias needs previousId and userId";
            return Err(ApiError::at(Code::MissingIdentity, self.pointer, detail));
        };
        // Nothing in the call says which of the two the old id was; the host knows its customers.
        let previous = Names { user_id: Some(previous.clone()), anonymous_id: Some(previous) };
        let names = Names { user_id: Some(user_id), anonymous_id: None };
        Ok(Command::Alias { previous, names, message_id })
    }

    fn happened(
        &self,
        name: String,
        extra: Map<String, Json>,
        message_id: String,
        clock: CallClock,
        historical: bool,
    ) -> Result<Command, ApiError> {
        let own = self.read("properties", check_properties)?;
        let stamp = match self.time("timestamp")? {
            Some(stamp) => Some(stamp),
            None => self.time("originalTimestamp")?,
        };
        let url = own.and_then(|own| own.get("url")).or_else(|| extra.get("url"));
        let page = self
            .context_text("/page/url")
            .or_else(|| url.and_then(Json::as_str).map(str::to_owned));
        let properties = match own {
            Some(own) if extra.is_empty() => Cow::Borrowed(own),
            Some(own) => Cow::Owned(extra.into_iter().chain(own.clone()).collect()),
            None => Cow::Owned(extra),
        };
        Ok(Command::Track(Track {
            names: self.names()?,
            message_id,
            name,
            at: clock.correct(stamp),
            properties: serde_json::to_string(&*properties).map_err(ApiError::internal)?,
            changes: self.context_changes(historical)?,
            historical,
            page,
        }))
    }

    fn named_properties(&self) -> Map<String, Json> {
        let mut extra = Map::new();
        for field in ["name", "category"] {
            if let Some(Json::String(text)) = self.fields.get(field) {
                extra.insert(field.to_owned(), Json::String(text.clone()));
            }
        }
        extra
    }

    /// Name, category, and where the page was, from the context; own properties win.
    fn page_properties(&self) -> Map<String, Json> {
        let mut extra = self.named_properties();
        for field in ["url", "path", "title", "referrer"] {
            if let Some(text) = self.context_text(&format!("/page/{field}")) {
                extra.insert(field.to_owned(), Json::String(text));
            }
        }
        extra
    }

    fn context_text(&self, path: &str) -> Option<String> {
        self.context?.pointer(path)?.as_str().map(str::to_owned)
    }
}

/// A client's own id. Numbers are written as text; the empty text is none.
pub(crate) fn read_id(json: Option<&Json>, pointer: &str) -> Result<Option<String>, ApiError> {
    let id = match json {
        None | Some(Json::Null) => return Ok(None),
        Some(Json::String(text)) => text.trim().to_owned(),
        Some(Json::Number(number)) => number.to_string(),
        Some(Json::Bool(_) | Json::Array(_) | Json::Object(_)) => {
            return Err(ApiError::at(Code::InvalidBody, pointer, "an id is a text"));
        }
    };
    if id.chars().count() > limits::ID_CHARS {
        let detail = format!("an id has at most {} characters", limits::ID_CHARS);
        return Err(ApiError::at(Code::IdTooLong, pointer, detail));
    }
    Ok(Some(id).filter(|id| !id.is_empty()))
}

/// The name of an event, trimmed.
pub(crate) fn check_event_name(name: Option<&str>, pointer: &str) -> Result<String, ApiError> {
    let name = name.map(str::trim).unwrap_or_default();
    if name.is_empty() {
        let detail = "the name of what happened is missing";
        return Err(ApiError::at(Code::MissingEventName, pointer, detail));
    }
    if name.chars().count() > limits::EVENT_NAME_CHARS {
        let detail = format!(
            "the name of an event has at most {} characters; put what varies into properties",
            limits::EVENT_NAME_CHARS
        );
        return Err(ApiError::at(Code::EventNameTooLong, pointer, detail));
    }
    Ok(name.to_owned())
}

/// The properties of an event.
pub(crate) fn read_properties(
    json: Option<&Json>,
    pointer: &str,
) -> Result<Map<String, Json>, ApiError> {
    Ok(check_properties(json, pointer)?.cloned().unwrap_or_default())
}

fn check_properties<'a>(
    json: Option<&'a Json>,
    pointer: &str,
) -> Result<Option<&'a Map<String, Json>>, ApiError> {
    let properties = match json {
        None | Some(Json::Null) => return Ok(None),
        Some(Json::Object(properties)) => properties,
        Some(_) => {
            return Err(ApiError::at(Code::InvalidBody, pointer, "an object is expected here"));
        }
    };
    if properties.len() > limits::PROPERTIES {
        let detail = format!("{} properties; {} are allowed", properties.len(), limits::PROPERTIES);
        return Err(ApiError::at(Code::TooManyProperties, pointer, detail));
    }
    Ok(Some(properties))
}

#[cfg(test)]
mod tests;
