//! Changes of projects go through the applier too, so that each decision has a definite version of
//! each outreach.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use engine::ids::ProjectNo;
use engine::outreach::compiled::Trigger;
use engine::project::{OutreachLine, Project, ProjectChange, Status};
use engine::time::Timestamp;

use crate::applier::{Applier, Outcome};
use crate::command::{Accepted, Refused};
use crate::enact::Failure;
use crate::locks::{read, write};
use crate::published::Published;
use crate::record::{Entry, ProjectRecord, Scheduled};
use crate::resolve::not_found;
use crate::rows;
use crate::shared::Shared;

impl Applier {
    /// Change a project, or refuse with the problems.
    pub(crate) fn change(
        &mut self,
        no: ProjectNo,
        change: ProjectChange,
        now: Timestamp,
    ) -> Outcome {
        let current = match current(&self.shared, no, &change) {
            Ok(current) => current,
            Err(refused) => return Ok(Err(refused)),
        };
        if let Some(at) = launches_later(&current, &change, now)
            && let ProjectChange::Launched { id } = change
        {
            let outreach = id;
            return self.schedule(Scheduled { project: no, now, outreach, at });
        }
        let change = with_number(&current, change);
        let changed = catch_unwind(AssertUnwindSafe(|| current.changed(&change, now)));
        let next = match changed {
            Ok(Ok(next)) => next,
            Ok(Err(problems)) => return Ok(Err(Refused::Unsound(problems))),
            Err(_) => return Ok(Err(Refused::Invalid("the change cannot be compiled".to_owned()))),
        };
        let sweep = match self.snapshot(&next, &change, now) {
            Ok(sweep) => sweep,
            Err(failure) => return self.failed(failure),
        };
        let version = match &change {
            ProjectChange::OutreachSavedAs { id, .. } => Some(version_of(&next, id)),
            _ => None,
        };
        let record = ProjectRecord { project: no, now, change, sweep };
        let entry = Entry::Project(record);
        let position = match self.enactor.append(&entry, 0) {
            Ok(position) => position,
            Err(failure) => return self.failed(failure),
        };
        if let Entry::Project(record) = entry {
            install(&self.shared, position, record, next);
        }
        self.enactor.effects.push(Published::ProjectChanged { project: no });
        Ok(Ok(Accepted { version, position, ..Accepted::default() }))
    }

    /// Save a version when the outreach still stands where the author saw it. Asked here, where
    /// commands pass one by one, since between a question and a command others come in.
    pub(crate) fn save_outreach(
        &mut self,
        no: ProjectNo,
        saved: ProjectChange,
        expect: Option<u32>,
        now: Timestamp,
    ) -> Outcome {
        if let (Some(expected), ProjectChange::OutreachSaved { id, .. }) = (expect, &saved)
            && let Some(project) = self.shared.project(no)
        {
            let current = version_of(&project, id);
            if current != expected {
                return Ok(Err(Refused::Moved { id: id.clone(), current }));
            }
        }
        self.change(no, saved, now)
    }

    fn schedule(&mut self, scheduled: Scheduled) -> Outcome {
        let project = scheduled.project;
        let entry = Entry::Scheduled(scheduled);
        let position = match self.enactor.append(&entry, 0) {
            Ok(position) => position,
            Err(failure) => return self.failed(failure),
        };
        if let Entry::Scheduled(scheduled) = entry {
            note_scheduled(&self.shared, scheduled);
        }
        self.enactor.effects.push(Published::ProjectChanged { project });
        Ok(Ok(Accepted { position, ..Accepted::default() }))
    }

    /// In the log, or a start that reads it again would launch what was mended long after.
    fn unschedule(&mut self, scheduled: Scheduled) -> Result<(), Failure> {
        let entry = Entry::Unscheduled(scheduled);
        self.enactor.append(&entry, 0)?;
        if let Entry::Unscheduled(scheduled) = &entry {
            note_unscheduled(&self.shared, scheduled);
        }
        Ok(())
    }

    /// Launch the one-offs whose time has come.
    pub(crate) fn launch_scheduled(&mut self) {
        let now = self.shared.now();
        let due: Vec<Scheduled> = {
            let books = read(&self.shared.books);
            books.scheduled.iter().filter(|scheduled| scheduled.at <= now).cloned().collect()
        };
        for scheduled in due {
            let now = self.tick();
            let change = ProjectChange::Launched { id: scheduled.outreach.clone() };
            match self.change(scheduled.project, change, now) {
                Ok(Ok(_)) => {}
                Ok(Err(refused)) => {
                    tracing::warn!(outreach.id = scheduled.outreach, %refused, "not launched");
                    if let Err(failure) = self.unschedule(scheduled) {
                        self.note_failure(failure);
                        return;
                    }
                }
                // The disk is full or the host has stopped; it stays scheduled.
                Err(_) => return,
            }
        }
    }
}

/// What is saved is written with its number.
fn with_number(project: &Project, change: ProjectChange) -> ProjectChange {
    match change {
        ProjectChange::OutreachSaved { id, definition, author } => {
            let no = project.number_for(&id);
            ProjectChange::OutreachSavedAs { no, id, definition, author }
        }
        change => change,
    }
}

