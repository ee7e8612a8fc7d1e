//! Every error the API can answer with, from one table: code, status, title.
//!
//! Answers are problem details after RFC 9457. Each code has a page in `docs/errors/` that says
//! what happened and how to repair it; the page is compiled in and served at `/errors/<code>`.
//! A code without a page does not compile; a page without a code fails a test.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use engine::outreach::problem::Problem;
use host::command::{Refused, SubmitError};
use serde::Serialize;
use utoipa::ToSchema;

/// The media type of every error.
pub(crate) const PROBLEM: &str = "application/problem+json";

macro_rules! errors {
    ($($name:ident = $code:literal, $status:literal, $title:literal;)*) => {
        /// What can go wrong, as a stable word.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[expect(missing_docs, reason = "the table holds a title for each")]
        pub enum Code { $($name,)* }

        impl Code {
            /// The whole table.
            pub const ALL: &[Code] = &[$(Code::$name,)*];

            /// The word in the answer.
            pub fn code(self) -> &'static str {
                match self { $(Code::$name => $code,)* }
            }

            /// The HTTP status.
            pub fn status(self) -> StatusCode {
                let number: u16 = match self { $(Code::$name => $status,)* };
                StatusCode::from_u16(number).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            }

            /// The kind of error in a few words.
            pub fn title(self) -> &'static str {
                match self { $(Code::$name => $title,)* }
            }

            /// The page about it, as Markdown.
            pub fn page(self) -> &'static str {
                match self {
                    $(Code::$name => {
                        include_str!(concat!("../../../docs/errors/", $code, ".md"))
                    })*
                }
            }
        }
    };
}

errors! {
    InvalidJson = "invalid_json", 400, "The body is not valid JSON";
    InvalidBody = "invalid_body", 400, "The body does not have the expected form";
    InvalidParameter = "invalid_parameter", 400, "A parameter has a value that makes no sense";
    UnknownParameter = "unknown_parameter", 400, "There is no such query parameter";
    TooDeep = "too_deep", 400, "The JSON is nested too deeply";
    NulCharacter = "nul_character", 400, "The text contains a NUL character";
    MissingIdentity = "missing_identity", 400, "Neither userId nor anonymousId was given";
    IdTooLong = "id_too_long", 400, "An id is too long";
    MissingEventName = "missing_event_name", 400, "The event has no name";
    EventNameTooLong = "event_name_too_long", 400, "The name of the event is too long";
    UnknownType = "unknown_type", 400, "There is no call of this type";
    TooManyProperties = "too_many_properties", 400, "There are too many properties";
    InvalidTimestamp = "invalid_timestamp", 400, "A time cannot be read";
    EventTooLarge = "event_too_large", 400, "The event is too large";
    BatchTooLarge = "batch_too_large", 400, "The batch is too large";
    InvalidGzip = "invalid_gzip", 400, "The compressed body cannot be read";
    MissingKey = "missing_key", 401, "No key was given";
    UnknownKey = "unknown_key", 401, "The key is not known";
    KeyNotAllowed = "key_not_allowed", 403, "The key may not do this";
    InvalidLink = "invalid_link", 404, "The link is not valid";
    NotFound = "not_found", 404, "There is no such thing";
    MethodNotAllowed = "method_not_allowed", 405, "The address does not take this method";
    BodyTimeout = "body_timeout", 408, "The body did not arrive in time";
    Conflict = "conflict", 409, "It cannot be done in this state";
    AlreadyExists = "already_exists", 409, "The id is taken";
    VersionMoved = "version_moved", 412, "Somebody saved a version meanwhile";
    BodyTooLarge = "body_too_large", 413, "The body is too large";
    UnsupportedEncoding = "unsupported_encoding", 415, "The body has an unknown encoding";
    DefinitionProblems = "definition_problems", 422, "The definition has problems";
    Invalid = "invalid", 422, "The request makes no sense";
    Overloaded = "overloaded", 429, "Too much is waiting";
    Internal = "internal", 500, "Something broke on our side";
    Stopping = "stopping", 503, "The server is stopping";
    DiskFull = "disk_full", 507, "The disk is full";
}

/// A request that was not served, and why.
#[derive(Debug)]
pub struct ApiError {
    /// Which row of the table.
    pub code: Code,
    /// What exactly, and what to do about it.
    pub detail: String,
    /// The faults of a definition or body, each with its place.
    pub problems: Vec<Problem>,
    /// When to try again.
    pub retry_after_seconds: Option<u32>,
    /// Where the thing stands that somebody else changed meanwhile.
    pub current_version: Option<u32>,
}

/// The answer, `application/problem+json`.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProblemDetails {
    /// The page about this kind of error, relative to the server.
    #[serde(rename = "type")]
    #[schema(example = "/errors/not_found")]
    pub kind: String,
    /// The kind of error in a few words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What exactly, and what to do about it.
    pub detail: String,
    /// A stable word for programs.
    pub code: String,
    /// The faults of a definition or body, each with its place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
    /// With `version_moved`: the version that is the latest now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_version: Option<u32>,
}

