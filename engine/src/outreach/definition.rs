//! The rule definition: one JSON that is API body, editor model and file format.
//!
//! `kind` is the discriminator everywhere. A definition may be wrong: it is what somebody typed.
//! [`crate::outreach::compile`] proves it sound or answers with a list of problems; only the
//! compiled outreach is ever judged. Fields a reader can leave out have a default and are left
//! out again when written, so that a file stays as short as the idea it holds.
//!
//! Deliberately not here: status, versions and statistics. They are facts about an outreach,
//! not part of what somebody wrote.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::content::Content;

/// An outreach as it is written: the rule (trigger, audience, frequency), its limits and its content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// What the team calls it, 1 to 200 characters.
    pub name: String,
    /// When to send.
    pub trigger: Trigger,
    /// Who gets it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub audience: Audience,
    /// How often one customer gets it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub frequency: Frequency,
    /// From when until when it may trigger.
    #[serde(default, skip_serializing_if = "is_default")]
    pub schedule: Schedule,
    /// In-app types only: the pages where it may be shown. All rules must hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pages: Vec<PageRule>,
    /// Caps, quiet hours, send windows, priority, holdout.
    #[serde(default, skip_serializing_if = "is_default")]
    pub guardrails: Guardrails,
    /// The event that counts as success, within a window after the delivery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<Goal>,
    /// Free labels; caps can count per tag.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// How long an undelivered or undisplayed message stays worth sending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_after: Option<Span>,
    /// What is said. Its `kind` is the type of the outreach.
    pub content: Content,
}

/// When to send.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Trigger {
    /// Each accepted event with this name whose property conditions hold.
    Event {
        /// Matched after trimming, case-insensitively.
        event: String,
        /// Conditions on the event's properties (`property`, `all`, `any`, `none`).
        #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
        #[schema(no_recursion)]
        conditions: Option<Condition>,
        /// Wait this long after the event before sending.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        delay: Option<Span>,
        /// Events that withdraw the outreach while it waits.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        cancel_on: Vec<CancelEvent>,
        /// Judge the audience again when the delay is over (default), or only at the trigger.
        #[serde(default = "yes", skip_serializing_if = "is_yes")]
        recheck_audience: bool,
    },
    /// Due at the first judgement after going live at which the condition on an attribute holds.
    UserProperty {
        /// Conditions of kind `attribute` or `custom_attribute`, alone or grouped.
        #[serde(rename = "where")]
        #[schema(no_recursion)]
        condition: Condition,
        /// Also customers who already match when the outreach goes live (default).
        #[serde(default = "yes", skip_serializing_if = "is_yes")]
        include_current: bool,
        /// Wait this long before sending.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        delay: Option<Span>,
        /// Events that withdraw the outreach while it waits.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        cancel_on: Vec<CancelEvent>,
        /// Judge the audience again when the delay is over (default), or only at the trigger.
        #[serde(default = "yes", skip_serializing_if = "is_yes")]
        recheck_audience: bool,
    },
    /// No trigger: sent once, at launch or at a time, to everyone who matches then.
    OneOff {
        /// RFC 3339 time of the launch; absent: when somebody presses launch.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<String>,
    },
}

/// An event that withdraws a waiting outreach.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelEvent {
    /// The event's name.
    pub event: String,
    /// Conditions on its properties.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    #[schema(no_recursion)]
    pub conditions: Option<Condition>,
}

/// Who gets it. No filter means everyone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Audience {
    /// Everyone who matches now and later, asked at the moment a trigger wants to send.
    Dynamic {
        /// The filters.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(no_recursion)]
        filter: Option<Condition>,
    },
    /// One snapshot of those who match at launch; nobody who joins later.
    OneOff {
        /// The filters.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(no_recursion)]
        filter: Option<Condition>,
    },
}

impl Default for Audience {
    fn default() -> Audience {
        Audience::Dynamic { filter: None }
    }
}

impl Audience {
    /// The filters, whichever way they are asked.
    pub fn filter(&self) -> Option<&Condition> {
        match self {
            Audience::Dynamic { filter } | Audience::OneOff { filter } => filter.as_ref(),
        }
    }
}

