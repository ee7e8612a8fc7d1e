//! How many a filter matches, before anybody is sent anything.

use axum::Json;
use engine::estimate::Estimate;
use engine::outreach::compile;
use engine::outreach::content::OutreachType;
use engine::outreach::definition::Condition;
use host::query::audience::Reach;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::auth::Team;
use super::error::{ApiError, ApiResult, ProblemDetails};
use super::query::Body;
use super::segments::read_filter;

/// The routes of this room.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(estimate))
}

/// Whom to count.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EstimateRequest {
    /// Who; absent: everyone.
    #[serde(default)]
    #[schema(value_type = Option<Condition>)]
    filter: serde_json::Value,
    /// Count those who can be reached on this channel too.
    #[serde(default)]
    channel: Option<OutreachType>,
}

/// How many match.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EstimateView {
    /// The counts.
    #[serde(flatten)]
    estimate: Estimate,
    /// Some who match: `cus_…`.
    sample: Vec<String>,
    /// The moment for which it is exact.
    at: String,
}

/// Count the customers who match a filter, per condition alone and cumulative.
#[utoipa::path(post, path = "/audience/estimate", tag = "Customers", request_body = EstimateRequest,
    responses((status = 200, description = "The counts", body = EstimateView),
        (status = 422, description = "The filter has faults", body = ProblemDetails)))]
async fn estimate(
    app: App,
    Team(caller): Team,
    Body(request): Body<EstimateRequest>,
) -> ApiResult<Json<EstimateView>> {
    let no = caller.project;
    let project = app.project(no)?;
    let filter = read_filter(&request.filter)?
        .map(|filter| compile::compile_filter(&project, None, "/filter", &filter))
        .transpose()
        .map_err(ApiError::unsound)?;
    let channel = request.channel;
    let count = app
        .ask(move |host| {
            let reach = channel.map_or(Reach::Anyhow, Reach::Channel);
            host.estimate(no, filter.as_ref(), reach)
        })
        .await?
        .map_err(ApiError::internal)?;
    Ok(Json(EstimateView {
        estimate: count.estimate,
        sample: count.sample.iter().map(ToString::to_string).collect(),
        at: count.at.to_rfc3339(),
    }))
}
