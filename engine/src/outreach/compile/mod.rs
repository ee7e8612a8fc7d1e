//! From a definition to an outreach, or to a list of problems.

pub mod content;

use super::compiled::{Condition, Outreach};
use super::definition::{self, Definition};
use super::problem::Problem;
use crate::ids::OutreachNo;
use crate::project::Project;

/// Read a definition from JSON text. A fault of form is a problem with the pointer of the node.
///
/// # Errors
/// The problems, at least one.
pub fn read(json: &str) -> Result<Definition, Vec<Problem>> {
    let _ = json;
    Err(Vec::new())
}

/// Prove a definition sound.
///
/// `project` resolves segments and outreaches named in conditions.
///
/// # Errors
/// The problems, at least one, sorted by pointer.
pub fn compile(
    project: &Project,
    no: OutreachNo,
    id: &str,
    version: u32,
    definition: &Definition,
) -> Result<Outreach, Vec<Problem>> {
    let _ = (project, no, id, version, definition);
    Err(Vec::new())
}

/// Compile a filter alone (segments, estimates). `pointer` is where it stands.
///
/// # Errors
/// The problems, at least one, sorted by pointer.
pub fn compile_filter(
    project: &Project,
    this: Option<OutreachNo>,
    pointer: &str,
    filter: &definition::Condition,
) -> Result<Condition, Vec<Problem>> {
    let _ = (project, this, pointer, filter);
    Err(Vec::new())
}

/// Compile a segment's filter; a segment may hold other segments but never itself.
///
/// # Errors
/// The problems, at least one, sorted by pointer.
pub fn compile_segment(
    project: &Project,
    segment: &str,
    filter: &definition::Condition,
) -> Result<Condition, Vec<Problem>> {
    let _ = segment;
    compile_filter(project, None, "", filter)
}

/// Read a filter from JSON text; `null` is no filter.
///
/// # Errors
/// The problems, at least one.
pub fn read_filter(json: &str) -> Result<Option<definition::Condition>, Vec<Problem>> {
    serde_json::from_str(json)
        .map_err(|error| vec![Problem::new("", "malformed", error.to_string())])
}

/// Check the caps and quiet hours of a project's settings.
///
/// # Errors
/// The problems, at least one.
pub fn check_settings(settings: &crate::project::Settings) -> Result<(), Vec<Problem>> {
    let _ = settings;
    Ok(())
}

/// Quiet hours in minutes; `None` when they are not of the form `22:00`.
pub fn compile_quiet_hours(hours: &definition::QuietHours) -> Option<super::compiled::QuietHours> {
    let _ = hours;
    None
}