/// A node of the tree of conditions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Condition {
    /// Every one holds. An empty list holds.
    All {
        /// The conditions.
        #[schema(no_recursion)]
        conditions: Vec<Condition>,
    },
    /// At least one holds. An empty list holds: no conditions means everyone.
    Any {
        /// The conditions.
        #[schema(no_recursion)]
        conditions: Vec<Condition>,
    },
    /// None holds. An empty list holds.
    None {
        /// The conditions.
        #[schema(no_recursion)]
        conditions: Vec<Condition>,
    },
    /// Kept in the rule and skipped, as if it were not there.
    Muted {
        /// The condition that rests.
        #[schema(no_recursion)]
        condition: Box<Condition>,
    },
    /// A standard field of a customer.
    Attribute {
        /// One of the standard names, such as `email`, `plan`, `last_seen`.
        attribute: String,
        /// The comparison.
        test: Test,
    },
    /// Any other key set by `identify`; nested objects by dots (`address.city`).
    CustomAttribute {
        /// The key.
        attribute: String,
        /// The comparison.
        test: Test,
    },
    /// Inside a `where` only: a property of the event.
    Property {
        /// The property; nested objects by dots.
        property: String,
        /// The comparison.
        test: Test,
    },
    /// What the customer did.
    Event {
        /// The event's name.
        event: String,
        /// How often or which occurrence; default: at least once.
        #[serde(default, skip_serializing_if = "is_default")]
        test: EventTest,
        /// When.
        #[serde(default, skip_serializing_if = "is_default")]
        window: Window,
        /// Conditions on the properties of the events that count.
        #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
        #[schema(no_recursion)]
        conditions: Option<Box<Condition>>,
        /// Do not count the event that triggered this judgement.
        #[serde(default, skip_serializing_if = "is_default")]
        exclude_trigger: bool,
    },
    /// What happened to another outreach (or this one) for the customer.
    Outreach {
        /// The outreach's id; `this` means the outreach that holds the condition.
        outreach: String,
        /// What happened.
        was: OutreachStep,
        /// When.
        #[serde(default, skip_serializing_if = "is_default")]
        window: Window,
        /// Turn the answer round.
        #[serde(default, skip_serializing_if = "is_default")]
        negate: bool,
    },
    /// Member of a saved segment.
    Segment {
        /// The segment's id.
        segment: String,
        /// Not a member.
        #[serde(default, skip_serializing_if = "is_default")]
        negate: bool,
    },
    /// A stable share of all customers.
    RandomBucket {
        /// 0 to 100.
        percent: f64,
        /// Where the share begins, 0 to 100; so that two outreaches can split the same customers.
        #[serde(default, skip_serializing_if = "is_default")]
        from: f64,
        /// Outreaches with the same salt see the same order of customers.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        salt: String,
    },
}

