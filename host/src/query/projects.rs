//! The projects, what they see, and how their outreaches do.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::ids::{OutreachNo, ProjectNo};
use engine::project::Project;
use engine::time::Timestamp;

use crate::books::{Counts, LaunchProgress};
use crate::catalogue::Catalogue;
use crate::locks::read;
use crate::open::Host;

impl Host {
    /// All projects, by number.
    pub fn projects(&self) -> Vec<Arc<Project>> {
        read(&self.shared.projects).values().cloned().collect()
    }

    /// A project as it stands now.
    pub fn project(&self, no: ProjectNo) -> Option<Arc<Project>> {
        self.shared.project(no)
    }

    /// A project by its id.
    pub fn project_by_id(&self, id: &str) -> Option<Arc<Project>> {
        read(&self.shared.projects).values().find(|project| project.id == id).cloned()
    }

    /// A number that no project has yet; creating one with a taken number is refused.
    pub fn next_project_no(&self) -> ProjectNo {
        let last = read(&self.shared.projects).keys().next_back().map_or(0, |no| no.0);
        ProjectNo(last + 1)
    }

    /// The events and attributes that a project sees.
    pub fn catalogue(&self, project: ProjectNo) -> Catalogue {
        let books = read(&self.shared.books);
        books.projects.get(&project).map(|book| book.catalogue.clone()).unwrap_or_default()
    }

    /// What was decided on each outreach.
    pub fn counts(&self, project: ProjectNo) -> BTreeMap<OutreachNo, Counts> {
        let books = read(&self.shared.books);
        books.projects.get(&project).map(|book| book.counts.clone()).unwrap_or_default()
    }

    /// How far the launch of a one-off has come.
    pub fn launch_progress(
        &self,
        project: ProjectNo,
        outreach: OutreachNo,
    ) -> Option<LaunchProgress> {
        read(&self.shared.books).projects.get(&project)?.launches.get(&outreach).copied()
    }

    /// When a one-off will launch by itself.
    pub fn scheduled_launch(&self, project: ProjectNo, outreach: &str) -> Option<Timestamp> {
        let books = read(&self.shared.books);
        let mut scheduled = books.scheduled.iter();
        let own = scheduled.find(|own| own.project == project && own.outreach == outreach);
        own.map(|own| own.at)
    }
}

/// Everything that a project is made of; what is compiled follows from it.
pub(crate) fn hash(project: &Project, hasher: &mut blake3::Hasher) {
    let mut add = |text: &str| {
        hasher.update(&(text.len() as u64).to_be_bytes());
        hasher.update(text.as_bytes());
    };
    add(&project.no.0.to_string());
    add(&project.id);
    add(&json(&project.settings));
    for line in project.outreaches.values() {
        add(&line.no.0.to_string());
        add(&line.id);
        add(line.status.name());
        add(&format!("{:?} {} {}", line.live_since, line.launches, line.archived));
        add(&format!("{:?}", line.live.as_ref().map(|live| live.version)));
        for version in &line.versions {
            add(&json(&version.definition));
            add(&version.author);
            add(&version.saved_at.0.to_string());
        }
    }
    for segment in project.segments.values() {
        add(&segment.id);
        add(&segment.name);
        add(&json(&segment.filter));
    }
}

/// As JSON; the types of definitions can always be written.
fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
