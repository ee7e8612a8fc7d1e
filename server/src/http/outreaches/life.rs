//! Where an outreach stands, and how it gets there.

use axum::Json;
use axum::http::StatusCode;
use engine::project::{ProjectChange, Status};
use host::command::Command;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::view::OutreachView;
use super::{find, view_of};
use crate::http::App;
use crate::http::auth::{Caller, Team};
use crate::http::error::{ApiError, ApiResult, Code, ProblemDetails};
use crate::http::query::Parts1;

/// The routes of this room.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(go_live))
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(end))
        .routes(routes!(shadow))
        .routes(routes!(archive))
        .routes(routes!(launch, launch_progress))
}

/// How far the launch of a one-off has come.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LaunchView {
    /// Launches so far.
    pub launches: u32,
    /// Customers of the latest snapshot.
    pub total: u64,
    /// Customers who had their turn.
    pub done: u64,
    /// When the snapshot was taken; absent when there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// When it will launch by itself; absent when nothing is scheduled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduled_at: Option<String>,
}

/// Go live with the latest version, which must be without faults.
#[utoipa::path(post, path = "/outreaches/{id}/go-live", tag = "Outreaches",
    params(("id" = String, Path, description = "The outreach's id")),
    responses((status = 200, description = "The outreach", body = OutreachView),
        (status = 409, description = "Not in this state", body = ProblemDetails),
        (status = 422, description = "The latest version has faults", body = ProblemDetails)))]
async fn go_live(
    app: App,
    Team(caller): Team,
    Parts1(id): Parts1<String>,
) -> ApiResult<Json<OutreachView>> {
    set_status(&app, &caller, id, Status::Live).await
}

/// Pause: refuse everything and queue nothing until it is resumed.
#[utoipa::path(post, path = "/outreaches/{id}/pause", tag = "Outreaches",
    params(("id" = String, Path, description = "The outreach's id")),
    responses((status = 200, description = "The outreach", body = OutreachView),
        (status = 409, description = "It is not live", body = ProblemDetails)))]
async fn pause(
    app: App,
    Team(caller): Team,
    Parts1(id): Parts1<String>,
) -> ApiResult<Json<OutreachView>> {
    expect_status(&app, &caller, &id, &[Status::Live, Status::Shadow], "paused")?;
    set_status(&app, &caller, id, Status::Paused).await
}

/// Resume a paused outreach, with the latest version.
#[utoipa::path(post, path = "/outreaches/{id}/resume", tag = "Outreaches",
    params(("id" = String, Path, description = "The outreach's id")),
    responses((status = 200, description = "The outreach", body = OutreachView),
        (status = 409, description = "It is not paused", body = ProblemDetails)))]
async fn resume(
    app: App,
    Team(caller): Team,
    Parts1(id): Parts1<String>,
) -> ApiResult<Json<OutreachView>> {
    expect_status(&app, &caller, &id, &[Status::Paused], "resumed")?;
    set_status(&app, &caller, id, Status::Live).await
}

/// End it for good.
#[utoipa::path(post, path = "/outreaches/{id}/end", tag = "Outreaches",
    params(("id" = String, Path, description = "The outreach's id")),
    responses((status = 200, description = "The outreach", body = OutreachView),
        (status = 409, description = "Not in this state", body = ProblemDetails)))]
async fn end(
    app: App,
    Team(caller): Team,
    Parts1(id): Parts1<String>,
) -> ApiResult<Json<OutreachView>> {
    set_status(&app, &caller, id, Status::Ended).await
}

/// Only watch: judge and record, never send.
#[utoipa::path(post, path = "/outreaches/{id}/shadow", tag = "Outreaches",
    params(("id" = String, Path, description = "The outreach's id")),
    responses((status = 200, description = "The outreach", body = OutreachView),
        (status = 409, description = "Not in this state", body = ProblemDetails),
        (status = 422, description = "The latest version has faults", body = ProblemDetails)))]
async fn shadow(
    app: App,
    Team(caller): Team,
    Parts1(id): Parts1<String>,
) -> ApiResult<Json<OutreachView>> {
    set_status(&app, &caller, id, Status::Shadow).await
}

/// End it and list it no longer.
#[utoipa::path(post, path = "/outreaches/{id}/archive", tag = "Outreaches",
    params(("id" = String, Path, description = "The outreach's id")),
    responses((status = 200, description = "The outreach", body = OutreachView)))]
async fn archive(
    app: App,
    Team(caller): Team,
    Parts1(id): Parts1<String>,
) -> ApiResult<Json<OutreachView>> {
    let change = ProjectChange::Archived { id: id.clone() };
    app.submit_one(caller.project, Command::Change(change)).await?;
    view_of(&app, &caller, &id)
}

/// Launch a one-off: everyone who matches at this moment gets it, once.
#[utoipa::path(post, path = "/outreaches/{id}/launch", tag = "Outreaches",
    params(("id" = String, Path, description = "The outreach's id")),
    responses((status = 202, description = "The snapshot is taken; see the progress", body = LaunchView),
        (status = 409, description = "Not in this state", body = ProblemDetails)))]
async fn launch(
    app: App,
    Team(caller): Team,
    Parts1(id): Parts1<String>,
) -> ApiResult<(StatusCode, Json<LaunchView>)> {
    let change = ProjectChange::Launched { id: id.clone() };
    app.submit_one(caller.project, Command::Change(change)).await?;
    Ok((StatusCode::ACCEPTED, Json(progress(&app, &caller, &id)?)))
}

/// See how far the latest launch has come.
#[utoipa::path(get, path = "/outreaches/{id}/launch", tag = "Outreaches",
    params(("id" = String, Path, description = "The outreach's id")),
    responses((status = 200, description = "The progress", body = LaunchView)))]
async fn launch_progress(
    app: App,
    Team(caller): Team,
    Parts1(id): Parts1<String>,
) -> ApiResult<Json<LaunchView>> {
    Ok(Json(progress(&app, &caller, &id)?))
}

fn progress(app: &App, caller: &Caller, id: &str) -> ApiResult<LaunchView> {
    let project = app.project(caller.project)?;
    let line = find(&project, id)?;
    let latest = app.host.launch_progress(caller.project, line.no).unwrap_or_default();
    let scheduled_at = app.host.scheduled_launch(caller.project, id);
    Ok(LaunchView {
        launches: line.launches,
        total: latest.total,
        done: latest.done,
        at: latest.at.map(engine::time::Timestamp::to_rfc3339),
        scheduled_at: scheduled_at.map(engine::time::Timestamp::to_rfc3339),
    })
}

async fn set_status(
    app: &App,
    caller: &Caller,
    id: String,
    status: Status,
) -> ApiResult<Json<OutreachView>> {
    let change = ProjectChange::StatusSet { id: id.clone(), status };
    app.submit_one(caller.project, Command::Change(change)).await?;
    view_of(app, caller, &id)
}

fn expect_status(
    app: &App,
    caller: &Caller,
    id: &str,
    allowed: &[Status],
    word: &str,
) -> ApiResult<()> {
    let project = app.project(caller.project)?;
    let status = find(&project, id)?.status;
    if allowed.contains(&status) {
        return Ok(());
    }
    let detail = format!("the outreach is {}; it cannot be {word}", status.name());
    Err(ApiError::new(Code::Conflict, detail))
}
