//! How a change makes a project out of the one before it, or is refused with problems.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Listeners, OutreachLine, Project, ProjectChange, Segment, Settings, Status, Version};
use crate::ids::OutreachNo;
use crate::outreach::compile;
use crate::outreach::compiled::{Condition, Outreach, Trigger};
use crate::outreach::definition::{self, Definition};
use crate::outreach::problem::Problem;
use crate::time::{Timestamp, Zone};

impl Project {
    /// The project after a change.
    ///
    /// # Errors
    /// The problems that forbid it; the project stays as it is.
    pub fn changed(&self, change: &ProjectChange, now: Timestamp) -> Result<Project, Vec<Problem>> {
        self.changed_by_all(&[(change, now)])
    }

    /// The project after changes, one after the other; indexed once, at the end.
    ///
    /// # Errors
    /// The problems of the first that is forbidden; the project stays as it is.
    pub fn changed_by_all(
        &self,
        changes: &[(&ProjectChange, Timestamp)],
    ) -> Result<Project, Vec<Problem>> {
        let mut next = self.clone();
        for (change, now) in changes {
            next.change(change, *now)?;
        }
        next.index();
        Ok(next)
    }

    fn change(&mut self, change: &ProjectChange, now: Timestamp) -> Result<(), Vec<Problem>> {
        match change {
            ProjectChange::Created { id } => self.id.clone_from(id),
            ProjectChange::SettingsSaved { settings } => self.save_settings(settings)?,
            ProjectChange::OutreachSaved { id, definition, author } => {
                let no = self.number_for(id);
                self.save_outreach(no, id, (definition, author), now)?;
            }
            ProjectChange::OutreachSavedAs { no, id, definition, author } => {
                self.save_outreach(*no, id, (definition, author), now)?;
            }
            ProjectChange::StatusSet { id, status } => self.set_status(id, *status, now)?,
            ProjectChange::Archived { id } => {
                let line = self.line(id)?;
                line.archived = true;
                line.status = Status::Ended;
            }
            ProjectChange::Launched { id } => self.launch(id, now)?,
            ProjectChange::SegmentSaved { id, name, filter } => {
                self.save_segment(id, name, filter)?;
            }
            ProjectChange::SegmentDeleted { id } => self.delete_segment(id)?,
        }
        Ok(())
    }

    /// The number of an outreach, or the one that it gets when it is saved now.
    pub fn number_for(&self, id: &str) -> OutreachNo {
        let last = || self.outreaches.keys().next_back().map_or(0, |no| no.0);
        self.numbers.get(id).copied().unwrap_or_else(|| OutreachNo(last().saturating_add(1)))
    }

    fn line(&mut self, id: &str) -> Result<&mut OutreachLine, Vec<Problem>> {
        self.numbers
            .get(id)
            .and_then(|no| self.outreaches.get_mut(no))
            .ok_or_else(|| refused("unknown_outreach", format!("there is no outreach {id:?}")))
    }

    fn save_settings(&mut self, json: &str) -> Result<(), Vec<Problem>> {
        let settings: Settings = serde_json::from_str(json)
            .map_err(|error| refused("malformed_settings", error.to_string()))?;
        let Some(zone) = Zone::named(&settings.timezone) else {
            return Err(vec![Problem::new(
                "/timezone",
                "unknown_time_zone",
                format!(
                    "{:?} is no IANA time zone; use a name such as Europe/Berlin",
                    settings.timezone
                ),
            )]);
        };
        compile::check_settings(self, &settings)?;
        self.zone = zone;
        self.quiet_hours = settings.quiet_hours.as_ref().and_then(compile::quiet_hours);
        self.settings = settings;
        Ok(())
    }

