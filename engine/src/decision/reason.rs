//! The reasons in words, as the dashboard, the command line and the log show them.

use std::fmt;

use super::SkipReason;

impl fmt::Display for SkipReason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SkipReason::NotLive(status) => write!(out, "the outreach is {}", status.name()),
            SkipReason::Shadow => write!(out, "the outreach only watches; it would have been sent"),
            SkipReason::NotStarted => write!(out, "the outreach has not started yet"),
            SkipReason::Stopped => write!(out, "the outreach has stopped"),
            SkipReason::NotTriggered => write!(out, "the trigger did not happen"),
            SkipReason::BeforeLive => {
                write!(out, "the event happened before the outreach went live")
            }
            SkipReason::WrongPage => write!(out, "the customer is on another page"),
            SkipReason::NotInAudience => write!(out, "the customer is not in the audience"),
            SkipReason::AlreadySent { times, latest } => {
                write!(out, "already sent {times} time(s), the latest at {}", latest.to_rfc3339())
            }
            SkipReason::KeyUsed { at } => {
                write!(out, "already sent for this key at {}", at.to_rfc3339())
            }
            SkipReason::NoKey => write!(out, "the event has no value for the key property"),
            SkipReason::TooSoon { latest, again } => write!(
                out,
                "too soon after {}; possible again from {}",
                latest.to_rfc3339(),
                again.to_rfc3339()
            ),
            SkipReason::Answered { at } => write!(out, "answered at {}", at.to_rfc3339()),
            SkipReason::HeldOut => write!(out, "the customer is in the control group"),
            SkipReason::Capped { sent, cap, over } => {
                write!(out, "over the cap: {sent} of {cap} for {over}")
            }
            SkipReason::QuietHours => write!(out, "it is the customer's quiet time"),
            SkipReason::NoAddress => write!(out, "the customer has no address for the channel"),
            SkipReason::NoConsent => write!(out, "the customer has not consented"),
            SkipReason::Suppressed => {
                write!(out, "the address must not be used: it bounced, complained or is gone")
            }
            SkipReason::Aborted(reason) if reason.is_empty() => {
                write!(out, "the template said stop")
            }
            SkipReason::Aborted(reason) => write!(out, "the template said stop: {reason}"),
            SkipReason::Unrenderable(reason) => {
                write!(out, "the content does not render: {reason}")
            }
            SkipReason::CancelledBy(event) => write!(out, "withdrawn by the event {event}"),
            SkipReason::CancelledByOperator => write!(out, "withdrawn by an operator"),
            SkipReason::TooLate => write!(out, "waited too long"),
        }
    }
}

impl SkipReason {
    /// A stable word for API and statistics.
    pub fn code(&self) -> &'static str {
        match self {
            SkipReason::NotLive(_) => "not_live",
            SkipReason::Shadow => "shadow",
            SkipReason::NotStarted => "not_started",
            SkipReason::Stopped => "stopped",
            SkipReason::NotTriggered => "not_triggered",
            SkipReason::BeforeLive => "before_live",
            SkipReason::WrongPage => "wrong_page",
            SkipReason::NotInAudience => "not_in_audience",
            SkipReason::AlreadySent { .. } => "already_sent",
            SkipReason::KeyUsed { .. } => "key_used",
            SkipReason::NoKey => "no_key",
            SkipReason::TooSoon { .. } => "too_soon",
            SkipReason::Answered { .. } => "answered",
            SkipReason::HeldOut => "held_out",
            SkipReason::Capped { .. } => "capped",
            SkipReason::QuietHours => "quiet_hours",
            SkipReason::NoAddress => "no_address",
            SkipReason::NoConsent => "no_consent",
            SkipReason::Suppressed => "suppressed",
            SkipReason::Aborted(_) => "aborted",
            SkipReason::Unrenderable(_) => "unrenderable",
            SkipReason::CancelledBy(_) => "cancelled_by_event",
            SkipReason::CancelledByOperator => "cancelled_by_operator",
            SkipReason::TooLate => "too_late",
        }
    }
}
