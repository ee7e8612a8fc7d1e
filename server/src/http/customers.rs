//! Customers: who they are, what happened to them, what they allow; and forgetting them.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::http::StatusCode;
use engine::customer::Customer;
use engine::ids::CustomerId;
use engine::outreach::compile;
use engine::outreach::definition::Condition;
use engine::project::Project;
use engine::time::Timestamp;
use host::command::Command;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json_, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::auth::{Caller, Team};
use super::decisions::outreach_id;
use super::deliveries::{self, DeliveryView};
use super::error::{ApiError, ApiResult, ProblemDetails};
use super::query::{Body, Page, Params, Parts1, page_size, read_cursor};
use super::segments::read_filter;
use super::timeline::{self, TimelineView};

/// Records of one export: beyond it a customer's life is read page by page.
const EXPORTED: usize = 100_000;

/// The routes of this room.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(search))
        .routes(routes!(get, erase))
        .routes(routes!(get_timeline))
        .routes(routes!(export))
        .routes(routes!(put_consent))
        .routes(routes!(allow_again))
}

/// A customer in a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct CustomerSummary {
    /// `cus_…`
    pub id: String,
    /// The client's own id; absent for a guest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The browsers and devices they were seen on.
    pub anonymous_ids: Vec<String>,
    /// The first fact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_seen: Option<String>,
    /// The latest activity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<String>,
    /// Standard and custom attributes.
    #[schema(value_type = BTreeMap<String, Object>)]
    pub attributes: BTreeMap<String, Json_>,
}

/// Everything that is true of a customer now.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct CustomerView {
    /// As in the list.
    #[serde(flatten)]
    pub summary: CustomerSummary,
    /// The present or latest session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionView>,
    /// Explicit answers: `email` or `email/topic` → allowed.
    pub consent: BTreeMap<String, bool>,
    /// Addresses that must not be used: channel and address → reason.
    pub suppressed: BTreeMap<String, String>,
    /// The latest page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<String>,
    /// What became of each outreach.
    pub outreaches: Vec<TallyView>,
    /// Open deliveries, and those closed a short while ago.
    pub deliveries: Vec<DeliveryView>,
    /// The guests that became part of them.
    pub merged: Vec<String>,
}

/// A session of activity.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct SessionView {
    /// Its first activity.
    pub started: String,
    /// Its latest activity.
    pub latest: String,
    /// How many sessions there were.
    pub count: u32,
}

/// What became of one outreach for one customer: the moments.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct TallyView {
    pub outreach: String,
    pub granted: Vec<String>,
    pub displayed: Vec<String>,
    pub clicked: Vec<String>,
    pub answered: Vec<String>,
    pub dismissed: Vec<String>,
    pub converted: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_out: Option<String>,
}

/// Which customers.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct CustomerQuery {
    /// Part of a name, mail address or id.
    q: Option<String>,
    /// Where the page before ended.
    cursor: Option<String>,
    /// How many, 1 to 200; 50 when left out.
    limit: Option<usize>,
}

/// Which customers, by a filter as in an audience.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CustomerSearch {
    /// Who; absent: everyone.
    #[serde(default)]
    #[schema(value_type = Option<Condition>)]
    pub filter: Json_,
    /// Part of a name, mail address or id.
    #[serde(default)]
    pub q: Option<String>,
    /// Where the page before ended.
    #[serde(default)]
    pub cursor: Option<String>,
    /// How many, 1 to 200; 50 when left out.
    #[serde(default)]
    pub limit: Option<usize>,
}

/// A page of a list whose next page is asked for by number.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TimelineQuery {
    /// Where the page before ended.
    cursor: Option<String>,
    /// How many, 1 to 200; 50 when left out.
    limit: Option<usize>,
}

/// What a customer allows or forbids.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConsentRequest {
    /// `email`, `push`, `sms` or `whatsapp`.
    pub channel: String,
    /// A topic; empty: the whole channel.
    #[serde(default)]
    pub topic: String,
    /// Allowed?
    pub allowed: bool,
}

/// Which outreach is allowed again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AllowAgainRequest {
    /// The outreach's id.
    pub outreach: String,
}

/// List customers by id.
#[utoipa::path(get, path = "/customers", tag = "Customers", params(CustomerQuery),
    responses((status = 200, description = "A page", body = Page<CustomerSummary>)))]
async fn list(
    app: App,
    Team(caller): Team,
    Params(query): Params<CustomerQuery>,
) -> ApiResult<Json<Page<CustomerSummary>>> {
    let CustomerQuery { q, cursor, limit } = query;
    page(&app, &caller, CustomerSearch { filter: Json_::Null, q, cursor, limit }).await
}

