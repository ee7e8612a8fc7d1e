//! An outreach proven sound: names are hashes, times are numbers, patterns are compiled.
//! Only [`super::compile`] makes one; only this is ever judged.

use std::sync::Arc;

use super::content::OutreachType;
use super::definition::{
    CapScope, Count, Definition, Otherwise, OutreachStep, PageRule, RateLimit, Span, Unit,
};
use crate::ids::OutreachNo;
use crate::time::Timestamp;

/// A compiled version of an outreach.
#[derive(Debug)]
pub struct Outreach {
    /// Its number in the project.
    pub no: OutreachNo,
    /// Its id in API, files and screens.
    pub id: String,
    /// Which version of the definition.
    pub version: u32,
    /// The definition it came from.
    pub definition: Definition,
    /// The type.
    pub outreach_type: OutreachType,
    /// When to send.
    pub trigger: Trigger,
    /// Who gets it; `None` means everyone.
    pub audience: Option<Condition>,
    /// How often.
    pub frequency: Frequency,
    /// First moment at which it may trigger.
    pub start: Option<Timestamp>,
    /// First moment at which it may not trigger any more.
    pub stop: Option<Timestamp>,
    /// Where it may be shown.
    pub pages: Vec<PageRule>,
    /// Its limits.
    pub guardrails: Guardrails,
    /// What counts as success.
    pub goal: Option<Goal>,
    /// Its tags.
    pub tags: Vec<String>,
    /// How long an unsent or unseen delivery lives.
    pub expires_after: Option<Span>,
    /// What is said.
    pub content: super::compile::content::CompiledContent,
}

/// When to send.
#[derive(Debug)]
pub enum Trigger {
    /// An event.
    Event {
        /// The name's key.
        event: u64,
        /// Conditions on its properties.
        conditions: Option<Condition>,
        /// How long to wait and what withdraws it meanwhile.
        wait: Wait,
    },
    /// An attribute.
    UserProperty {
        /// The condition on attributes.
        condition: Condition,
        /// Also those who match at going live.
        include_current: bool,
        /// How long to wait and what withdraws it meanwhile.
        wait: Wait,
    },
    /// A launch.
    OneOff {
        /// When; `None`: by hand.
        at: Option<Timestamp>,
    },
}

/// A delay after the trigger.
#[derive(Debug)]
pub struct Wait {
    /// How long.
    pub delay: Option<Span>,
    /// (event key, conditions on its properties).
    pub cancel_on: Vec<(u64, Option<Condition>)>,
    /// Judge the audience again when it is over.
    pub recheck_audience: bool,
}

/// A compiled condition and the place in the definition it came from.
#[derive(Debug, Clone)]
pub struct Condition {
    /// JSON pointer within the definition (`/audience/filter/conditions/0`), or within the segment.
    pub pointer: Arc<str>,
    /// What it asks.
    pub ask: Ask,
}

/// What a condition asks. Muted conditions are gone.
#[derive(Debug, Clone)]
pub enum Ask {
    /// Every one holds.
    All(Vec<Condition>),
    /// At least one holds, or there is none.
    Any(Vec<Condition>),
    /// None holds.
    None(Vec<Condition>),
    /// An attribute by canonical key.
    Attribute {
        /// Canonical key.
        key: String,
        /// The comparison.
        test: Test,
    },
    /// A property of the event at hand, by dotted path.
    Property {
        /// Dotted path.
        path: String,
        /// The comparison.
        test: Test,
    },
    /// What the customer did.
    Event {
        /// The name's key.
        event: u64,
        /// The name as written, for explanations.
        name: String,
        /// How often or which occurrence.
        test: EventTest,
        /// When.
        window: Window,
        /// Conditions on the properties.
        conditions: Option<Box<Condition>>,
        /// Without the triggering event.
        exclude_trigger: bool,
    },
    /// What became of an outreach.
    Outreach {
        /// Its number.
        outreach: OutreachNo,
        /// Its id, for explanations.
        id: String,
        /// What happened.
        was: OutreachStep,
        /// When.
        window: Window,
        /// Turn the answer round.
        negate: bool,
    },
    /// Member of a segment, whose condition is compiled in.
    Segment {
        /// The segment's id, for explanations.
        id: String,
        /// The segment's own condition; `None` means everyone.
        condition: Option<Arc<Condition>>,
        /// Turn the answer round.
        negate: bool,
    },
    /// A stable share.
    RandomBucket {
        /// Lower end, in hundredths of a percent (0 to 10,000).
        from: u32,
        /// Upper end (excluded), may exceed 10,000 and then wraps.
        to: u32,
        /// Whose order of customers.
        salt: String,
    },
}

