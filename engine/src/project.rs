//! A project: one tenant with its own customers, outreaches, segments and settings.
//!
//! Its changes are facts too, in one order with everything else, so each decision has a definite
//! version of each outreach. The whole of it fits in memory and is compiled once per change.

mod change;
mod listeners;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use self::listeners::Listeners;
use crate::ids::{OutreachNo, ProjectNo};
use crate::outreach::compiled::{Condition, Outreach};
use crate::outreach::definition::{self, Cap, Definition, QuietHours};
use crate::outreach::problem::Problem;
use crate::time::{Timestamp, Zone};

/// A project and everything compiled from it.
#[derive(Clone, Debug)]
pub struct Project {
    /// Its number.
    pub no: ProjectNo,
    /// Its id in API and screens.
    pub id: String,
    /// Its settings.
    pub settings: Settings,
    /// The time zone of the settings.
    pub zone: Zone,
    /// The hours of rest of the settings.
    pub quiet_hours: Option<crate::outreach::compiled::QuietHours>,
    /// All outreaches, by number.
    pub outreaches: BTreeMap<OutreachNo, OutreachLine>,
    /// Numbers by id.
    pub numbers: HashMap<String, OutreachNo>,
    /// All segments, by id.
    pub segments: BTreeMap<String, Segment>,
    /// Outreaches to judge when an event of this key happens, by falling priority, then number.
    pub by_event: HashMap<u64, Listeners>,
    /// Outreaches whose trigger is a property, by falling priority, then number.
    pub by_property: Vec<OutreachNo>,
    /// Outreaches that wait for, or are withdrawn by, an event of this key.
    pub by_cancel_event: HashMap<u64, Vec<OutreachNo>>,
    /// Outreaches whose goal is an event of this key.
    pub by_goal: HashMap<u64, Vec<OutreachNo>>,
}

impl Project {
    /// A project without anything in it.
    pub fn new(no: ProjectNo, id: &str) -> Project {
        Project {
            no,
            id: id.to_owned(),
            settings: Settings::default(),
            zone: Zone::utc(),
            quiet_hours: None,
            outreaches: BTreeMap::new(),
            numbers: HashMap::new(),
            segments: BTreeMap::new(),
            by_event: HashMap::new(),
            by_property: Vec::new(),
            by_cancel_event: HashMap::new(),
            by_goal: HashMap::new(),
        }
    }

    /// An outreach by its id.
    pub fn outreach(&self, id: &str) -> Option<&OutreachLine> {
        self.outreaches.get(self.numbers.get(id)?)
    }

    /// The compiled version that decided a delivery.
    pub fn published(&self, no: OutreachNo, version: u32) -> Option<&Arc<Outreach>> {
        self.outreaches.get(&no)?.published.get(&version)
    }

    /// The zone a customer lives in.
    pub fn zone_of(&self, customer: &crate::customer::Customer) -> Zone {
        customer.zone().unwrap_or_else(|| self.zone.clone())
    }
}

/// An outreach through its versions.
#[derive(Clone, Debug)]
pub struct OutreachLine {
    /// Its number.
    pub no: OutreachNo,
    /// Its id.
    pub id: String,
    /// Where it stands.
    pub status: Status,
    /// When it last went live; events from before never trigger it.
    pub live_since: Option<Timestamp>,
    /// Every saved version, oldest first; version n is at n − 1.
    pub versions: Vec<Arc<Version>>,
    /// The compiled version that is judged while live: the latest that was published.
    pub live: Option<Arc<Outreach>>,
    /// Every compiled version that was ever published, for deliveries that it decided.
    pub published: BTreeMap<u32, Arc<Outreach>>,
    /// The compiled latest version, for estimates and questions, with its problems when it has any.
    pub latest: Result<Arc<Outreach>, Vec<Problem>>,
    /// How many launches there were.
    pub launches: u32,
    /// No longer listed.
    pub archived: bool,
}

/// An immutable saved version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// What was written.
    pub definition: Definition,
    /// When it was saved.
    pub saved_at: Timestamp,
    /// By whom.
    pub author: String,
}

/// Where an outreach stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Being written.
    Draft,
    /// Judged and recorded, never sent.
    Shadow,
    /// In force.
    Live,
    /// Refuses everything and queues nothing.
    Paused,
    /// Over for good.
    Ended,
}

impl Status {
    /// The word in API and screen.
    pub fn name(self) -> &'static str {
        match self {
            Status::Draft => "draft",
            Status::Shadow => "shadow",
            Status::Live => "live",
            Status::Paused => "paused",
            Status::Ended => "ended",
        }
    }
}

/// A named audience.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Its id.
    pub id: String,
    /// What the team calls it.
    pub name: String,
    /// As it was written.
    pub filter: Option<definition::Condition>,
    /// Compiled; `None` means everyone.
    pub condition: Option<Arc<Condition>>,
}

/// A project's settings. Every one has a default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// What the team calls the project.
    pub name: String,
    /// IANA time zone for customers whose own is not known.
    pub timezone: String,
    /// A session ends after so many minutes of silence.
    pub session_timeout_minutes: u32,
    /// Older events are stored and never trigger.
    pub late_after_hours: u32,
    /// Caps over all outreaches.
    pub caps: Vec<Cap>,
    /// Hours of rest for all outreaches that ring.
    pub quiet_hours: Option<QuietHours>,
    /// `Name <address>` that mail comes from.
    pub sender: String,
    /// In-app deliveries expire after so many days unless the outreach says otherwise.
    pub in_app_expiry_days: u32,
    /// Whether mail may be sent to customers who never said yes or no.
    pub consent_by_default: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            name: String::new(),
            timezone: "UTC".to_owned(),
            session_timeout_minutes: 30,
            late_after_hours: 72,
            caps: Vec::new(),
            quiet_hours: None,
            sender: "Tidings <tidings@localhost>".to_owned(),
            in_app_expiry_days: 30,
            consent_by_default: true,
        }
    }
}

/// A change of a project, as it stands in the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ProjectChange {
    /// The project begins.
    Created {
        /// Its id.
        id: String,
    },
    /// New settings (JSON, so that old logs stay readable).
    SettingsSaved {
        /// [`Settings`] as JSON.
        settings: String,
    },
    /// A version of an outreach was saved; the first one creates it.
    OutreachSaved {
        /// Its id.
        id: String,
        /// [`Definition`] as JSON.
        definition: String,
        /// By whom.
        author: String,
    },
    /// An outreach changed its status. `Live` publishes the latest version.
    StatusSet {
        /// Its id.
        id: String,
        /// The new status.
        status: Status,
    },
    /// An outreach is no longer listed (and ended).
    Archived {
        /// Its id.
        id: String,
    },
    /// A one-off was launched.
    Launched {
        /// Its id.
        id: String,
    },
    /// A segment was saved.
    SegmentSaved {
        /// Its id.
        id: String,
        /// What the team calls it.
        name: String,
        /// The filter as JSON, or `null`.
        filter: String,
    },
    /// A segment is gone.
    SegmentDeleted {
        /// Its id.
        id: String,
    },
    /// [`ProjectChange::OutreachSaved`] as it is written since the number stands in it. Claims and
    /// decisions name the number, so it must not follow from how many other changes a later
    /// compiler accepts.
    OutreachSavedAs {
        /// Its number.
        no: OutreachNo,
        /// Its id.
        id: String,
        /// [`Definition`] as JSON.
        definition: String,
        /// By whom.
        author: String,
    },
}
