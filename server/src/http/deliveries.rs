//! Deliveries: what was sent, or waits to be, with every step of its life; and what an operator
//! can do about one that is stuck.

use axum::Json;
use engine::delivery::{Delivery, DeliveryState};
use engine::fact::Settlement;
use engine::ids::{CustomerId, DeliveryId};
use engine::outreach::content::OutreachType;
use engine::project::Project;
use engine::time::Timestamp;
use host::DeliveryRow;
use host::command::Command;
use host::query::deliveries::DeliveryFilter;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::auth::{Caller, Team};
use super::decisions::{TriggerView, outreach_id, trigger_view};
use super::error::{ApiError, ApiResult, Code, ProblemDetails};
use super::outreaches::find;
use super::query::{Body, Page, Params, Parts1, page_size, read_cursor};

/// The routes of this room.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(get))
        .routes(routes!(retry))
        .routes(routes!(settle))
        .routes(routes!(cancel))
}

/// One message to one customer on one channel.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct DeliveryView {
    /// `dlv_…`, also the idempotency key for the receiver.
    pub id: String,
    /// Whose: `cus_…`.
    pub customer: String,
    /// Of which outreach.
    pub outreach: String,
    /// The version that decided.
    pub version: u32,
    /// The channel: `email`, `survey` …
    #[serde(rename = "type")]
    pub outreach_type: String,
    /// `waiting`, `due`, `attempting`, `held`, `sent`, `displayed` …
    pub state: String,
    /// What triggered it.
    pub trigger: TriggerView,
    /// When it was decided.
    pub decided_at: String,
    /// Not before.
    pub due_at: String,
    /// Not after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// When it came to stand where it stands.
    pub changed_at: String,
    /// Attempts so far.
    pub attempts: u32,
    /// What the latest failed attempt said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// The provider's own id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
    /// How it came there, oldest first; only where one delivery is asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepView>,
}

/// One step in the life of a delivery.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct StepView {
    /// When.
    pub at: String,
    /// Where it stood then.
    pub state: String,
    /// Attempts until then.
    pub attempts: u32,
    /// What the provider said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What an operator says about a delivery whose outcome nobody knows.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SettleRequest {
    /// What became of it.
    pub outcome: SettleOutcome,
}

/// What became of it.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SettleOutcome {
    /// It was handed over.
    Sent,
    /// It was not; try again.
    Retry,
    /// It was not, and will not be.
    Cancelled,
}

/// Which deliveries.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeliveryQuery {
    /// Only to this customer: userId, anonymousId or `cus_…`.
    customer: Option<String>,
    /// Only of this outreach.
    outreach: Option<String>,
    /// Only those that stand here: `waiting`, `due`, `attempting`, `held`, `sent`, `delivered`,
    /// `displayed`, `clicked`, `answered`, `dismissed`, `failed`, `expired`, `suppressed`,
    /// `cancelled`.
    state: Option<String>,
    /// Only on this channel, such as `email`.
    #[serde(rename = "type")]
    outreach_type: Option<OutreachType>,
    /// Where the page before ended.
    cursor: Option<String>,
    /// How many, 1 to 200; 50 when left out.
    limit: Option<usize>,
}

/// List deliveries, the newest first. `held` are those that wait for an operator's word.
#[utoipa::path(get, path = "/deliveries", tag = "Deliveries", params(DeliveryQuery),
    responses((status = 200, description = "A page", body = Page<DeliveryView>),
        (status = 400, description = "A parameter makes no sense", body = ProblemDetails)))]
async fn list(
    app: App,
    Team(caller): Team,
    Params(query): Params<DeliveryQuery>,
) -> ApiResult<Json<Page<DeliveryView>>> {
    let project = app.project(caller.project)?;
    let no = caller.project;
    let outreach = query.outreach.as_deref().map(|id| find(&project, id)).transpose()?;
    let customer = query.customer.as_deref().map(|text| app.find_customer(no, text)).transpose()?;
    let filter = DeliveryFilter {
        outreach: outreach.map(|line| line.no),
        customer,
        state: query.state.as_deref().map(read_state).transpose()?,
        channel: query.outreach_type,
    };
    let limit = page_size(query.limit)?;
    let before = read_cursor(query.cursor.as_deref())?;
    let page = app.ask(move |host| host.deliveries(no, &filter, before, limit)).await?;
    let page = page.map_err(ApiError::internal)?;
    let items = page.items.iter().map(|row| view(&project, row.customer, &row.delivery)).collect();
    Ok(Json(Page { items, next: page.next.map(|position| position.to_string()) }))
}

/// Get a delivery with every step of its life.
#[utoipa::path(get, path = "/deliveries/{id}", tag = "Deliveries",
    params(("id" = String, Path, description = "`dlv_…`")),
    responses((status = 200, description = "The delivery", body = DeliveryView),
        (status = 404, description = "There is none", body = ProblemDetails)))]
async fn get(
    app: App,
    Team(caller): Team,
    Parts1(id): Parts1<String>,
) -> ApiResult<Json<DeliveryView>> {
    whole(&app, &caller, &id).await
}

