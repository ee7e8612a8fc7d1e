//! Outreaches: what we could say, through all their versions.
//!
//! A definition with faults may be saved while it is a draft; only going live needs a sound one.

use axum::Json;
use axum::http::StatusCode;
use engine::ids::OutreachNo;
use engine::outreach::compile;
use engine::outreach::definition::Definition;
use engine::outreach::problem::Problem;
use engine::project::{OutreachLine, Project, ProjectChange, Status};
use host::command::Command;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::auth::{Caller, Team};
use super::error::{ApiError, ApiResult, Code, ProblemDetails};
use super::query::{Body, Page, Params, Parts1, Text};

const ID_CHARS: usize = 64;

/// The routes of this room.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(check))
        .routes(routes!(get, put))
        .routes(routes!(versions))
        .routes(routes!(version))
        .routes(routes!(go_live))
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(end))
        .routes(routes!(shadow))
        .routes(routes!(archive))
        .routes(routes!(clone))
        .routes(routes!(launch, launch_progress))
}

/// An outreach in a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OutreachSummary {
    /// Its id.
    pub id: String,
    /// What the team calls it.
    pub name: String,
    /// The type: `email`, `survey` …
    #[serde(rename = "type")]
    pub outreach_type: String,
    /// Where it stands.
    pub status: Status,
    /// The latest version.
    pub version: u32,
    /// The version in force; absent when it was never live.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live_version: Option<u32>,
    /// When it last went live.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live_since: Option<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// When the latest version was saved.
    pub saved_at: String,
    /// By whom.
    pub author: String,
    /// Launches of a one-off.
    pub launches: u32,
    /// No longer in use.
    pub archived: bool,
    /// How many faults the latest version has.
    pub problem_count: usize,
    /// Decisions so far.
    pub counts: Counts,
}

/// Decisions so far.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub(crate) struct Counts {
    /// Decisions to send.
    pub sends: u64,
    /// Refusals by the gate that refused.
    pub skips: std::collections::BTreeMap<String, u64>,
    /// The latest decision to send.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latest: Option<String>,
}

/// An outreach with its latest version.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OutreachView {
    /// As in the list.
    #[serde(flatten)]
    pub summary: OutreachSummary,
    /// The latest version.
    pub definition: Definition,
    /// The faults of the latest version.
    pub problems: Vec<Problem>,
}

/// A saved version.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VersionView {
    /// From 1.
    pub version: u32,
    /// When it was saved.
    pub saved_at: String,
    /// By whom.
    pub author: String,
    /// What was written.
    pub definition: Definition,
}

/// A new outreach.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewOutreach {
    /// Letters, digits and `-`; made from the name when left out.
    pub id: Option<String>,
    /// The first version.
    #[schema(value_type = Definition)]
    pub definition: serde_json::Value,
}

/// The faults of a definition; none when it could go live.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Checked {
    /// The faults, by place.
    pub problems: Vec<Problem>,
}

/// What the copy is called.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CloneRequest {
    /// Its id; the original's with `-copy` when left out.
    pub id: Option<String>,
    /// Its name; the original's with ` (copy)` when left out.
    pub name: Option<String>,
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

/// Which outreaches.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct OutreachQuery {
    /// Only with this status.
    status: Option<Status>,
    /// Only of this type, such as `email`.
    #[serde(rename = "type")]
    outreach_type: Option<String>,
    /// Only with this tag.
    tag: Option<String>,
    /// Also those that are archived.
    #[serde(default)]
    archived: bool,
}

/// List the outreaches, by id.
#[utoipa::path(get, path = "/outreaches", tag = "Outreaches", params(OutreachQuery),
    responses((status = 200, description = "All that match, on one page", body = Page<OutreachSummary>)))]
async fn list(
    app: App,
    Team(caller): Team,
    Params(query): Params<OutreachQuery>,
) -> ApiResult<Json<Page<OutreachSummary>>> {
    let project = app.project(caller.project)?;
    let counts = app.counts(caller.project);
    let mut items: Vec<OutreachSummary> = project
        .outreaches
        .values()
        .map(|line| summary(line, counts.get(&line.no)))
        .filter(|line| {
            (query.archived || !line.archived)
                && query.status.is_none_or(|status| status == line.status)
                && query.outreach_type.as_ref().is_none_or(|kind| *kind == line.outreach_type)
                && query.tag.as_ref().is_none_or(|tag| line.tags.contains(tag))
        })
        .collect();
    items.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(Json(Page { items, next: None }))
}

/// Create an outreach: a draft with its first version.
#[utoipa::path(post, path = "/outreaches", tag = "Outreaches", request_body = NewOutreach,
    responses((status = 201, description = "The outreach", body = OutreachView),
        (status = 409, description = "The id is taken", body = ProblemDetails),
        (status = 422, description = "The definition cannot be read", body = ProblemDetails)))]