/// Problems that are not about the definition but about where the outreach stands.
const STATE_CODES: &[&str] =
    &["ended", "one_off", "no_way_back", "not_live", "not_one_off", "already_launched"];

/// What every handler answers with when it fails.
pub type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    /// An error of this kind with its sentence.
    pub fn new(code: Code, detail: impl Into<String>) -> ApiError {
        ApiError {
            code,
            detail: detail.into(),
            problems: Vec::new(),
            retry_after_seconds: None,
            current_version: None,
        }
    }

    /// An error at one place of the body.
    pub fn at(code: Code, pointer: impl Into<String>, detail: impl Into<String>) -> ApiError {
        let detail = detail.into();
        let problem = Problem {
            pointer: pointer.into(),
            code: code.code().to_owned(),
            message: detail.clone(),
        };
        ApiError { problems: vec![problem], ..ApiError::new(code, detail) }
    }

    /// A definition with faults.
    pub fn unsound(problems: Vec<Problem>) -> ApiError {
        let detail = match problems.as_slice() {
            [only] => only.message.clone(),
            several => format!("the definition has {} problems; see `problems`", several.len()),
        };
        ApiError { problems, ..ApiError::new(Code::DefinitionProblems, detail) }
    }

    /// There is no such thing.
    pub fn not_found(kind: &str, id: &str) -> ApiError {
        let id: String = id.chars().take(100).collect();
        ApiError::new(Code::NotFound, format!("there is no {kind} {id:?} in this project"))
    }

    /// Something broke on our side; the cause goes to the log and not to the client.
    pub fn internal(cause: impl std::fmt::Display) -> ApiError {
        tracing::error!(%cause, "a request failed");
        ApiError::new(Code::Internal, "the request was not served; the server's log says why")
    }
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> ApiError {
        match refused {
            Refused::NotFound { kind, id } => ApiError::not_found(kind, &id),
            Refused::Unsound(problems) => match problems.as_slice() {
                [only] if STATE_CODES.contains(&only.code.as_str()) => {
                    ApiError::new(Code::Conflict, only.message.clone())
                }
                _ => ApiError::unsound(problems),
            },
            Refused::Moved { current, .. } => ApiError {
                current_version: Some(current),
                ..ApiError::new(Code::VersionMoved, refused.to_string())
            },
            Refused::Conflict(detail) => ApiError::new(Code::Conflict, detail),
            Refused::Invalid(detail) => ApiError::new(Code::Invalid, detail),
        }
    }
}

impl From<SubmitError> for ApiError {
    fn from(error: SubmitError) -> ApiError {
        let detail = error.to_string();
        let (code, retry_after_seconds) = match error {
            SubmitError::Overloaded { retry_after_seconds } => {
                (Code::Overloaded, Some(retry_after_seconds.max(1)))
            }
            SubmitError::DiskFull => (Code::DiskFull, Some(30)),
            SubmitError::Stopped(_) => (Code::Stopping, Some(5)),
        };
        ApiError { retry_after_seconds, ..ApiError::new(code, detail) }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = ProblemDetails {
            kind: format!("/errors/{}", self.code.code()),
            title: self.code.title().to_owned(),
            status: self.code.status().as_u16(),
            detail: self.detail,
            code: self.code.code().to_owned(),
            problems: self.problems,
            current_version: self.current_version,
        };
        let mut response = (self.code.status(), axum::Json(body)).into_response();
        let headers = response.headers_mut();
        let kind = HeaderValue::from_static(PROBLEM);
        headers.insert(header::CONTENT_TYPE, kind);
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.code.status() == StatusCode::UNAUTHORIZED {
            // One header each: browsers read only one challenge per header.
            for challenge in ["Basic realm=\"tidings\"", "Bearer"] {
                headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
            }
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_stored_says_when_to_come_back() {
        for (error, status) in [
            (SubmitError::Overloaded { retry_after_seconds: 7 }, 429),
            (SubmitError::DiskFull, 507),
            (SubmitError::Stopped("x".to_owned()), 503),
        ] {
            let response = ApiError::from(error).into_response();
            assert_eq!(response.status().as_u16(), status);
            assert!(response.headers().contains_key(header::RETRY_AFTER));
        }
    }

    #[test]
    fn every_page_has_a_code() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/errors");
        for entry in std::fs::read_dir(folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let code = name.strip_suffix(".md").unwrap_or_default();
            assert!(
                Code::ALL.iter().any(|known| known.code() == code),
                "docs/errors/{name} is about a code that no answer carries"
            );
        }
    }

    #[test]
    fn every_page_says_what_happened_and_how_to_repair_it() {
        for code in Code::ALL {
            let page = code.page();
            let first = format!("# {}: {}", code.code(), code.title());
            assert_eq!(page.lines().next(), Some(first.as_str()));
            assert!(page.contains(&format!("HTTP status {}", code.status().as_u16())), "{first}");
            assert!(page.contains("## What happened"), "{first}");
            assert!(page.contains("## How to repair it"), "{first}");
        }
    }
}
