//! A backup of the whole installation, while it goes on.

use std::io::Write;

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use tokio::sync::mpsc::{Sender, channel};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::auth::Team;
use super::error::{ApiError, ApiResult, ProblemDetails};
use crate::backup::Plan;

/// Large enough that a backup costs its bytes and not their pieces.
const CHUNK_BYTES: usize = 256 * 1024;
/// Chunks that wait for a slow reader.
const CHUNKS: usize = 4;

/// The routes of this room.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(backup))
}

/// Take a backup of the whole installation: every project, up to this moment. Takes an admin key;
/// `tidings backup` calls this and verifies what came.
#[utoipa::path(get, path = "/backup", tag = "Projects",
    responses((status = 200, description = "A file as `tidings restore` takes it",
            content_type = "application/octet-stream"),
        (status = 403, description = "The key is bound to its project", body = ProblemDetails)))]
async fn backup(app: App, team: Team) -> ApiResult<Response> {
    team.admin()?;
    let permit = app.open_stream()?;
    let cut = app.ask(|host| host.cut()).await?.map_err(ApiError::internal)?;
    let plan = Plan::new(&app.config.data, &cut, app.now().to_rfc3339());
    let plan = plan.map_err(ApiError::internal)?;
    let (sender, receiver) = channel(CHUNKS);
    tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let mut out = Chunks { sender, waiting: Vec::with_capacity(CHUNK_BYTES) };
        if let Err(error) = plan.write(&mut out) {
            tracing::warn!(%error, "a backup broke off");
            // The connection breaks, so that nobody takes what came for a whole one.
            let _ = out.sender.blocking_send(Err(error));
        }
    });
    let body = Body::from_stream(tokio_stream::wrappers::ReceiverStream::new(receiver));
    Ok(([(CONTENT_TYPE, "application/octet-stream")], body).into_response())
}

/// Hands on what is written in chunks; a reader who is gone ends it.
struct Chunks {
    sender: Sender<std::io::Result<Bytes>>,
    waiting: Vec<u8>,
}

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() >= CHUNK_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let chunk = std::mem::replace(&mut self.waiting, Vec::with_capacity(CHUNK_BYTES));
        let gone = |_| std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        self.sender.blocking_send(Ok(Bytes::from(chunk))).map_err(gone)
    }
}