/// Search customers by a filter, as in an audience.
#[utoipa::path(post, path = "/customers/search", tag = "Customers", request_body = CustomerSearch,
    responses((status = 200, description = "A page", body = Page<CustomerSummary>),
        (status = 422, description = "The filter has faults", body = ProblemDetails)))]
async fn search(
    app: App,
    Team(caller): Team,
    Body(search): Body<CustomerSearch>,
) -> ApiResult<Json<Page<CustomerSummary>>> {
    page(&app, &caller, search).await
}

/// Get a customer: everything that is true of them now.
#[utoipa::path(get, path = "/customers/{id}", tag = "Customers",
    params(("id" = String, Path, description = "userId, anonymousId or `cus_…`")),
    responses((status = 200, description = "The customer", body = CustomerView),
        (status = 404, description = "There is none", body = ProblemDetails)))]
async fn get(
    app: App,
    Team(caller): Team,
    Parts1(id): Parts1<String>,
) -> ApiResult<Json<CustomerView>> {
    let (id, customer) = find(&app, &caller, &id)?;
    Ok(Json(view(&*app.project(caller.project)?, id, &customer)))
}

/// Forget everything about a customer, and the guests that became part of them.
#[utoipa::path(delete, path = "/customers/{id}", tag = "Customers",
    params(("id" = String, Path, description = "userId, anonymousId or `cus_…`")),
    responses((status = 204, description = "They are forgotten"),
        (status = 404, description = "There is none", body = ProblemDetails)))]
async fn erase(app: App, Team(caller): Team, Parts1(id): Parts1<String>) -> ApiResult<StatusCode> {
    let (customer, _) = find(&app, &caller, &id)?;
    app.submit_one(caller.project, Command::Erase { customer }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What happened to a customer and what was decided about it, the newest first.
#[utoipa::path(get, path = "/customers/{id}/timeline", tag = "Customers",
    params(("id" = String, Path, description = "userId, anonymousId or `cus_…`"), TimelineQuery),
    responses((status = 200, description = "A page", body = Page<TimelineView>),
        (status = 404, description = "There is none", body = ProblemDetails)))]
async fn get_timeline(
    app: App,
    Team(caller): Team,
    Parts1(id): Parts1<String>,
    Params(query): Params<TimelineQuery>,
) -> ApiResult<Json<Page<TimelineView>>> {
    let (customer, _) = find(&app, &caller, &id)?;
    let limit = page_size(query.limit)?;
    let before: Option<u64> = read_cursor(query.cursor.as_deref())?;
    Ok(Json(life(&app, &caller, customer, before, limit).await?))
}

/// Everything known about a customer in one document: attributes, consent, every fact and decision.
#[utoipa::path(get, path = "/customers/{id}/export", tag = "Customers",
    params(("id" = String, Path, description = "userId, anonymousId or `cus_…`")),
    responses((status = 200, description = "The document", body = Object),
        (status = 404, description = "There is none", body = ProblemDetails)))]
async fn export(
    app: App,
    Team(caller): Team,
    Parts1(id): Parts1<String>,
) -> ApiResult<Json<Json_>> {
    let (id, customer) = find(&app, &caller, &id)?;
    let mut timeline = Vec::new();
    let mut before = None;
    loop {
        let page = life(&app, &caller, id, before, crate::limits::PAGE_ITEMS).await?;
        timeline.extend(page.items);
        before = read_cursor(page.next.as_deref())?;
        if before.is_none() || timeline.len() >= EXPORTED {
            break;
        }
    }
    let profile = view(&*app.project(caller.project)?, id, &customer);
    Ok(Json(json!({
        "exported_at": app.now().to_rfc3339(),
        "customer": profile,
        "timeline": timeline,
        "complete": before.is_none(),
    })))
}

/// Say what a customer allows or forbids.
#[utoipa::path(put, path = "/customers/{id}/consent", tag = "Customers", request_body = ConsentRequest,
    params(("id" = String, Path, description = "userId, anonymousId or `cus_…`")),
    responses((status = 200, description = "The customer", body = CustomerView),
        (status = 404, description = "There is none", body = ProblemDetails)))]
async fn put_consent(
    app: App,
    Team(caller): Team,
    Parts1(id): Parts1<String>,
    Body(request): Body<ConsentRequest>,
) -> ApiResult<Json<CustomerView>> {
    let (customer, _) = find(&app, &caller, &id)?;
    let ConsentRequest { channel, topic, allowed } = request;
    if !["email", "push", "sms", "whatsapp"].contains(&channel.as_str()) {
        let detail = "channel is email, push, sms or whatsapp";
        return Err(ApiError::at(super::error::Code::Invalid, "/channel", detail));
    }
    let command = Command::Consent { customer, channel, topic, allowed };
    app.submit_one(caller.project, command).await?;
    let (id, customer) = find(&app, &caller, &id)?;
    Ok(Json(view(&*app.project(caller.project)?, id, &customer)))
}

