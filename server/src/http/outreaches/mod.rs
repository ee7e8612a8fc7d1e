//! Outreaches: what we could say, through all their versions.
//!
//! A definition with faults may be saved while it is a draft; only going live needs a sound one.

mod life;
mod view;

use axum::Json;
use axum::http::{HeaderMap, StatusCode, header};
use engine::ids::OutreachNo;
use engine::outreach::compile;
use engine::outreach::definition::Definition;
use engine::outreach::problem::Problem;
use engine::project::{OutreachLine, Project, Status};
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
/// How often a free id is looked for while others take them.
const FREE_ID_TRIES: usize = 50;

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

/// The faults of a definition, none when it could go live; and what its templates speak of.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Checked {
    /// The faults, by place.
    pub problems: Vec<Problem>,
    /// What its templates speak of; none while there are faults.
    pub variables: Vec<TemplateVariable>,
}

/// Something that a template speaks of.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TemplateVariable {
    /// Such as `customer.first_name` or `event.properties.total`.
    pub path: String,
    /// Whether every use says what stands there when it is missing.
    pub has_fallback: bool,
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
        (status = 409, description = "The id is taken, also when somebody took it at the same moment",
            body = ProblemDetails),
        (status = 422, description = "The definition cannot be read", body = ProblemDetails)))]
async fn create(
    app: App,
    Team(caller): Team,
    Body(new): Body<NewOutreach>,
) -> ApiResult<(StatusCode, Json<OutreachView>)> {
    let definition = read_definition(&new.definition.to_string(), "/definition")?;
    let wish = slug(&definition.name);
    Ok((StatusCode::CREATED, save_new(&app, &caller, new.id, &wish, &definition).await?))
}

/// Check a definition, and list what its templates speak of. Nothing is saved.
#[utoipa::path(post, path = "/outreaches/check", tag = "Outreaches", request_body = Definition,
    responses((status = 200, description = "The faults; none when it could go live", body = Checked)))]
async fn check(app: App, Team(caller): Team, Text(text): Text) -> ApiResult<Json<Checked>> {
    serde_json::from_str::<serde_json::Value>(&text)
        .map_err(|error| ApiError::new(Code::InvalidJson, error.to_string()))?;
    let project = app.project(caller.project)?;
    let no = OutreachNo(u32::MAX);
    let compiled = compile::read(&text)
        .and_then(|definition| compile::compile(&project, no, "this", 1, &definition));
    Ok(Json(match compiled {
        Err(problems) => Checked { problems, variables: Vec::new() },
        Ok(outreach) => Checked {
            problems: Vec::new(),
            variables: outreach
                .content
                .variables()
                .into_iter()
                .map(|one| TemplateVariable { path: one.path, has_fallback: one.has_fallback })
                .collect(),
        },
    }))
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
    params(("id" = String, Path, description = "The outreach's id"),
        ("If-Match" = Option<String>, Header, example = "\"3\"",
            description = "The version that this one is based on. When somebody saved meanwhile, \
                the answer is 412 with the `current_version`; without it the latest save wins.")),
    responses((status = 200, description = "The outreach", body = OutreachView),
        (status = 404, description = "There is none", body = ProblemDetails),
        (status = 412, description = "Somebody saved meanwhile", body = ProblemDetails),
        (status = 422, description = "The definition cannot be read", body = ProblemDetails)))]
async fn put(
    app: App,
    Team(caller): Team,
    Parts1(id): Parts1<String>,
    headers: HeaderMap,
    Text(text): Text,
) -> ApiResult<Json<OutreachView>> {
    let expect = expected_version(&headers)?;
    let definition = read_definition(&text, "")?;
    let project = app.project(caller.project)?;
    find(&project, &id)?;
    save(&app, &caller, &id, &definition, expect).await
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
    let wish = format!("{id}-copy");
    Ok((StatusCode::CREATED, save_new(&app, &caller, request.id, &wish, &definition).await?))
}

/// Save the first version of a new outreach. Whether the id is free is asked by the applier, so
/// that of two who want it at once only one gets it.
async fn save_new(
    app: &App,
    caller: &Caller,
    id: Option<String>,
    wish: &str,
    definition: &Definition,
) -> ApiResult<Json<OutreachView>> {
    let chosen = id.map(check_id).transpose()?;
    for _ in 0..FREE_ID_TRIES {
        let id = match &chosen {
            Some(id) => id.clone(),
            None => free_id(&*app.project(caller.project)?, wish),
        };
        match save(app, caller, &id, definition, Some(0)).await {
            Err(error) if error.code == Code::VersionMoved && chosen.is_some() => {
                let detail = format!("there is an outreach {id:?} already");
                return Err(ApiError::new(Code::AlreadyExists, detail));
            }
            // Somebody took the id that we found free; there is another one.
            Err(error) if error.code == Code::VersionMoved => {}
            saved => return saved,
        }
    }
    Err(ApiError::new(Code::AlreadyExists, "many are created at once; choose an id"))
}

async fn save(
    app: &App,
    caller: &Caller,
    id: &str,
    definition: &Definition,
    expect: Option<u32>,
) -> ApiResult<Json<OutreachView>> {
    let definition = serde_json::to_string(definition).map_err(ApiError::internal)?;
    let author = caller.key_id.clone();
    let command = Command::SaveOutreach { id: id.to_owned(), definition, author, expect };
    app.submit_one(caller.project, command).await?;
    view_of(app, caller, id)
}

/// The version that a client says its change is based on: `If-Match: "3"`.
fn expected_version(headers: &HeaderMap) -> ApiResult<Option<u32>> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let number = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    number.parse().map(Some).map_err(|_| {
        let detail = "If-Match is the version that you read, such as \"3\"";
        ApiError::new(Code::InvalidParameter, detail)
    })
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