/// Try a failed or held delivery again.
#[utoipa::path(post, path = "/deliveries/{id}/retry", tag = "Deliveries",
    params(("id" = String, Path, description = "`dlv_…`")),
    responses((status = 200, description = "The delivery", body = DeliveryView),
        (status = 404, description = "There is none", body = ProblemDetails),
        (status = 409, description = "It does not stand where this can be done",
            body = ProblemDetails)))]
async fn retry(
    app: App,
    Team(caller): Team,
    Parts1(id): Parts1<String>,
) -> ApiResult<Json<DeliveryView>> {
    settled(&app, &caller, &id, Settlement::Retry).await
}

/// Say what became of a held delivery.
#[utoipa::path(post, path = "/deliveries/{id}/settle", tag = "Deliveries", request_body = SettleRequest,
    params(("id" = String, Path, description = "`dlv_…`")),
    responses((status = 200, description = "The delivery", body = DeliveryView),
        (status = 404, description = "There is none", body = ProblemDetails),
        (status = 409, description = "It does not stand where this can be done",
            body = ProblemDetails)))]
async fn settle(
    app: App,
    Team(caller): Team,
    Parts1(id): Parts1<String>,
    Body(request): Body<SettleRequest>,
) -> ApiResult<Json<DeliveryView>> {
    let by = match request.outcome {
        SettleOutcome::Sent => Settlement::Sent,
        SettleOutcome::Retry => Settlement::Retry,
        SettleOutcome::Cancelled => Settlement::Cancelled,
    };
    settled(&app, &caller, &id, by).await
}

/// Withdraw a delivery that has not left yet.
#[utoipa::path(post, path = "/deliveries/{id}/cancel", tag = "Deliveries",
    params(("id" = String, Path, description = "`dlv_…`")),
    responses((status = 200, description = "The delivery", body = DeliveryView),
        (status = 404, description = "There is none", body = ProblemDetails),
        (status = 409, description = "It does not stand where this can be done",
            body = ProblemDetails)))]
async fn cancel(
    app: App,
    Team(caller): Team,
    Parts1(id): Parts1<String>,
) -> ApiResult<Json<DeliveryView>> {
    settled(&app, &caller, &id, Settlement::Cancelled).await
}

async fn settled(
    app: &App,
    caller: &Caller,
    id: &str,
    by: Settlement,
) -> ApiResult<Json<DeliveryView>> {
    let delivery = read_id(id)?;
    app.submit_one(caller.project, Command::Settle { delivery, by }).await?;
    whole(app, caller, id).await
}

async fn whole(app: &App, caller: &Caller, id: &str) -> ApiResult<Json<DeliveryView>> {
    let (no, delivery) = (caller.project, read_id(id)?);
    let row = app.ask(move |host| host.delivery(no, delivery)).await?;
    let row = row.map_err(ApiError::internal)?;
    let row = row.ok_or_else(|| ApiError::not_found("delivery", id))?;
    Ok(Json(with_steps(&*app.project(no)?, &row)))
}

fn read_id(text: &str) -> ApiResult<DeliveryId> {
    text.parse().map_err(|_| ApiError::not_found("delivery", text))
}

const STATES: [DeliveryState; 14] = [
    DeliveryState::Waiting,
    DeliveryState::Due,
    DeliveryState::Attempting,
    DeliveryState::Held,
    DeliveryState::Sent,
    DeliveryState::Delivered,
    DeliveryState::Displayed,
    DeliveryState::Clicked,
    DeliveryState::Answered,
    DeliveryState::Dismissed,
    DeliveryState::Failed,
    DeliveryState::Expired,
    DeliveryState::Suppressed,
    DeliveryState::Cancelled,
];

fn read_state(text: &str) -> ApiResult<DeliveryState> {
    STATES.into_iter().find(|state| state.name() == text).ok_or_else(|| {
        let names: Vec<&str> = STATES.iter().map(DeliveryState::name).collect();
        let detail = format!("state is one of {}", names.join(", "));
        ApiError::new(Code::InvalidParameter, detail)
    })
}

/// A delivery in the words of the API, with its steps.
pub(crate) fn with_steps(project: &Project, row: &DeliveryRow) -> DeliveryView {
    let step = |step: &host::DeliveryStep| StepView {
        at: step.at.to_rfc3339(),
        state: step.state.name().to_owned(),
        attempts: step.attempts,
        error: step.error.clone(),
    };
    DeliveryView {
        steps: row.steps.iter().map(step).collect(),
        ..view(project, row.customer, &row.delivery)
    }
}

/// A delivery in the words of the API.
pub(crate) fn view(project: &Project, customer: CustomerId, delivery: &Delivery) -> DeliveryView {
    DeliveryView {
        id: delivery.id.to_string(),
        customer: customer.to_string(),
        outreach: outreach_id(project, delivery.outreach),
        version: delivery.version,
        outreach_type: delivery.outreach_type.name().to_owned(),
        state: delivery.state.name().to_owned(),
        trigger: trigger_view(&delivery.trigger),
        decided_at: delivery.decided_at.to_rfc3339(),
        due_at: delivery.due_at.to_rfc3339(),
        expires_at: delivery.expires_at.map(Timestamp::to_rfc3339),
        changed_at: delivery.changed_at.to_rfc3339(),
        attempts: delivery.attempts.count,
        last_error: delivery.last_error.clone(),
        provider_id: delivery.provider_id.clone(),
        steps: Vec::new(),
    }
}
