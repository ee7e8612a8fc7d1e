//! Outreaches in the words of the API.

use std::collections::BTreeMap;

use engine::outreach::definition::Definition;
use engine::outreach::problem::Problem;
use engine::project::{OutreachLine, Status};
use engine::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

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
    pub skips: BTreeMap<String, u64>,
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

/// An outreach as it stands in a list.
pub(super) fn summary(line: &OutreachLine, counts: Option<&Counts>) -> OutreachSummary {
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
        live_since: line.live_since.map(Timestamp::to_rfc3339),
        tags: definition.map(|definition| definition.tags.clone()).unwrap_or_default(),
        saved_at: latest.map(|latest| latest.saved_at.to_rfc3339()).unwrap_or_default(),
        author: latest.map(|latest| latest.author.clone()).unwrap_or_default(),
        launches: line.launches,
        archived: line.archived,
        problem_count: line.latest.as_ref().err().map_or(0, Vec::len),
        counts: counts.cloned().unwrap_or_default(),
    }
}

/// A version by its number.
pub(super) fn version_view(line: &OutreachLine, number: u32) -> Option<VersionView> {
    let place = usize::try_from(number.checked_sub(1)?).ok()?;
    let version = line.versions.get(place)?;
    Some(VersionView {
        version: number,
        saved_at: version.saved_at.to_rfc3339(),
        author: version.author.clone(),
        definition: version.definition.clone(),
    })
}