/// One comparison with one value. Text compares ignore case unless `match_case`.
///
/// A missing value: `is_not`, `is_none_of`, `does_not_contain`, `not_equals` and
/// `list_contains_none_of` hold, `is_not_set` holds, every other test fails.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Test {
    /// Any type: has a value.
    IsSet,
    /// Any type: has no value.
    IsNotSet,
    /// Text: the same.
    Is {
        /// The text to compare with.
        value: Scalar,
        #[serde(default, skip_serializing_if = "is_default")]
        /// Tell `A` from `a`.
        match_case: bool,
    },
    /// Text: not the same, or missing.
    IsNot {
        /// The text to compare with.
        value: Scalar,
        #[serde(default, skip_serializing_if = "is_default")]
        /// Tell `A` from `a`.
        match_case: bool,
    },
    /// Text: one of these.
    IsAnyOf {
        /// The texts to compare with.
        values: Vec<Scalar>,
        #[serde(default, skip_serializing_if = "is_default")]
        /// Tell `A` from `a`.
        match_case: bool,
    },
    /// Text: none of these, or missing.
    IsNoneOf {
        /// The texts to compare with.
        values: Vec<Scalar>,
        #[serde(default, skip_serializing_if = "is_default")]
        /// Tell `A` from `a`.
        match_case: bool,
    },
    /// Text: has this inside.
    Contains {
        /// The text to look for.
        value: Scalar,
        #[serde(default, skip_serializing_if = "is_default")]
        /// Tell `A` from `a`.
        match_case: bool,
    },
    /// Text: has not this inside, or is missing.
    DoesNotContain {
        /// The text to look for.
        value: Scalar,
        #[serde(default, skip_serializing_if = "is_default")]
        /// Tell `A` from `a`.
        match_case: bool,
    },
    /// Text: begins with.
    StartsWith {
        /// The beginning.
        value: Scalar,
        #[serde(default, skip_serializing_if = "is_default")]
        /// Tell `A` from `a`.
        match_case: bool,
    },
    /// Text: has a value that does not begin with.
    DoesNotStartWith {
        /// The beginning.
        value: Scalar,
        #[serde(default, skip_serializing_if = "is_default")]
        /// Tell `A` from `a`.
        match_case: bool,
    },
    /// Text: ends with.
    EndsWith {
        /// The ending.
        value: Scalar,
        #[serde(default, skip_serializing_if = "is_default")]
        /// Tell `A` from `a`.
        match_case: bool,
    },
    /// Text: the regular expression matches somewhere in it (RE2 syntax, no look-around).
    MatchesRegex {
        /// The pattern, at most 1,000 characters.
        pattern: String,
        #[serde(default, skip_serializing_if = "is_default")]
        /// Tell `A` from `a`.
        match_case: bool,
    },
    /// Text or list: has a value, and the value is empty.
    IsEmpty,
    /// Number: equal.
    Equals {
        /// The number.
        value: f64,
    },
    /// Number: not equal, or missing.
    NotEquals {
        /// The number.
        value: f64,
    },
    /// Number: more than.
    GreaterThan {
        /// The number.
        value: f64,
    },
    /// Number: at least.
    AtLeast {
        /// The number.
        value: f64,
    },
    /// Number: less than.
    LessThan {
        /// The number.
        value: f64,
    },
    /// Number: at most.
    AtMost {
        /// The number.
        value: f64,
    },
    /// Number: between, both ends included.
    Between {
        /// The lower end.
        min: f64,
        /// The upper end.
        max: f64,
    },
    /// Boolean: true.
    IsTrue,
    /// Boolean: false.
    IsFalse,
    /// Date: earlier than this moment (RFC 3339), or than the beginning of this day (`2026-01-31`).
    Before {
        /// Moment or day.
        date: String,
    },
    /// Date: within this day of the customer's time zone.
    On {
        /// The day, `2026-01-31`.
        date: String,
    },
    /// Date: later than this moment, or than the end of this day.
    After {
        /// Moment or day.
        date: String,
    },
    /// Date: from the first to the second, both included (whole days when days are given).
    BetweenDates {
        /// Moment or day.
        from: String,
        /// Moment or day.
        to: String,
    },
    /// Date: earlier than `amount` `unit` before now.
    MoreThanAgo {
        /// How many.
        amount: u32,
        /// Of what.
        unit: Unit,
    },
    /// Date: within the last `amount` `unit`: (now − n, now].
    LessThanAgo {
        /// How many.
        amount: u32,
        /// Of what.
        unit: Unit,
    },
    /// Date: in the unit that lies exactly `amount` before the present one
    /// (3 days ago: the whole civil day; 2 hours ago: that clock hour).
    ExactlyAgo {
        /// How many.
        amount: u32,
        /// Of what.
        unit: Unit,
    },
    /// Date: within the next `amount` `unit`: (now, now + n].
    InNext {
        /// How many.
        amount: u32,
        /// Of what.
        unit: Unit,
    },
    /// Date: today is its day and month (29 February counts as 28 February in other years).
    Anniversary,
    /// List: has this element.
    ListContains {
        /// The element.
        value: Scalar,
    },
    /// List: has one of these.
    ListContainsAnyOf {
        /// The elements.
        values: Vec<Scalar>,
    },
    /// List: has all of these.
    ListContainsAllOf {
        /// The elements.
        values: Vec<Scalar>,
    },
    /// List: has none of these, or is missing.
    ListContainsNoneOf {
        /// The elements.
        values: Vec<Scalar>,
    },
    /// List: the number of elements.
    ListSize {
        /// How many.
        count: Count,
    },
}

/// A JSON scalar in a comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Scalar {
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
}

/// How often, or which occurrence.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum EventTest {
    /// At least once.
    #[default]
    Performed,
    /// Not once.
    NotPerformed,
    /// This often.
    Count {
        /// How often.
        count: Count,
    },
    /// The customer's first event of this name lies in the window and meets the conditions.
    First,
    /// The customer's latest event of this name lies in the window and meets the conditions.
    Last,
}

/// A comparison of a whole number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Count {
    /// Exactly n.
    Exactly {
        /// How many.
        n: u64,
    },
    /// n or more.
    AtLeast {
        /// How many.
        n: u64,
    },
    /// n or fewer.
    AtMost {
        /// How many.
        n: u64,
    },
    /// From min to max, both included.
    Between {
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
}

/// A span of time to look back on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Window {
    /// No bound.
    #[default]
    Ever,
    /// (now − n, now], exact to the millisecond.
    Last {
        /// How many.
        amount: u32,
        /// Of what.
        unit: Unit,
    },
    /// From the first to the second, both included (whole days when days are given).
    Between {
        /// Moment (RFC 3339) or day.
        from: String,
        /// Moment (RFC 3339) or day.
        to: String,
    },
    /// Since we first saw the customer.
    SinceFirstSeen,
}

/// What happened to an outreach for a customer.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum OutreachStep {
    /// Decided to send, or handed over.
    Sent,
    /// Seen by the customer.
    Displayed,
    /// Clicked.
    Clicked,
    /// Answered or completed.
    Answered,
    /// Closed without an answer.
    Dismissed,
    /// The goal's event followed within its window.
    Converted,
}

