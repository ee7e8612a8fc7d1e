//! Reading a body of unknown size: compressed or not, never more than the limit, never
//! longer than the patience.

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_ENCODING;
use tokio_stream::StreamExt as _;

use crate::http::App;
use crate::http::error::{ApiError, Code};
use crate::limits;

/// The body after decompression. What is beyond the limit is never unpacked. When there is no room
/// for what it says it is read all the same, or the client's connection would end under it, but
/// nobody looks at it: a flood is refused at the price of a copy.
pub(crate) async fn read(app: &App, headers: &HeaderMap, body: Body) -> Result<Vec<u8>, ApiError> {
    let limit = limits::BATCH_BYTES;
    let bytes = read_at_most(app, headers, body, limit, Code::BatchTooLarge).await?;
    app.host.has_room()?;
    Ok(bytes)
}

/// The body, refused with `code` when it is larger than `limit`.
pub(crate) async fn read_at_most(
    app: &App,
    headers: &HeaderMap,
    body: Body,
    limit: usize,
    code: Code,
) -> Result<Vec<u8>, ApiError> {
    // The decompressing layer takes the header away from what it can read.
    if let Some(encoding) = headers.get(CONTENT_ENCODING).filter(|name| *name != "identity") {
        let detail = format!("{encoding:?} is not read here; send gzip or no encoding");
        return Err(ApiError::new(Code::UnsupportedEncoding, detail));
    }
    let mut bytes = Vec::new();
    let mut chunks = body.into_data_stream();
    let deadline = tokio::time::Instant::now() + app.config.patience.body;
    loop {
        let next = tokio::time::timeout_at(deadline, chunks.next()).await;
        let next = next.map_err(|_| {
            let detail = "the body came too slowly; send smaller batches, compressed";
            ApiError::new(Code::BodyTimeout, detail)
        })?;
        let Some(chunk) = next else { return Ok(bytes) };
        let chunk = chunk.map_err(|error| {
            ApiError::new(Code::InvalidGzip, format!("the body cannot be read: {error}"))
        })?;
        if bytes.len() + chunk.len() > limit {
            let detail = format!("the body has more than {} KB", limit / 1024);
            return Err(ApiError::new(code, detail));
        }
        bytes.extend_from_slice(&chunk);
    }
}