/// The latest version of an outreach; 0: there is none.
fn version_of(project: &Project, id: &str) -> u32 {
    let versions = project.outreach(id).map_or(0, |line| line.versions.len());
    u32::try_from(versions).unwrap_or(u32::MAX)
}

fn current(
    shared: &Shared,
    no: ProjectNo,
    change: &ProjectChange,
) -> Result<Arc<Project>, Refused> {
    let found = shared.project(no);
    let ProjectChange::Created { id } = change else {
        let project = found.ok_or_else(|| not_found("project", &no.0))?;
        return match missing(&project, change) {
            Some(refused) => Err(refused),
            None => Ok(project),
        };
    };
    let id_taken = read(&shared.projects).values().any(|project| project.id == *id);
    match found {
        Some(_) => Err(Refused::Conflict(format!("there is a project number {} already", no.0))),
        None if id_taken => Err(Refused::Conflict(format!("there is a project {id:?} already"))),
        None if id.trim().is_empty() => Err(Refused::Invalid("a project needs an id".to_owned())),
        None => Ok(Arc::new(Project::new(no, id))),
    }
}

/// What the change speaks of and the project does not have.
fn missing(project: &Project, change: &ProjectChange) -> Option<Refused> {
    match change {
        ProjectChange::StatusSet { id, .. }
        | ProjectChange::Archived { id }
        | ProjectChange::Launched { id } => {
            (!project.numbers.contains_key(id)).then(|| not_found("outreach", id))
        }
        ProjectChange::SegmentDeleted { id } => {
            (!project.segments.contains_key(id)).then(|| not_found("segment", id))
        }
        ProjectChange::Created { .. }
        | ProjectChange::SettingsSaved { .. }
        | ProjectChange::OutreachSaved { .. }
        | ProjectChange::OutreachSavedAs { .. }
        | ProjectChange::SegmentSaved { .. } => None,
    }
}

/// A one-off that names a time in the future waits for it.
fn launches_later(project: &Project, change: &ProjectChange, now: Timestamp) -> Option<Timestamp> {
    let ProjectChange::Launched { id } = change else { return None };
    let line = project.outreach(id)?;
    let at = launch_time(line)?;
    (at > now && line.launches == 0 && line.status != Status::Ended).then_some(at)
}

/// When the latest version wants to be launched.
fn launch_time(line: &OutreachLine) -> Option<Timestamp> {
    match &line.latest.as_ref().ok()?.trigger {
        Trigger::OneOff { at } => *at,
        Trigger::Event { .. } | Trigger::UserProperty { .. } => None,
    }
}

/// A change is in force. The live path and replay share this.
pub(crate) fn install(shared: &Shared, position: u64, record: ProjectRecord, next: Project) {
    shared.layers.write().now.changes.push((position, rows::row(&record)));
    install_known(shared, &record, next);
    let mut books = write(&shared.books);
    if let Some(sweep) = record.sweep.clone() {
        books.begin(sweep, record.now);
    }
    reschedule(&mut books.scheduled, shared, &record);
    drop(books);
    write(&shared.changes).push((position, record));
}

/// The project itself, for a start from the state store, which has the rest already.
pub(crate) fn install_known(shared: &Shared, record: &ProjectRecord, next: Project) {
    write(&shared.projects).insert(record.project, Arc::new(next));
}

/// A one-off that was edited, launched or ended meanwhile is launched at another time or not at all.
fn reschedule(scheduled: &mut Vec<Scheduled>, shared: &Shared, record: &ProjectRecord) {
    let (id, edited) = match &record.change {
        ProjectChange::OutreachSaved { id, .. } | ProjectChange::OutreachSavedAs { id, .. } => {
            (id, true)
        }
        ProjectChange::Launched { id } | ProjectChange::Archived { id } => (id, false),
        ProjectChange::StatusSet { id, .. } => (id, false),
        ProjectChange::Created { .. }
        | ProjectChange::SettingsSaved { .. }
        | ProjectChange::SegmentSaved { .. }
        | ProjectChange::SegmentDeleted { .. } => return,
    };
    let project = shared.project(record.project);
    let line = project.as_deref().and_then(|project| project.outreach(id));
    let at = line.and_then(launch_time).filter(|_| edited);
    scheduled.retain_mut(|scheduled| {
        if scheduled.project != record.project || scheduled.outreach != *id {
            return true;
        }
        at.is_some_and(|at| {
            scheduled.at = at;
            true
        })
    });
}

/// A one-off waits no more.
pub(crate) fn note_unscheduled(shared: &Shared, scheduled: &Scheduled) {
    write(&shared.books).scheduled.retain(|other| other != scheduled);
}

/// A one-off waits for its time.
pub(crate) fn note_scheduled(shared: &Shared, scheduled: Scheduled) {
    let mut books = write(&shared.books);
    books.scheduled.retain(|other| {
        (other.project, &other.outreach) != (scheduled.project, &scheduled.outreach)
    });
    books.scheduled.push(scheduled);
}
