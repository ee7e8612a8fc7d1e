//! From a definition to an outreach, or to a list of problems.
//!
//! Two steps, so that an editor can tell them apart: [`read`] asks whether the JSON is a definition
//! at all; [`compile`] asks whether it makes sense in this project. Both find every fault rather
//! than the first, each with its place and its repair. Only what passes both is ever judged, which
//! is why judging has no errors.
//!
//! [`form`] reads; [`rule`] takes trigger, audience, frequency and schedule; [`conditions`] and
//! [`comparisons`] the tree of conditions; [`guardrails`] the limits; [`content`] the templates, and
//! [`speech`] what each type needs to say.

mod form;
mod names;
mod rule;
mod conditions;
mod comparisons;
mod guardrails;
mod speech;
pub mod content;

use super::compiled::{Condition, Outreach};
use super::definition::{self, Definition};
use super::problem::Problem;
use crate::ids::OutreachNo;
use crate::project::{Project, Settings};

pub use conditions::segments_in;
pub use guardrails::{minute_of_day, quiet_hours};
pub use speech::{is_mailbox, is_open_url};

/// Read a definition from JSON text. A fault of form is a problem with the pointer of the node.
///
/// # Errors
/// The problems, at least one, sorted by pointer.
pub fn read(json: &str) -> Result<Definition, Vec<Problem>> {
    form::read(json, "Definition", "")
}

/// Read a condition alone (segments, estimates). `pointer` is where it stands.
///
/// # Errors
/// The problems, at least one, sorted by pointer.
pub fn read_filter(json: &str, pointer: &str) -> Result<definition::Condition, Vec<Problem>> {
    form::read(json, "Condition", pointer)
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
    let mut draft = Draft::new(project, Some(no));
    let outreach = rule::compile(&mut draft, no, id, version, definition);
    draft.finish(outreach)
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
    let mut draft = Draft::new(project, this);
    let condition = draft.filter(filter, pointer);
    draft.finish(condition)
}

/// Compile the filter of the segment `id`, which must not contain itself.
///
/// # Errors
/// The problems, at least one, sorted by pointer.
pub fn compile_segment(
    project: &Project,
    id: &str,
    pointer: &str,
    filter: &definition::Condition,
) -> Result<Condition, Vec<Problem>> {
    let mut draft = Draft::new(project, None);
    draft.inside.push(id.to_owned());
    let condition = draft.filter(filter, pointer);
    draft.finish(condition)
}

/// Check the caps and quiet hours of a project's settings.
///
/// # Errors
/// The problems, at least one, sorted by pointer.
pub fn check_settings(project: &Project, settings: &Settings) -> Result<(), Vec<Problem>> {
    let mut draft = Draft::new(project, None);
    draft.check_limits(&settings.caps, settings.quiet_hours.as_ref(), "");
    draft.check_amount(settings.session_timeout_minutes, 1, "/session_timeout_minutes");
    draft.check_amount(settings.late_after_hours, 0, "/late_after_hours");
    draft.check_amount(settings.in_app_expiry_days, 1, "/in_app_expiry_days");
    if !is_mailbox(&settings.sender) {
        let message = "The sender is no mailbox; write it like Name <address@example.com>.";
        draft.add("/sender", "bad_mailbox", message);
    }
    draft.finish(())
}

/// A compilation under way.
struct Draft<'a> {
    project: &'a Project,
    /// The outreach that `this` means.
    this: Option<OutreachNo>,
    /// The segments that are being looked into, outermost first.
    inside: Vec<String>,
    problems: Vec<Problem>,
}

impl<'a> Draft<'a> {
    fn new(project: &'a Project, this: Option<OutreachNo>) -> Draft<'a> {
        Draft { project, this, inside: Vec::new(), problems: Vec::new() }
    }

    fn add(&mut self, pointer: &str, code: &str, message: impl Into<String>) {
        self.problems.push(Problem::new(pointer, code, message));
    }

    fn finish<T>(mut self, made: T) -> Result<T, Vec<Problem>> {
        if self.problems.is_empty() {
            return Ok(made);
        }
        self.problems.sort();
        self.problems.dedup();
        Err(self.problems)
    }

    /// A name that something is found by.
    fn check_name(&mut self, name: &str, most: usize, pointer: &str) {
        if name.trim().is_empty() {
            self.add(pointer, "empty_name", "The name is empty; enter one.");
        } else if name.chars().count() > most {
            let message = format!("The name has more than {most} characters; shorten it.");
            self.add(pointer, "name_too_long", message);
        }
    }

    fn check_event_name(&mut self, name: &str, pointer: &str) {
        self.check_name(name, 200, pointer);
    }

    fn check_length<T>(&mut self, list: &[T], most: usize, pointer: &str) {
        if list.len() > most {
            let message = format!("There are {} entries; at most {most} are allowed.", list.len());
            self.add(pointer, "too_many", message);
        }
    }

    fn check_span(&mut self, span: definition::Span, pointer: &str) {
        self.check_amount(span.amount, 1, &format!("{pointer}/amount"));
    }

    fn check_amount(&mut self, amount: u32, least: u32, pointer: &str) {
        if amount < least || amount > 100_000 {
            let message = format!("{amount} is no usable length; enter {least} to 100,000.");
            self.add(pointer, "bad_duration", message);
        }
    }

    /// Hundredths of a percent.
    fn percent(&mut self, percent: f64, pointer: &str) -> u32 {
        if !(0.0..=100.0).contains(&percent) {
            let message = format!("{percent} is no share; enter a number from 0 to 100.");
            self.add(pointer, "bad_percent", message);
            return 0;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and 10,000"
        )]
        let hundredths = (percent * 100.0).round() as u32;
        hundredths
    }
}