async fn create(
    app: App,
    Team(caller): Team,
    Body(new): Body<NewOutreach>,
) -> ApiResult<(StatusCode, Json<OutreachView>)> {
    let definition = read_definition(&new.definition.to_string(), "/definition")?;
    let project = app.project(caller.project)?;
    let id = match new.id {
        Some(id) => check_id(id)?,
        None => free_id(&project, &slug(&definition.name)),
    };
    if project.outreach(&id).is_some() {
        let detail = format!("there is an outreach {id:?} already");
        return Err(ApiError::new(Code::AlreadyExists, detail));
    }
    let saved = save(&app, &caller, &id, &definition).await?;
    Ok((StatusCode::CREATED, saved))
}

/// Check a definition. Nothing is saved.
#[utoipa::path(post, path = "/outreaches/check", tag = "Outreaches", request_body = Definition,
    responses((status = 200, description = "The faults; none when it could go live", body = Checked)))]
async fn check(app: App, Team(caller): Team, Text(text): Text) -> ApiResult<Json<Checked>> {
    serde_json::from_str::<serde_json::Value>(&text)
        .map_err(|error| ApiError::new(Code::InvalidJson, error.to_string()))?;
    let project = app.project(caller.project)?;
    let no = OutreachNo(u32::MAX);
    let problems = compile::read(&text)
        .and_then(|definition| compile::compile(&project, no, "this", 1, &definition))
        .err()
        .unwrap_or_default();
    Ok(Json(Checked { problems }))
}

/// Get an outreach with its latest version.
#[utoipa::path(get, path = "/outreaches/{id}", tag = "Outreaches",
    params(("id" = String, Path, description = "The outreach's id")),
    responses((status = 200, description = "The outreach", body = OutreachView),
        (status = 404, description = "There is none", body = ProblemDetails)))]
async fn get(
    app: App,
    Team(caller): Team,
    Parts1(id): Parts1<String>,
) -> ApiResult<Json<OutreachView>> {
    view(&app, &caller, &id)
}

/// Save a version. What customers get changes only at the next go-live.
#[utoipa::path(put, path = "/outreaches/{id}", tag = "Outreaches", request_body = Definition,
    params(("id" = String, Path, description = "The outreach's id")),
    responses((status = 200, description = "The outreach", body = OutreachView),
        (status = 404, description = "There is none", body = ProblemDetails),
        (status = 422, description = "The definition cannot be read", body = ProblemDetails)))]
async fn put(
    app: App,
    Team(caller): Team,
    Parts1(id): Parts1<String>,
    Text(text): Text,
) -> ApiResult<Json<OutreachView>> {
    let definition = read_definition(&text, "")?;
    let project = app.project(caller.project)?;
    find(&project, &id)?;
    save(&app, &caller, &id, &definition).await
}

/// List the versions, the newest first.
#[utoipa::path(get, path = "/outreaches/{id}/versions", tag = "Outreaches",
    params(("id" = String, Path, description = "The outreach's id")),
    responses((status = 200, description = "Every version, on one page", body = Page<VersionView>)))]
async fn versions(
    app: App,
    Team(caller): Team,
    Parts1(id): Parts1<String>,
) -> ApiResult<Json<Page<VersionView>>> {
    let project = app.project(caller.project)?;
    let line = find(&project, &id)?;
    let count = u32::try_from(line.versions.len()).unwrap_or(u32::MAX);
    let items = (1..=count).rev().filter_map(|number| version_view(line, number)).collect();
    Ok(Json(Page { items, next: None }))
}

/// Get a version.
#[utoipa::path(get, path = "/outreaches/{id}/versions/{version}", tag = "Outreaches",
    params(("id" = String, Path, description = "The outreach's id"),
        ("version" = u32, Path, description = "From 1")),
    responses((status = 200, description = "The version", body = VersionView),
        (status = 404, description = "There is none", body = ProblemDetails)))]
async fn version(
    app: App,
    Team(caller): Team,
    Parts1((id, number)): Parts1<(String, u32)>,
) -> ApiResult<Json<VersionView>> {
    let project = app.project(caller.project)?;
    let line = find(&project, &id)?;
    let missing = || ApiError::not_found("version", &format!("{number} of {id}"));
    version_view(line, number).map(Json).ok_or_else(missing)
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
    view(&app, &caller, &id)
}

/// Copy the latest version into a new draft.
#[utoipa::path(post, path = "/outreaches/{id}/clone", tag = "Outreaches", request_body = CloneRequest,
    params(("id" = String, Path, description = "The outreach's id")),
    responses((status = 201, description = "The copy", body = OutreachView),
        (status = 409, description = "The id is taken", body = ProblemDetails)))]
