//! Why did this customer (not) get this outreach: every gate, with the actual values.

use axum::Json;
use engine::explain::Explanation;
use engine::time::Zone;
use host::query::timeline::Moment;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::auth::Team;
use super::error::{ApiError, ApiResult, Code, ProblemDetails};
use super::outreaches::find;
use super::query::Params;

/// The routes of this room.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(explain))
}

/// Who, what and when.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExplainQuery {
    /// userId, anonymousId or `cus_…`.
    customer: String,
    /// The outreach's id.
    outreach: String,
    /// A moment (RFC 3339), or the log position of a decision as lists show it; now when left out.
    at: Option<String>,
}

/// Explain why a customer did, or did not, get an outreach.
#[utoipa::path(get, path = "/explain", tag = "Decisions", params(ExplainQuery),
    responses((status = 200, description = "Every gate with the actual values", body = Explanation),
        (status = 404, description = "There is, or was then, no such customer or outreach", body = ProblemDetails)))]
async fn explain(
    app: App,
    Team(caller): Team,
    Params(query): Params<ExplainQuery>,
) -> ApiResult<Json<Explanation>> {
    let no = caller.project;
    let customer = app.find_customer(no, &query.customer)?;
    find(&*app.project(no)?, &query.outreach)?;
    let at = query.at.as_deref().map(read_moment).transpose()?;
    let outreach = query.outreach.clone();
    let answer = app.ask(move |host| host.explain(no, customer, &outreach, at)).await?;
    let missing = || {
        let detail = "the customer or the outreach was not there at that moment, or the outreach \
             has no version without faults";
        ApiError::new(Code::NotFound, detail)
    };
    answer.map_err(ApiError::internal)?.map(Json).ok_or_else(missing)
}

fn read_moment(text: &str) -> ApiResult<Moment> {
    if let Ok(position) = text.parse() {
        return Ok(Moment::Position(position));
    }
    let bad = || {
        ApiError::new(
            Code::InvalidParameter,
            "at is a time such as 2026-03-01T12:30:00Z, or a log position",
        )
    };
    engine::time::parse_moment_or_day(text, &Zone::utc()).map(Moment::Time).ok_or_else(bad)
}
