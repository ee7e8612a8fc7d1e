//! Query strings and JSON bodies, read strictly: what nobody knows is refused, not ignored.

use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use engine::time::{Timestamp, Zone, parse_moment_or_day};
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

use super::App;
use super::error::{ApiError, Code};
use super::ingest::{check_depth, read_at_most, unreadable};
use crate::limits;

/// A query string. `T` denies unknown fields, so a misspelt filter is an error with the list of
/// those that exist.
pub(crate) struct Params<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<App> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Params<T>, ApiError> {
        let read = Query::<T>::try_from_uri(&parts.uri);
        read.map(|Query(params)| Params(params)).map_err(|rejection| {
            let text = rejection.body_text();
            let detail = text.split_once(": ").map_or(text.as_str(), |(_, detail)| detail);
            let code = match detail.contains("unknown field") {
                true => Code::UnknownParameter,
                false => Code::InvalidParameter,
            };
            ApiError::new(code, detail.replace("unknown field", "unknown parameter"))
        })
    }
}

/// The parts of a path.
pub(crate) struct Parts1<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for Parts1<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Parts1<T>, ApiError> {
        let read = Path::<T>::from_request_parts(parts, app).await;
        read.map(|Path(path)| Parts1(path))
            .map_err(|rejection| ApiError::new(Code::InvalidParameter, rejection.body_text()))
    }
}

/// A JSON body of the REST API.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<App> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Body<T>, ApiError> {
        let Text(text) = Text::from_request(request, app).await?;
        serde_json::from_str(&text).map(Body).map_err(|error| unreadable(&error))
    }
}

/// A body of the REST API as text, bounded in size and depth, not yet read as JSON.
pub(crate) struct Text(pub(crate) String);

impl FromRequest<App> for Text {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Text, ApiError> {
        let (parts, body) = request.into_parts();
        let limit = limits::BODY_BYTES;
        let bytes = read_at_most(app, &parts.headers, body, limit, Code::BodyTooLarge).await?;
        check_depth(&bytes)?;
        String::from_utf8(bytes)
            .map(Text)
            .map_err(|_| ApiError::new(Code::InvalidJson, "the body is not UTF-8"))
    }
}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Give this as `cursor` for the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// How many items a page holds.
pub(crate) fn page_size(limit: Option<usize>) -> Result<usize, ApiError> {
    match limit {
        None => Ok(limits::PAGE_ITEMS_DEFAULT),
        Some(limit) if (1..=limits::PAGE_ITEMS).contains(&limit) => Ok(limit),
        Some(limit) => {
            let detail = format!("limit is {limit}; it is from 1 to {}", limits::PAGE_ITEMS);
            Err(ApiError::new(Code::InvalidParameter, detail))
        }
    }
}

/// A cursor as a list handed it out.
pub(crate) fn read_cursor<T: std::str::FromStr>(text: Option<&str>) -> Result<Option<T>, ApiError> {
    let bad = |_| {
        let detail = "the cursor was not handed out by this list; begin again without it";
        ApiError::new(Code::InvalidParameter, detail)
    };
    text.map(|text| text.parse().map_err(bad)).transpose()
}

/// A moment in a query.
pub(crate) fn read_time(text: Option<&str>, name: &str) -> Result<Option<Timestamp>, ApiError> {
    let bad = || {
        let detail = format!("{name} is a time such as 2026-03-01T12:30:00Z");
        ApiError::new(Code::InvalidParameter, detail)
    };
    text.map(|text| parse_moment_or_day(text, &Zone::utc()).ok_or_else(bad)).transpose()
}
