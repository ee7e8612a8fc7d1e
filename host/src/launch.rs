//! Sweeps: one look at each customer of a snapshot, because a one-off was launched or an outreach
//! with a property trigger went live.
//!
//! The snapshot is taken by the applier, which alone changes customers, so it is one moment. Its
//! members stand in the log before the change that asks for them: a crash in between leaves
//! members without a change, which mean nothing. Then each member has a fact of their own, in turns
//! with live traffic, and after each turn the log says how far it came. What a crash repeats is at
//! most one turn, and the claims of the engine make that harmless.

use std::ops::ControlFlow;

use engine::fact::Fact;
use engine::ids::CustomerId;
use engine::outreach::compiled::Trigger;
use engine::project::{OutreachLine, Project, ProjectChange, Status};
use engine::situation::Occasion;
use engine::time::Timestamp;
use store::state::StateError;

use crate::applier::Applier;
use crate::enact::Failure;
use crate::history::{LogHistory, Parsed};
use crate::limits::{MEMBERS_PER_RECORD, SWEEP_PER_TURN};
use crate::locks::{read, write};
use crate::published::Published;
use crate::query::audience::{ask, matches};
use crate::record::{Entry, Sweep, SweepCause, Swept, Unreadable};
use crate::walk::{self, Walk};

impl Applier {
    /// Write down the customers whom a change concerns, if it concerns any.
    pub(crate) fn snapshot(
        &mut self,
        next: &Project,
        change: &ProjectChange,
        now: Timestamp,
    ) -> Result<Option<Sweep>, Failure> {
        let (line, cause) = match change {
            ProjectChange::StatusSet { id, status: Status::Live | Status::Shadow } => {
                (next.outreach(id), SweepCause::WentLive)
            }
            ProjectChange::Launched { id } => {
                let line = next.outreach(id);
                let launch = line.map_or(1, |line| line.launches);
                (line, SweepCause::Launched { launch })
            }
            _ => return Ok(None),
        };
        let Some(line) = line else { return Ok(None) };
        let members = self
            .members_of(next, line, cause, now)
            .map_err(|error| Failure::Fatal(error.to_string()))?;
        let Some(members) = members else { return Ok(None) };
        let mut chunks = Vec::new();
        for chunk in members.chunks(MEMBERS_PER_RECORD) {
            chunks.push(self.enactor.append(&Entry::Members(chunk.to_vec()), 0)?);
        }
        let total = members.len() as u64;
        Ok(Some(Sweep { project: next.no, outreach: line.no, cause, chunks, total, done: 0 }))
    }

    /// In the order of their ids. `None`: the change asks for no sweep.
    fn members_of(
        &self,
        next: &Project,
        line: &OutreachLine,
        cause: SweepCause,
        now: Timestamp,
    ) -> Result<Option<Vec<CustomerId>>, StateError> {
        let Some(live) = line.live.as_ref() else { return Ok(None) };
        let audience = match (&live.trigger, cause) {
            (Trigger::UserProperty { .. }, SweepCause::WentLive) => None,
            (Trigger::OneOff { .. }, SweepCause::Launched { .. }) => live.audience.as_ref(),
            (Trigger::Event { .. } | Trigger::UserProperty { .. } | Trigger::OneOff { .. }, _) => {
                return Ok(None);
            }
        };
        let parsed = Parsed::default();
        let history = LogHistory {
            reader: &self.shared.reader,
            project: next,
            parsed: &parsed,
            at_hand: (u64::MAX, &[]),
        };
        let occasion = || match cause {
            SweepCause::WentLive => Occasion::Property,
            SweepCause::Launched { launch } => Occasion::OneOff { outreach: line.no, launch },
        };
        let mut members = Vec::new();
        Walk::of(next.no).visit(&self.shared, |id, customer| {
            let own = customer.merged_into.is_none();
            if own && matches(audience, &ask(next, id, customer, occasion(), now, &history)) {
                members.push(id);
            }
            ControlFlow::Continue(())
        })?;
        Ok(Some(members))
    }

    /// Take the next customers of the oldest sweep.
    pub(crate) fn sweep(&mut self) {
        let Some(sweep) = read(&self.shared.books).sweeps.first().cloned() else { return };
        if self.full_until.is_some_and(|until| until > std::time::Instant::now()) {
            return;
        }
        if let Err(failure) = self.sweep_turn(&sweep) {
            self.note_failure(failure);
        }
    }

    fn sweep_turn(&mut self, sweep: &Sweep) -> Result<(), Failure> {
        let place = usize::try_from(sweep.done).unwrap_or(usize::MAX);
        let (chunk, within) = (place / MEMBERS_PER_RECORD, place % MEMBERS_PER_RECORD);
        let Some(at) = sweep.chunks.get(chunk) else {
            return self.swept(sweep, sweep.total);
        };
        let members = self.members_at(*at).map_err(|error| Failure::Fatal(error.to_string()))?;
        let turn: Vec<CustomerId> =
            members.iter().skip(within).take(SWEEP_PER_TURN).copied().collect();
        let Some(project) = self.shared.project(sweep.project) else { return Ok(()) };
        let warmed = walk::warm(&self.shared, sweep.project, &turn);
        warmed.map_err(|error| Failure::Fatal(error.to_string()))?;
        for member in &turn {
            // Whoever was erased meanwhile is gone; whoever was merged counts as who they are.
            let home = self.shared.follow_held(sweep.project, *member);
            let home = home.map_err(|error| Failure::Fatal(error.to_string()))?;
            let Some(home) = home else { continue };
            let outreach = sweep.outreach;
            let fact = match sweep.cause {
                SweepCause::WentLive => Fact::WentLive { outreach },
                SweepCause::Launched { launch } => Fact::Launched { outreach, launch },
            };
            let now = self.tick();
            match self.enactor.enact(&project, vec![(home, fact)], now) {
                Ok(_) => {}
                Err(failure @ Failure::Impossible(_)) => self.note_failure(failure),
                Err(failure) => return Err(failure),
            }
        }
        self.swept(sweep, sweep.done + turn.len().max(1) as u64)
    }

    fn swept(&mut self, sweep: &Sweep, done: u64) -> Result<(), Failure> {
        let (project, outreach, cause) = (sweep.project, sweep.outreach, sweep.cause);
        let swept = Swept { project, outreach, cause, done };
        self.enactor.append(&Entry::Swept(swept), 0)?;
        write(&self.shared.books).advance(swept);
        self.enactor.effects.push(Published::LaunchAdvanced { project, outreach });
        Ok(())
    }

    fn members_at(&mut self, position: u64) -> Result<&[CustomerId], Unreadable> {
        if self.members.as_ref().is_none_or(|(known, _)| *known != position) {
            let entry = Entry::decode(&self.shared.reader.read(position)?)?;
            let members = match entry {
                Entry::Members(members) => members,
                _ => Vec::new(),
            };
            self.members = Some((position, members));
        }
        Ok(self.members.as_ref().map_or(&[], |(_, members)| members))
    }
}