/// A length of time. Seconds, minutes and hours are exact; days and longer are calendar units in
/// the customer's time zone when known, else the project's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// How many, 1 to 100,000.
    pub amount: u32,
    /// Of what.
    pub unit: Unit,
}

/// A unit of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// 1,000 milliseconds.
    Seconds,
    /// 60 seconds.
    Minutes,
    /// 60 minutes.
    Hours,
    /// Calendar days.
    Days,
    /// Seven calendar days.
    Weeks,
    /// Calendar months; the last day where the month is shorter.
    Months,
    /// Calendar years.
    Years,
}

/// How often one customer gets it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Frequency {
    /// A single time, when the customer first meets the criteria.
    #[default]
    Once,
    /// Each time the trigger occurs and the customer matches.
    EveryTime,
    /// Once per value of an event property, such as an order id.
    OncePerKey {
        /// The event property.
        property: String,
    },
    /// At most once in any interval of this length.
    AtMostOncePer {
        /// How many.
        amount: u32,
        /// Of what.
        unit: Unit,
    },
    /// At most this many times in all.
    AtMost {
        /// How many.
        times: u32,
    },
    /// Again and again until the customer answers or completes it.
    UntilAnswered {
        /// And never more often than once in this time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at_most_once_per: Option<Span>,
    },
}

/// From when until when it may trigger: [start, stop).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// RFC 3339; before it every trigger is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// RFC 3339; from it on every trigger is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<String>,
}

/// A rule on the address of the page. A value that starts with `/` is compared with the path only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum PageRule {
    /// The same, but for a trailing slash.
    Is {
        /// Path or URL.
        value: String,
    },
    /// Not the same.
    IsNot {
        /// Path or URL.
        value: String,
    },
    /// Has this inside.
    Contains {
        /// A piece of the path or URL.
        value: String,
    },
    /// Has not this inside.
    DoesNotContain {
        /// A piece of the path or URL.
        value: String,
    },
    /// Begins with.
    StartsWith {
        /// Path or URL.
        value: String,
    },
    /// Ends with.
    EndsWith {
        /// The ending.
        value: String,
    },
    /// A pattern, anchored: `*` one segment, `**` any, `{id}` one segment.
    Matches {
        /// The pattern.
        value: String,
    },
}

/// What keeps an outreach from becoming a nuisance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Guardrails {
    /// At most so many sends to one customer, over all outreaches of the channel or tag.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub caps: Vec<Cap>,
    /// No sends between these hours of the customer's day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet_hours: Option<QuietHours>,
    /// Sends only in these windows of the customer's week.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub send_windows: Vec<SendWindow>,
    /// At most so many sends over all customers; the rest wait their turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// Higher goes first where several want the same customer at the same moment.
    #[serde(default, skip_serializing_if = "is_default")]
    pub priority: i32,
    /// This share of the customers (0 to 100) gets nothing, for comparison.
    #[serde(default, skip_serializing_if = "is_default")]
    pub holdout_percent: f64,
    /// Not counted and not refused by the project's own caps and quiet hours (receipts, password resets).
    #[serde(default, skip_serializing_if = "is_default")]
    pub ignore_project_limits: bool,
}

/// At most `times` sends per `per` to one customer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Cap {
    /// What is counted.
    pub over: CapScope,
    /// How many sends.
    pub times: u32,
    /// In any span of this length up to now.
    pub per: Span,
}

/// What a cap counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum CapScope {
    /// Everything sent to the customer.
    Everything,
    /// Sends of one type.
    Channel {
        /// The type, such as `email`.
        channel: super::content::OutreachType,
    },
    /// Sends of outreaches with this tag.
    Tag {
        /// The tag.
        tag: String,
    },
}

/// Hours of rest, in the customer's time zone when known, else the project's. May pass midnight.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuietHours {
    /// `22:00`
    pub from: String,
    /// `08:00`
    pub to: String,
    /// Hold until the hours are over (default) or give up.
    #[serde(default, skip_serializing_if = "is_default")]
    pub otherwise: Otherwise,
}

/// What happens to a send outside the allowed time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Otherwise {
    /// It waits for the next allowed moment.
    #[default]
    Hold,
    /// It is refused.
    Skip,
}

/// A window of the customer's week in which sends may leave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SendWindow {
    /// The days; empty means every day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<Weekday>,
    /// `09:00`
    pub from: String,
    /// `17:00`
    pub to: String,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

/// Sends per unit over all customers of one outreach.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// How many.
    pub sends: u32,
    /// Per how long.
    pub per: Span,
}

/// The event that counts as success.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Goal {
    /// The event's name.
    pub event: String,
    /// Conditions on its properties.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    #[schema(no_recursion)]
    pub conditions: Option<Condition>,
    /// How long after the delivery it still counts.
    pub within: Span,
}

pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_yes(value: &bool) -> bool {
    *value
}