/// Allow an outreach again: its claims so far no longer count for this customer.
#[utoipa::path(post, path = "/customers/{id}/allow-again", tag = "Customers",
    request_body = AllowAgainRequest,
    params(("id" = String, Path, description = "userId, anonymousId or `cus_…`")),
    responses((status = 200, description = "The customer", body = CustomerView),
        (status = 404, description = "There is no such customer or outreach", body = ProblemDetails)))]
async fn allow_again(
    app: App,
    Team(caller): Team,
    Parts1(id): Parts1<String>,
    Body(request): Body<AllowAgainRequest>,
) -> ApiResult<Json<CustomerView>> {
    let (customer, _) = find(&app, &caller, &id)?;
    let command = Command::AllowAgain { customer, outreach: request.outreach };
    app.submit_one(caller.project, command).await?;
    let (id, customer) = find(&app, &caller, &id)?;
    Ok(Json(view(&*app.project(caller.project)?, id, &customer)))
}

async fn page(
    app: &App,
    caller: &Caller,
    search: CustomerSearch,
) -> ApiResult<Json<Page<CustomerSummary>>> {
    let project = app.project(caller.project)?;
    let filter = read_filter(&search.filter)?
        .map(|filter| compile::compile_filter(&project, None, "/filter", &filter))
        .transpose()
        .map_err(ApiError::unsound)?;
    let after: Option<CustomerId> = read_cursor(search.cursor.as_deref())?;
    let limit = page_size(search.limit)?;
    let no = caller.project;
    let q = search.q;
    let mut found = app
        .ask(move |host| host.customers(no, filter.as_ref(), q.as_deref(), after, limit + 1))
        .await?
        .map_err(ApiError::internal)?;
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|(id, _)| id.to_string());
    Ok(Json(Page {
        items: found.iter().map(|(id, customer)| summary(*id, customer)).collect(),
        next,
    }))
}

async fn life(
    app: &App,
    caller: &Caller,
    customer: CustomerId,
    before: Option<u64>,
    limit: usize,
) -> ApiResult<Page<TimelineView>> {
    let no = caller.project;
    let project = app.project(no)?;
    let page = app.ask(move |host| host.timeline(no, customer, before, limit)).await?;
    let page = page.map_err(ApiError::internal)?;
    let items = page.items.iter().map(|entry| timeline::view(&project, entry)).collect();
    Ok(Page { items, next: page.next.map(|position| position.to_string()) })
}

fn find(app: &App, caller: &Caller, text: &str) -> ApiResult<(CustomerId, Customer)> {
    let id = app.find_customer(caller.project, text)?;
    let missing = || ApiError::not_found("customer", text);
    app.customer(caller.project, id)?.map(|customer| (id, customer)).ok_or_else(missing)
}

fn summary(id: CustomerId, customer: &Customer) -> CustomerSummary {
    let attribute = |(key, attribute): (&Arc<str>, &engine::customer::Attribute)| {
        (key.to_string(), attribute.value.to_json())
    };
    CustomerSummary {
        id: id.to_string(),
        user_id: customer.user_id.clone(),
        anonymous_ids: customer.anonymous_ids.clone(),
        first_seen: customer.first_seen.map(Timestamp::to_rfc3339),
        last_seen: customer.last_seen.map(Timestamp::to_rfc3339),
        attributes: customer.attributes.iter().map(attribute).collect(),
    }
}

fn view(project: &Project, id: CustomerId, customer: &Customer) -> CustomerView {
    let times = |times: &[Timestamp]| times.iter().map(|at| at.to_rfc3339()).collect();
    let tally = |(no, tally): (&engine::ids::OutreachNo, &engine::customer::Tally)| TallyView {
        outreach: outreach_id(project, *no),
        granted: times(&tally.granted),
        displayed: times(&tally.displayed),
        clicked: times(&tally.clicked),
        answered: times(&tally.answered),
        dismissed: times(&tally.dismissed),
        converted: times(&tally.converted),
        held_out: tally.held_out.map(Timestamp::to_rfc3339),
    };
    CustomerView {
        summary: summary(id, customer),
        session: customer.session.map(|session| SessionView {
            started: session.started.to_rfc3339(),
            latest: session.latest.to_rfc3339(),
            count: session.count,
        }),
        consent: customer
            .consent
            .iter()
            .map(|(key, consent)| (key.clone(), consent.allowed))
            .collect(),
        suppressed: customer
            .suppressed
            .iter()
            .map(|(address, reason)| (address.clone(), reason.clone()))
            .collect(),
        page: customer.page.clone(),
        outreaches: customer.tallies.iter().map(tally).collect(),
        deliveries: customer
            .deliveries
            .values()
            .map(|delivery| deliveries::view(project, id, delivery))
            .collect(),
        merged: customer.merged.iter().map(ToString::to_string).collect(),
    }
}