    fn save_outreach(
        &mut self,
        no: OutreachNo,
        id: &str,
        (json, author): (&str, &str),
        now: Timestamp,
    ) -> Result<(), Vec<Problem>> {
        let definition = compile::read(json)?;
        if self.numbers.get(id).is_some_and(|known| *known != no)
            || self.outreaches.get(&no).is_some_and(|line| line.id != id)
        {
            let message = format!("{id:?} cannot have the number {}, which is another's", no.0);
            return Err(refused("number_taken", message));
        }
        if !self.outreaches.contains_key(&no) {
            self.numbers.insert(id.to_owned(), no);
            self.outreaches.insert(no, new_line(no, id));
        }
        let version = self.outreaches.get(&no).map_or(0, |line| line.versions.len()) + 1;
        let version = u32::try_from(version).unwrap_or(u32::MAX);
        let latest = self.compile(no, id, version, &definition);
        if let Some(line) = self.outreaches.get_mut(&no) {
            let author = author.to_owned();
            line.versions.push(Arc::new(Version { definition, saved_at: now, author }));
            line.latest = latest;
        }
        Ok(())
    }

    fn set_status(&mut self, id: &str, status: Status, now: Timestamp) -> Result<(), Vec<Problem>> {
        let line = self.line(id)?;
        if line.status == Status::Ended {
            return Err(refused("ended", format!("{id:?} has ended for good; clone it instead")));
        }
        match status {
            Status::Live | Status::Shadow => {
                let outreach = line.latest.clone()?;
                let is_one_off = matches!(outreach.trigger, Trigger::OneOff { .. });
                if is_one_off && status == Status::Live && line.launches == 0 {
                    return Err(refused(
                        "one_off",
                        "a one-off does not go live; launch it instead".to_owned(),
                    ));
                }
                if line.status != status {
                    line.live_since = Some(now);
                }
                line.published.insert(outreach.version, Arc::clone(&outreach));
                line.live = Some(outreach);
            }
            Status::Draft => {
                return Err(refused("no_way_back", "a status never goes back to draft".to_owned()));
            }
            Status::Paused if line.live.is_none() => {
                return Err(refused("not_live", format!("{id:?} was never live")));
            }
            Status::Paused | Status::Ended => {}
        }
        line.status = status;
        Ok(())
    }

    fn launch(&mut self, id: &str, now: Timestamp) -> Result<(), Vec<Problem>> {
        let line = self.line(id)?;
        if line.status == Status::Ended {
            return Err(refused("ended", format!("{id:?} has ended for good; clone it instead")));
        }
        let outreach = line.latest.clone()?;
        if !matches!(outreach.trigger, Trigger::OneOff { .. }) {
            return Err(refused(
                "not_one_off",
                "only an outreach with a one-off trigger is launched; go live instead".to_owned(),
            ));
        }
        if line.launches > 0 {
            return Err(refused(
                "already_launched",
                format!(
                    "{id:?} was launched before; a one-off is sent once, clone it to send again"
                ),
            ));
        }
        line.launches += 1;
        line.status = Status::Live;
        line.live_since = Some(now);
        line.published.insert(outreach.version, Arc::clone(&outreach));
        line.live = Some(outreach);
        Ok(())
    }

    fn save_segment(&mut self, id: &str, name: &str, filter: &str) -> Result<(), Vec<Problem>> {
        let filter: Option<definition::Condition> = match filter.trim() {
            "" | "null" => None,
            json => Some(compile::read_filter(json, "/filter")?),
        };
        let condition = match &filter {
            Some(filter) => Some(Arc::new(compile::compile_segment(self, id, "/filter", filter)?)),
            None => None,
        };
        let segment = Segment { id: id.to_owned(), name: name.to_owned(), filter, condition };
        self.segments.insert(id.to_owned(), segment);
        self.recompile()
    }

    fn delete_segment(&mut self, id: &str) -> Result<(), Vec<Problem>> {
        if self.segments.remove(id).is_none() {
            return Err(refused("unknown_segment", format!("there is no segment {id:?}")));
        }
        self.recompile()
    }

