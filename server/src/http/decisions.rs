//! Decisions: for every trigger, customer and outreach the outcome, and the gate that refused.

use axum::Json;
use engine::decision::{Decision, Outcome};
use engine::delivery::TriggerRef;
use engine::ids::CustomerId;
use engine::project::Project;
use engine::time::Timestamp;
use host::query::decisions::{DecisionFilter, DecisionLine, OutcomeFilter};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::auth::Team;
use super::error::{ApiError, ApiResult, Code, ProblemDetails};
use super::outreaches::find;
use super::query::{Page, Params, page_size, read_cursor, read_time};

/// The routes of this room.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list))
}

/// One decision.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct DecisionView {
    /// When it was made.
    pub at: String,
    /// About whom: `cus_…`.
    pub customer: String,
    /// On which outreach.
    pub outreach: String,
    /// By which version.
    pub version: u32,
    /// What triggered it.
    pub trigger: TriggerView,
    /// `send` or `skip`.
    pub outcome: String,
    /// The gate that refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate: Option<String>,
    /// A stable word for the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The reason in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sentence: Option<String>,
    /// The delivery that began: `dlv_…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery: Option<String>,
    /// Where its record lies in the log.
    pub position: u64,
}

/// What triggered a decision.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct TriggerView {
    /// `event`, `user_property` or `one_off`.
    pub kind: String,
    /// The event's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// The event's id: `evt_…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    /// Which launch, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub launch: Option<u32>,
}

/// Which decisions.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DecisionQuery {
    /// Only about this customer: userId, anonymousId or `cus_…`.
    customer: Option<String>,
    /// Only on this outreach.
    outreach: Option<String>,
    /// Only `send` or only `skip`.
    outcome: Option<OutcomeWord>,
    /// Only those that this gate refused.
    gate: Option<String>,
    /// Only at this moment or after it.
    from: Option<String>,
    /// Only before this moment.
    to: Option<String>,
    /// Where the page before ended.
    cursor: Option<String>,
    /// How many, 1 to 200; 50 when left out.
    limit: Option<usize>,
}

/// Send or skip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OutcomeWord {
    Send,
    Skip,
}

/// List decisions, the newest first.
#[utoipa::path(get, path = "/decisions", tag = "Decisions", params(DecisionQuery),
    responses((status = 200, description = "A page", body = Page<DecisionView>),
        (status = 400, description = "A parameter makes no sense", body = ProblemDetails)))]
async fn list(
    app: App,
    Team(caller): Team,
    Params(query): Params<DecisionQuery>,
) -> ApiResult<Json<Page<DecisionView>>> {
    let project = app.project(caller.project)?;
    let outreach = query.outreach.as_deref().map(|id| find(&project, id)).transpose()?;
    let customer = query
        .customer
        .as_deref()
        .map(|text| app.find_customer(caller.project, text))
        .transpose()?;
    let gate = query.gate.as_deref().map(read_gate).transpose()?;
    let outcome = match (gate, query.outcome) {
        (Some(gate), _) => Some(OutcomeFilter::Gate(gate)),
        (None, Some(OutcomeWord::Send)) => Some(OutcomeFilter::Send),
        (None, Some(OutcomeWord::Skip)) => Some(OutcomeFilter::Skip),
        (None, None) => None,
    };
    let filter = DecisionFilter {
        customer,
        outreach: outreach.map(|line| line.no),
        outcome,
        from: read_time(query.from.as_deref(), "from")?,
        to: read_time(query.to.as_deref(), "to")?,
    };
    let limit = page_size(query.limit)?;
    let before = read_cursor(query.cursor.as_deref())?;
    let no = caller.project;
    let page = app.ask(move |host| host.decisions(no, &filter, before, limit)).await?;
    let page = page.map_err(ApiError::internal)?;
    let view =
        |line: &DecisionLine| view(&project, line.customer, &line.decision, line.at, line.position);
    let next = page.next.map(|position| position.to_string());
    Ok(Json(Page { items: page.items.iter().map(view).collect(), next }))
}

fn read_gate(text: &str) -> ApiResult<engine::decision::GateName> {
    let gates = engine::decision::GateName::ALL;
    gates.into_iter().find(|gate| gate.name() == text).ok_or_else(|| {
        let names: Vec<&str> = gates.iter().map(|gate| gate.name()).collect();
        ApiError::new(Code::InvalidParameter, format!("gate is one of {}", names.join(", ")))
    })
}

/// A decision in the words of the API.
pub(crate) fn view(
    project: &Project,
    customer: CustomerId,
    decision: &Decision,
    at: Timestamp,
    position: u64,
) -> DecisionView {
    let (outcome, reason, delivery) = match &decision.outcome {
        Outcome::Send { delivery, .. } => ("send", None, Some(delivery.to_string())),
        Outcome::Skip(reason) => ("skip", Some(reason), None),
    };
    DecisionView {
        at: at.to_rfc3339(),
        customer: customer.to_string(),
        outreach: outreach_id(project, decision.outreach),
        version: decision.version,
        trigger: trigger_view(&decision.trigger),
        outcome: outcome.to_owned(),
        gate: reason.map(|reason| reason.gate().name().to_owned()),
        reason: reason.map(|reason| reason.code().to_owned()),
        sentence: reason.map(ToString::to_string),
        delivery,
        position,
    }
}

/// The id of an outreach by its number.
pub(crate) fn outreach_id(project: &Project, no: engine::ids::OutreachNo) -> String {
    project.outreaches.get(&no).map(|line| line.id.clone()).unwrap_or_default()
}

pub(crate) fn trigger_view(trigger: &TriggerRef) -> TriggerView {
    let none = TriggerView { kind: String::new(), event: None, event_id: None, launch: None };
    match trigger {
        TriggerRef::Event { id, name, .. } => TriggerView {
            kind: "event".to_owned(),
            event: Some(name.clone()),
            event_id: Some(id.to_string()),
            ..none
        },
        TriggerRef::UserProperty => TriggerView { kind: "user_property".to_owned(), ..none },
        TriggerRef::OneOff { launch } => {
            TriggerView { kind: "one_off".to_owned(), launch: Some(*launch), ..none }
        }
    }
}