async fn clone(
    app: App,
    Team(caller): Team,
    Parts1(id): Parts1<String>,
    Text(text): Text,
) -> ApiResult<(StatusCode, Json<OutreachView>)> {
    let request: CloneRequest = match text.trim() {
        "" => CloneRequest::default(),
        text => serde_json::from_str(text)
            .map_err(|error| ApiError::new(Code::InvalidBody, error.to_string()))?,
    };
    let project = app.project(caller.project)?;
    let line = find(&project, &id)?;
    let Some(latest) = line.versions.last() else {
        return Err(ApiError::not_found("version", &id));
    };
    let mut definition = latest.definition.clone();
    definition.name = request.name.unwrap_or_else(|| format!("{} (copy)", latest.definition.name));
    let copy = match request.id {
        Some(copy) => check_id(copy)?,
        None => free_id(&project, &format!("{id}-copy")),
    };
    if project.outreach(&copy).is_some() {
        let detail = format!("there is an outreach {copy:?} already");
        return Err(ApiError::new(Code::AlreadyExists, detail));
    }
    let saved = save(&app, &caller, &copy, &definition).await?;
    Ok((StatusCode::CREATED, saved))
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
    view(app, caller, &id)
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

async fn save(
    app: &App,
    caller: &Caller,
    id: &str,
    definition: &Definition,
) -> ApiResult<Json<OutreachView>> {
    let definition = serde_json::to_string(definition).map_err(ApiError::internal)?;
    let author = caller.key_id.clone();
    let change = ProjectChange::OutreachSaved { id: id.to_owned(), definition, author };
    app.submit_one(caller.project, Command::Change(change)).await?;
    view(app, caller, id)
}

fn view(app: &App, caller: &Caller, id: &str) -> ApiResult<Json<OutreachView>> {
    let project = app.project(caller.project)?;
    let line = find(&project, id)?;
    let Some(latest) = line.versions.last() else {
        return Err(ApiError::not_found("outreach", id));
    };
    Ok(Json(OutreachView {
        summary: summary(line, app.counts(caller.project).get(&line.no)),
        definition: latest.definition.clone(),
        problems: line.latest.as_ref().err().cloned().unwrap_or_default(),
    }))
}

fn summary(line: &OutreachLine, counts: Option<&Counts>) -> OutreachSummary {
    let latest = line.versions.last();
    let definition = latest.map(|latest| &latest.definition);
    OutreachSummary {
        id: line.id.clone(),
        name: definition.map(|definition| definition.name.clone()).unwrap_or_default(),
        outreach_type: definition
            .map(|definition| definition.content.outreach_type().name().to_owned())
            .unwrap_or_default(),
        status: line.status,
        version: u32::try_from(line.versions.len()).unwrap_or(u32::MAX),
        live_version: line.live.as_ref().map(|live| live.version),
        live_since: line.live_since.map(engine::time::Timestamp::to_rfc3339),
        tags: definition.map(|definition| definition.tags.clone()).unwrap_or_default(),
        saved_at: latest.map(|latest| latest.saved_at.to_rfc3339()).unwrap_or_default(),
        author: latest.map(|latest| latest.author.clone()).unwrap_or_default(),
        launches: line.launches,
        archived: line.archived,
        problem_count: line.latest.as_ref().err().map_or(0, Vec::len),
        counts: counts.cloned().unwrap_or_default(),
    }
}

fn version_view(line: &OutreachLine, number: u32) -> Option<VersionView> {
    let place = usize::try_from(number.checked_sub(1)?).ok()?;
    let version = line.versions.get(place)?;
    Some(VersionView {
        version: number,
        saved_at: version.saved_at.to_rfc3339(),
        author: version.author.clone(),
        definition: version.definition.clone(),
    })
}

/// An outreach of the project.
pub(crate) fn find<'a>(project: &'a Project, id: &str) -> ApiResult<&'a OutreachLine> {
    project.outreach(id).ok_or_else(|| ApiError::not_found("outreach", id))
}

/// A definition that can be read; whether it is sound is asked when it goes live.
fn read_definition(text: &str, pointer: &str) -> ApiResult<Definition> {
    compile::read(text).map_err(|mut problems| {
        for problem in &mut problems {
            problem.pointer = format!("{pointer}{}", problem.pointer);
        }
        ApiError::unsound(problems)
    })
}

/// An id as people may choose it: it stands in addresses and file names.
pub(crate) fn check_id(id: String) -> ApiResult<String> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
    if id.is_empty() || id.len() > ID_CHARS || !id.chars().all(plain) {
        let detail = format!("an id has 1 to {ID_CHARS} letters, digits, - and _");
        return Err(ApiError::at(Code::Invalid, "/id", detail));
    }
    Ok(id)
}

/// A name as an id: `Welcome, Mara!` becomes `welcome-mara`.
pub(crate) fn slug(name: &str) -> String {
    let mut slug = String::new();
    for letter in name.chars() {
        if letter.is_ascii_alphanumeric() {
            slug.push(letter.to_ascii_lowercase());
        } else if !slug.ends_with('-') && !slug.is_empty() {
            slug.push('-');
        }
    }
    slug.truncate(ID_CHARS - 8);
    let slug = slug.trim_matches('-');
    if slug.is_empty() { "outreach".to_owned() } else { slug.to_owned() }
}

fn free_id(project: &Project, wish: &str) -> String {
    let mut id = wish.to_owned();
    let mut number = 2;
    while project.outreach(&id).is_some() {
        id = format!("{wish}-{number}");
        number += 1;
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_ids() {
        assert_eq!(slug("Welcome, Mara!"), "welcome-mara");
        assert_eq!(slug("Grüße"), "gr-e");
        assert_eq!(slug("日本"), "outreach");
        assert!(check_id("a b".to_owned()).is_err());
    }
}