    /// Compile again what may hold a segment. What is in force may not break.
    fn recompile(&mut self) -> Result<(), Vec<Problem>> {
        let segments: Vec<_> = self.segments.values().cloned().collect();
        for segment in segments {
            if let Some(filter) = &segment.filter {
                let condition = compile::compile_segment(self, &segment.id, "/filter", filter)?;
                if let Some(place) = self.segments.get_mut(&segment.id) {
                    place.condition = Some(Arc::new(condition));
                }
            }
        }
        let lines: Vec<_> = self.outreaches.values().cloned().collect();
        for mut line in lines {
            if let Some(latest) = line.versions.last() {
                let version = u32::try_from(line.versions.len()).unwrap_or(u32::MAX);
                line.latest = self.compile(line.no, &line.id, version, &latest.definition);
            }
            for outreach in line.published.values_mut() {
                let definition = &outreach.definition;
                *outreach = self.compile(line.no, &line.id, outreach.version, definition)?;
            }
            if let Some(live) = &line.live {
                line.live = line.published.get(&live.version).cloned();
            }
            self.outreaches.insert(line.no, line);
        }
        Ok(())
    }

    fn compile(
        &self,
        no: OutreachNo,
        id: &str,
        version: u32,
        definition: &Definition,
    ) -> Result<Arc<Outreach>, Vec<Problem>> {
        compile::compile(self, no, id, version, definition).map(Arc::new)
    }

    /// Put every published outreach where its trigger, cancel events and goal find it.
    fn index(&mut self) {
        let mut by_event: HashMap<u64, Vec<&Arc<Outreach>>> = HashMap::new();
        let mut by_cancel: HashMap<u64, Vec<OutreachNo>> = HashMap::new();
        let mut by_goal: HashMap<u64, Vec<OutreachNo>> = HashMap::new();
        let mut by_property = Vec::new();
        let mut live: Vec<&Arc<Outreach>> =
            self.outreaches.values().filter_map(|line| line.live.as_ref()).collect();
        live.sort_by_key(|outreach| (std::cmp::Reverse(outreach.guardrails.priority), outreach.no));
        for outreach in live {
            let judged = self.outreaches.get(&outreach.no).is_some_and(|line| {
                matches!(line.status, Status::Live | Status::Shadow | Status::Paused)
            });
            match &outreach.trigger {
                Trigger::Event { event, .. } if judged => {
                    by_event.entry(*event).or_default().push(outreach);
                }
                Trigger::UserProperty { .. } if judged => by_property.push(outreach.no),
                Trigger::Event { .. } | Trigger::UserProperty { .. } | Trigger::OneOff { .. } => {}
            }
            // What waits keeps the version that decided it, and that version's cancel events.
            let versions = self
                .outreaches
                .get(&outreach.no)
                .into_iter()
                .flat_map(|line| line.published.values());
            for (event, _) in versions.flat_map(|version| cancel_events(&version.trigger)) {
                let cancels = by_cancel.entry(*event).or_default();
                if !cancels.contains(&outreach.no) {
                    cancels.push(outreach.no);
                }
            }
            if let Some(goal) = &outreach.goal {
                by_goal.entry(goal.event).or_default().push(outreach.no);
            }
        }
        let listeners = by_event.iter().map(|(event, all)| (*event, Listeners::new(all)));
        self.by_event = listeners.collect();
        self.by_cancel_event = by_cancel;
        self.by_goal = by_goal;
        self.by_property = by_property;
    }
}

fn cancel_events(trigger: &Trigger) -> &[(u64, Option<Condition>)] {
    match trigger {
        Trigger::Event { wait, .. } | Trigger::UserProperty { wait, .. } => &wait.cancel_on,
        Trigger::OneOff { .. } => &[],
    }
}

fn new_line(no: OutreachNo, id: &str) -> OutreachLine {
    OutreachLine {
        no,
        id: id.to_owned(),
        status: Status::Draft,
        live_since: None,
        versions: Vec::new(),
        live: None,
        published: std::collections::BTreeMap::new(),
        latest: Err(Vec::new()),
        launches: 0,
        archived: false,
    }
}

fn refused(code: &str, message: String) -> Vec<Problem> {
    vec![Problem::new("", code, message)]
}
