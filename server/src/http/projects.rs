//! Projects and their settings. A key opens one project; an admin key also makes and lists them.

use axum::Json;
use axum::http::StatusCode;
use engine::outreach::compile;
use engine::project::{Project, ProjectChange, Settings};
use host::command::Command;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::auth::Team;
use super::error::{ApiError, ApiResult, Code, ProblemDetails};
use super::query::{Body, Page};
use crate::keys::KeyKind;

const ID_CHARS: usize = 32;

/// The routes of this room.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get_settings, put_settings))
}

/// A project.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProjectView {
    /// Its id.
    pub id: String,
    /// What the team calls it.
    pub name: String,
}

/// A new project.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewProject {
    /// Small letters, digits and `-`; it stands in keys.
    pub id: String,
    /// What the team calls it.
    #[serde(default)]
    pub name: String,
}

/// A new project with its first keys, which are shown this once.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CreatedProject {
    /// Its id.
    pub id: String,
    /// For web pages and apps.
    pub public_key: String,
    /// For servers.
    pub secret_key: String,
}

/// List the projects of this installation. Takes an admin key.
#[utoipa::path(get, path = "/projects", tag = "Projects",
    responses((status = 200, description = "All of them, on one page", body = Page<ProjectView>),
        (status = 403, description = "The key is bound to its project", body = ProblemDetails)))]
async fn list(app: App, team: Team) -> ApiResult<Json<Page<ProjectView>>> {
    team.admin()?;
    let view = |project: &Project| ProjectView {
        id: project.id.clone(),
        name: project.settings.name.clone(),
    };
    let items = app.projects().iter().map(|project| view(project)).collect();
    Ok(Json(Page { items, next: None }))
}

/// Create a project, with a public and a secret key. Takes an admin key.
#[utoipa::path(post, path = "/projects", tag = "Projects", request_body = NewProject,
    responses((status = 201, description = "The project and its keys", body = CreatedProject),
        (status = 403, description = "The key is bound to its project", body = ProblemDetails),
        (status = 409, description = "The id is taken", body = ProblemDetails)))]
async fn create(
    app: App,
    team: Team,
    Body(new): Body<NewProject>,
) -> ApiResult<(StatusCode, Json<CreatedProject>)> {
    team.admin()?;
    let plain =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    if new.id.is_empty() || new.id.len() > ID_CHARS || !new.id.chars().all(plain) {
        let detail = format!("a project's id has 1 to {ID_CHARS} small letters, digits and -");
        return Err(ApiError::at(Code::Invalid, "/id", detail));
    }
    if app.project_no(&new.id).is_some() {
        let detail = format!("there is a project {:?} already", new.id);
        return Err(ApiError::new(Code::AlreadyExists, detail));
    }
    let no = app.create_project(&new.id).await?;
    if !new.name.is_empty() {
        save(&app, no, &Settings { name: new.name, ..Settings::default() }).await?;
    }
    let now = app.now().to_rfc3339();
    let make = |kind| app.keys.create(&new.id, kind, &now).map_err(ApiError::internal);
    let public_key = make(KeyKind::Public)?;
    let secret_key = make(KeyKind::Secret)?;
    Ok((StatusCode::CREATED, Json(CreatedProject { id: new.id, public_key, secret_key })))
}

/// Get the settings of the key's project.
#[utoipa::path(get, path = "/settings", tag = "Projects",
    responses((status = 200, description = "The settings", body = Settings)))]
async fn get_settings(app: App, Team(caller): Team) -> ApiResult<Json<Settings>> {
    Ok(Json(app.project(caller.project)?.settings.clone()))
}

/// Replace the settings of the key's project. What is left out goes back to its default.
#[utoipa::path(put, path = "/settings", tag = "Projects", request_body = Settings,
    responses((status = 200, description = "The settings", body = Settings),
        (status = 422, description = "They have faults", body = ProblemDetails)))]
async fn put_settings(
    app: App,
    Team(caller): Team,
    Body(settings): Body<Settings>,
) -> ApiResult<Json<Settings>> {
    compile::check_settings(&*app.project(caller.project)?, &settings)
        .map_err(ApiError::unsound)?;
    save(&app, caller.project, &settings).await?;
    Ok(Json(app.project(caller.project)?.settings.clone()))
}

async fn save(app: &App, no: engine::ids::ProjectNo, settings: &Settings) -> ApiResult<()> {
    let settings = serde_json::to_string(settings).map_err(ApiError::internal)?;
    let change = ProjectChange::SettingsSaved { settings };
    app.submit_one(no, Command::Change(change)).await.map(|_| ())
}