/// How often, or which occurrence.
#[derive(Debug, Clone, PartialEq)]
pub enum EventTest {
    /// So often (performed: at least 1; not performed: exactly 0).
    Count(Count),
    /// The first of the name.
    First,
    /// The last of the name.
    Last,
}

/// A span of time.
#[derive(Debug, Clone, PartialEq)]
pub enum Window {
    /// No bound.
    Ever,
    /// (now − n, now].
    Last {
        /// How many.
        amount: u32,
        /// Of what.
        unit: Unit,
    },
    /// Two texts, moment or day, both included; read in the customer's zone when days.
    Between {
        /// From.
        from: String,
        /// To.
        to: String,
    },
    /// Since first seen.
    SinceFirstSeen,
}

/// One comparison, ready to run. Texts are lower case unless `match_case`.
#[derive(Debug, Clone)]
pub enum Test {
    /// Has a value.
    IsSet,
    /// Has none.
    IsNotSet,
    /// Has an empty value.
    IsEmpty,
    /// A comparison of texts.
    Text {
        /// Which.
        op: TextOp,
        /// With what.
        values: Vec<String>,
        /// Tell `A` from `a`.
        match_case: bool,
    },
    /// The pattern matches somewhere.
    Regex(regex::Regex),
    /// A comparison of numbers.
    Number {
        /// Which.
        op: NumberOp,
        /// With what.
        value: f64,
    },
    /// Between two numbers, both included.
    NumberBetween {
        /// The lower end.
        min: f64,
        /// The upper end.
        max: f64,
    },
    /// A boolean.
    Boolean(bool),
    /// A comparison of dates.
    Date(DateTest),
    /// A comparison of lists.
    List {
        /// Which.
        op: ListOp,
        /// With what; lower case.
        values: Vec<String>,
    },
    /// The number of elements.
    ListSize(Count),
}

/// Comparisons of texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum TextOp {
    Is,
    IsNot,
    IsAnyOf,
    IsNoneOf,
    Contains,
    DoesNotContain,
    StartsWith,
    DoesNotStartWith,
    EndsWith,
}

/// Comparisons of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum NumberOp {
    Equals,
    NotEquals,
    GreaterThan,
    AtLeast,
    LessThan,
    AtMost,
}

/// Comparisons of lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum ListOp {
    Contains,
    AnyOf,
    AllOf,
    NoneOf,
}

/// Comparisons of dates. Texts are a moment or a day and are read in the customer's zone.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "documented at the definition's tests")]
pub enum DateTest {
    Before(String),
    On(String),
    After(String),
    Between(String, String),
    MoreThanAgo(u32, Unit),
    LessThanAgo(u32, Unit),
    ExactlyAgo(u32, Unit),
    InNext(u32, Unit),
    Anniversary,
}

/// How often one customer gets it.
#[derive(Debug, Clone, PartialEq)]
pub enum Frequency {
    /// A single time.
    Once,
    /// Each time.
    EveryTime,
    /// Once per value of this property (dotted path).
    OncePerKey(String),
    /// At most once in any such span.
    AtMostOncePer(Span),
    /// At most so many times.
    AtMost(u32),
    /// Until answered, and at most once per span.
    UntilAnswered(Option<Span>),
}

/// What keeps an outreach from becoming a nuisance.
#[derive(Debug, Clone, Default)]
pub struct Guardrails {
    /// Caps of the outreach itself.
    pub caps: Vec<Cap>,
    /// Hours of rest.
    pub quiet_hours: Option<QuietHours>,
    /// Windows of the week.
    pub send_windows: Vec<SendWindow>,
    /// Over all customers.
    pub rate_limit: Option<RateLimit>,
    /// Higher goes first.
    pub priority: i32,
    /// In hundredths of a percent (0 to 10,000).
    pub holdout: u32,
    /// Free of the project's caps and quiet hours.
    pub ignore_project_limits: bool,
}

/// At most `times` sends per span.
#[derive(Debug, Clone, PartialEq)]
pub struct Cap {
    /// What is counted.
    pub over: CapScope,
    /// How many.
    pub times: u32,
    /// In any such span up to now.
    pub per: Span,
}

/// Hours of rest, in minutes since midnight; may pass midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuietHours {
    /// First minute of rest.
    pub from: u16,
    /// First minute after it.
    pub to: u16,
    /// Hold or skip.
    pub otherwise: Otherwise,
}

/// A window of the week.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendWindow {
    /// Monday is the first.
    pub days: [bool; 7],
    /// First minute.
    pub from: u16,
    /// First minute after it.
    pub to: u16,
}

/// What counts as success.
#[derive(Debug, Clone)]
pub struct Goal {
    /// The event's key.
    pub event: u64,
    /// Conditions on its properties.
    pub conditions: Option<Condition>,
    /// How long after the delivery.
    pub within: Span,
}
