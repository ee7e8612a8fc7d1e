//! Segments: named audiences, to be used in conditions.

use axum::Json;
use axum::http::StatusCode;
use engine::outreach::compile;
use engine::outreach::definition::Condition;
use engine::project::{Project, ProjectChange, Segment};
use host::command::Command;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::auth::{Caller, Team};
use super::error::{ApiError, ApiResult, Code, ProblemDetails};
use super::outreaches::{check_id, slug};
use super::query::{Body, Page, Parts1};

/// The routes of this room.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, put, delete))
}

/// A named audience.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SegmentView {
    /// Its id.
    pub id: String,
    /// What the team calls it.
    pub name: String,
    /// Who belongs to it; absent: everyone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<Condition>,
}

/// A new segment.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSegment {
    /// Letters, digits, `-` and `_`; made from the name when left out.
    pub id: Option<String>,
    /// What the team calls it.
    pub name: String,
    /// Who belongs to it; absent: everyone.
    #[serde(default)]
    #[schema(value_type = Option<Condition>)]
    pub filter: serde_json::Value,
}

/// A segment as it shall be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SavedSegment {
    /// What the team calls it.
    pub name: String,
    /// Who belongs to it; absent: everyone.
    #[serde(default)]
    #[schema(value_type = Option<Condition>)]
    pub filter: serde_json::Value,
}

/// List the segments, by id.
#[utoipa::path(get, path = "/segments", tag = "Segments",
    responses((status = 200, description = "All of them, on one page", body = Page<SegmentView>)))]
async fn list(app: App, Team(caller): Team) -> ApiResult<Json<Page<SegmentView>>> {
    let project = app.project(caller.project)?;
    Ok(Json(Page { items: project.segments.values().map(view).collect(), next: None }))
}

/// Create a segment.
#[utoipa::path(post, path = "/segments", tag = "Segments", request_body = NewSegment,
    responses((status = 201, description = "The segment", body = SegmentView),
        (status = 409, description = "The id is taken", body = ProblemDetails),
        (status = 422, description = "The filter has faults", body = ProblemDetails)))]
async fn create(
    app: App,
    Team(caller): Team,
    Body(new): Body<NewSegment>,
) -> ApiResult<(StatusCode, Json<SegmentView>)> {
    let id = match new.id {
        Some(id) => check_id(id)?,
        None => slug(&new.name),
    };
    if app.project(caller.project)?.segments.contains_key(&id) {
        let detail = format!("there is a segment {id:?} already");
        return Err(ApiError::new(Code::AlreadyExists, detail));
    }
    Ok((StatusCode::CREATED, save(&app, &caller, id, new.name, &new.filter).await?))
}

/// Get a segment.
#[utoipa::path(get, path = "/segments/{id}", tag = "Segments",
    params(("id" = String, Path, description = "The segment's id")),
    responses((status = 200, description = "The segment", body = SegmentView),
        (status = 404, description = "There is none", body = ProblemDetails)))]
async fn get(
    app: App,
    Team(caller): Team,
    Parts1(id): Parts1<String>,
) -> ApiResult<Json<SegmentView>> {
    let project = app.project(caller.project)?;
    Ok(Json(view(find(&project, &id)?)))
}

/// Change a segment. Outreaches that use it judge by the new filter from now on.
#[utoipa::path(put, path = "/segments/{id}", tag = "Segments", request_body = SavedSegment,
    params(("id" = String, Path, description = "The segment's id")),
    responses((status = 200, description = "The segment", body = SegmentView),
        (status = 404, description = "There is none", body = ProblemDetails),
        (status = 422, description = "The filter has faults", body = ProblemDetails)))]
async fn put(
    app: App,
    Team(caller): Team,
    Parts1(id): Parts1<String>,
    Body(saved): Body<SavedSegment>,
) -> ApiResult<Json<SegmentView>> {
    find(&*app.project(caller.project)?, &id)?;
    save(&app, &caller, id, saved.name, &saved.filter).await
}

/// Delete a segment that no outreach in force uses.
#[utoipa::path(delete, path = "/segments/{id}", tag = "Segments",
    params(("id" = String, Path, description = "The segment's id")),
    responses((status = 204, description = "It is gone"),
        (status = 404, description = "There is none", body = ProblemDetails),
        (status = 409, description = "It is in use", body = ProblemDetails)))]
async fn delete(app: App, Team(caller): Team, Parts1(id): Parts1<String>) -> ApiResult<StatusCode> {
    find(&*app.project(caller.project)?, &id)?;
    let change = Command::Change(ProjectChange::SegmentDeleted { id });
    app.submit_one(caller.project, change).await.map_err(|error| match error.code {
        // Without it something in force would not compile any more.
        Code::DefinitionProblems => ApiError { code: Code::Conflict, ..error },
        _ => error,
    })?;
    Ok(StatusCode::NO_CONTENT)
}

async fn save(
    app: &App,
    caller: &Caller,
    id: String,
    name: String,
    filter: &serde_json::Value,
) -> ApiResult<Json<SegmentView>> {
    let project = app.project(caller.project)?;
    if let Some(condition) = read_filter(filter)? {
        compile::compile_segment(&project, &id, "/filter", &condition)
            .map_err(ApiError::unsound)?;
    }
    let change = ProjectChange::SegmentSaved { id: id.clone(), name, filter: filter.to_string() };
    app.submit_one(caller.project, Command::Change(change)).await?;
    let project = app.project(caller.project)?;
    Ok(Json(view(find(&project, &id)?)))
}

/// A filter in a body, at `/filter`; `null` means everyone.
pub(crate) fn read_filter(filter: &serde_json::Value) -> ApiResult<Option<Condition>> {
    if filter.is_null() {
        return Ok(None);
    }
    compile::read_filter(&filter.to_string(), "/filter").map(Some).map_err(ApiError::unsound)
}

fn find<'a>(project: &'a Project, id: &str) -> ApiResult<&'a Segment> {
    project.segments.get(id).ok_or_else(|| ApiError::not_found("segment", id))
}

fn view(segment: &Segment) -> SegmentView {
    SegmentView {
        id: segment.id.clone(),
        name: segment.name.clone(),
        filter: segment.filter.clone(),
    }
}
