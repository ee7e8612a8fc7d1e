//! What is wrong with a definition: where, which fault, and how to mend it.
//!
//! The codes are a closed list, because editors, API clients and the docs key on them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One fault of a definition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// JSON pointer to the faulty node, such as `/audience/filter/conditions/0/test/value`.
    pub pointer: String,
    /// A stable word for the fault, one of [`CODES`].
    pub code: String,
    /// One sentence: what is wrong and how to repair it.
    pub message: String,
}

impl Problem {
    pub(crate) fn new(pointer: &str, code: &str, message: impl Into<String>) -> Problem {
        debug_assert!(
            CODES.iter().chain(CHANGE_CODES).any(|(known, _)| *known == code),
            "{code} is not in CODES"
        );
        Problem { pointer: pointer.to_owned(), code: code.to_owned(), message: message.into() }
    }
}

/// Every code and the fault it stands for.
pub const CODES: &[(&str, &str)] = &[
    // Form: what was written is not a definition.
    ("malformed_json", "not JSON"),
    ("definition_too_long", "more text than a definition may have"),
    ("missing_field", "a field that is needed is not there"),
    ("unknown_field", "a field that does not exist here"),
    ("unknown_kind", "a kind that does not exist here"),
    ("unknown_word", "not one of the allowed words"),
    ("wrong_type", "a text where a number is expected, and the like"),
    ("number_out_of_range", "a number that the field cannot hold"),
    // Names and texts.
    ("empty_name", "a name that is empty"),
    ("name_too_long", "a name that is too long"),
    ("empty_text", "a text that is needed is empty"),
    ("text_too_long", "a text that is too long"),
    ("too_many", "more entries than allowed"),
    ("too_few", "fewer entries than needed"),
    ("duplicate_id", "the same id twice"),
    // The rule.
    ("property_trigger_only_once", "another frequency than once with a property trigger"),
    ("no_condition", "a property trigger without a condition"),
    ("one_off_only_once", "another frequency than once with a one-off"),
    ("one_off_needs_one_off_audience", "a one-off trigger with a dynamic audience"),
    ("one_off_needs_one_off_trigger", "a one-off audience with a trigger"),
    ("one_off_not_for_type", "a one-off of a type that waits on the page"),
    ("pages_only_in_app", "page rules for a type that is not shown on a page"),
    ("stop_not_after_start", "a schedule that ends before it begins"),
    // Conditions.
    ("not_in_where", "a condition on the customer among the properties of an event"),
    ("not_in_property_trigger", "a condition a property trigger cannot watch"),
    ("property_outside_where", "a property of an event where there is no event"),
    ("too_deep", "conditions nested too deeply"),
    ("too_many_conditions", "too many conditions"),
    ("unknown_attribute", "not a standard attribute"),
    ("standard_attribute", "a standard attribute written as a custom one"),
    ("unknown_segment", "a segment that does not exist"),
    ("segment_cycle", "a segment that contains itself"),
    ("unknown_outreach", "an outreach that does not exist"),
    ("no_this_outreach", "`this` where there is no outreach"),
    ("empty_list", "a comparison with an empty list"),
    ("invalid_pattern", "a regular expression that cannot be read"),
    ("pattern_too_long", "a regular expression that is too long"),
    ("min_above_max", "a range that is empty"),
    ("from_after_to", "a span of dates that is empty"),
    ("unreadable_date", "not a date"),
    ("bad_duration", "a length of time of nothing, or too long"),
    ("bad_percent", "not between 0 and 100"),
    // Limits.
    ("bad_count", "a limit of zero"),
    ("unreadable_time", "not a time of day"),
    ("empty_quiet_hours", "quiet hours that end when they begin"),
    ("empty_send_window", "a send window that ends before it begins"),
    // Content.
    ("invalid_template", "a template that cannot be read"),
    ("no_body", "an email without a body"),
    ("bad_mailbox", "not a mail address"),
    ("bad_url", "not an address that may be opened"),
    ("bad_method", "a method that webhooks do not have"),
    ("bad_header", "not a header"),
    ("reserved_header", "a header that we set"),
];

/// Codes of changes that a project refuses although the definition is sound.
pub const CHANGE_CODES: &[(&str, &str)] = &[
    ("malformed_settings", "settings that cannot be read"),
    ("unknown_time_zone", "not an IANA time zone"),
    ("ended", "a change of an outreach that has ended"),
    ("one_off", "a one-off that is set live instead of launched"),
    ("no_way_back", "a status that never comes back"),
    ("not_live", "a pause of an outreach that was never live"),
    ("not_one_off", "a launch of an outreach that has a trigger"),
    ("already_launched", "a second launch of a one-off"),
];
