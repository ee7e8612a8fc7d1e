//! Outreaches: what we could say, through all their versions.
//!
//! A definition with faults may be saved while it is a draft; only going live needs a sound one.

mod life;
mod view;

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

pub(crate) use self::view::Counts;
use self::view::{OutreachSummary, OutreachView, VersionView, summary, version_view};
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
        .routes(routes!(clone))
        .merge(life::routes())
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
    view_of(&app, &caller, &id)
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
    view_of(app, caller, id)
}

fn view_of(app: &App, caller: &Caller, id: &str) -> ApiResult<Json<OutreachView>> {
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
