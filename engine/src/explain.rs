//! Why, and why not: the same gates, every one of them asked, with the actual values.

use serde::Serialize;
use utoipa::ToSchema;

use crate::condition::trace;
use crate::decision::{GATES, GateName, Question, SkipReason, Stage, Verdict, reach_address};
use crate::outreach::compiled::{Outreach, Trigger};
use crate::outreach::definition;
use crate::project::{OutreachLine, Status};
use crate::situation::{Occasion, Situation};

/// The answer to "why did this customer (not) get this outreach?".
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Explanation {
    /// Would it be sent?
    pub sends: bool,
    /// The first gate that refuses.
    pub refused_by: Option<String>,
    /// One sentence.
    pub sentence: String,
    /// Every gate, in the order in which they are asked.
    pub gates: Vec<GateReport>,
}

/// What one gate says.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct GateReport {
    /// The gate's name: `status`, `schedule`, `trigger` …
    pub gate: String,
    /// `passes`, `refuses`, `holds` (sent later) or `open` (judged where the message is shown).
    pub verdict: String,
    /// One sentence with the actual values.
    pub sentence: String,
    /// The conditions, where the gate has any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conditions: Option<Trace>,
}

/// A condition with its answer.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Trace {
    /// JSON pointer to the condition in the definition.
    pub pointer: String,
    /// The condition in words.
    pub sentence: String,
    /// Does it hold?
    pub holds: bool,
    /// The actual value in words, such as `plan is free` or `2 times`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actual: Option<String>,
    /// The smallest change that would turn the answer, when it does not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<String>,
    /// The conditions inside.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(no_recursion)]
    pub conditions: Vec<Trace>,
}

/// Ask every gate of an outreach for one customer, at the moment and on the occasion of
/// `situation`.
pub fn explain(line: &OutreachLine, outreach: &Outreach, situation: &Situation<'_>) -> Explanation {
    let question = Question { outreach, line, situation, stage: Stage::Trigger };
    let mut gates = Vec::with_capacity(GATES.len());
    let mut refused: Option<(GateName, String)> = None;
    for (name, gate) in GATES {
        let verdict = gate(&question);
        let report = report(*name, &verdict, &question);
        if refused.is_none() && matches!(verdict, Verdict::Refuses(_)) {
            refused = Some((*name, report.sentence.clone()));
        }
        gates.push(report);
    }
    if refused.is_none() && line.status == Status::Shadow {
        refused = Some((GateName::Status, SkipReason::Shadow.to_string()));
    }
    let sentence = match &refused {
        Some((_, sentence)) => format!("Not sent: {sentence}."),
        None if gates.iter().any(|gate| gate.gate == "trigger" && gate.verdict == "open") => {
            "Would be sent if its trigger happened now.".to_owned()
        }
        None => "Sent: every gate says yes.".to_owned(),
    };
    Explanation {
        sends: refused.is_none(),
        refused_by: refused.map(|(name, _)| name.name().to_owned()),
        sentence,
        gates,
    }
}

fn report(name: GateName, verdict: &Verdict, question: &Question<'_>) -> GateReport {
    let (word, sentence) = match verdict {
        Verdict::Passes => ("passes", passing(name, question)),
        Verdict::Holds(until) => ("holds", format!("sent later, at {}", until.to_rfc3339())),
        Verdict::Open => ("open", open(name, question)),
        Verdict::Refuses(reason) => ("refuses", reason.to_string()),
    };
    GateReport {
        gate: name.name().to_owned(),
        verdict: word.to_owned(),
        sentence,
        conditions: conditions(name, question),
    }
}

fn passing(name: GateName, question: &Question<'_>) -> String {
    let situation = question.situation;
    let times = situation
        .customer
        .tallies
        .get(&question.outreach.no)
        .map_or(0, |tally| tally.granted.len());
    match name {
        GateName::Status => format!("the outreach is {}", question.line.status.name()),
        GateName::Schedule => "within its schedule".to_owned(),
        GateName::Trigger => match &situation.occasion {
            Occasion::Event(happening) => format!("the event {} happened", happening.name),
            Occasion::Property | Occasion::Question => "the property condition holds".to_owned(),
            Occasion::OneOff { .. } => "the customer was in the audience at launch".to_owned(),
        },
        GateName::Page => "on any page".to_owned(),
        GateName::Audience if question.outreach.audience.is_none() => {
            "everyone is in the audience".to_owned()
        }
        GateName::Audience => "the customer is in the audience".to_owned(),
        GateName::Frequency => match times {
            0 => "never sent to the customer before".to_owned(),
            1 => "sent once before, and may be sent again".to_owned(),
            times => format!("sent {times} times before, and may be sent again"),
        },
        GateName::Holdout => "the customer is not in the control group".to_owned(),
        GateName::Guardrails => "under all caps and outside of quiet hours".to_owned(),
        GateName::Reach => {
            let outreach_type = question.outreach.outreach_type;
            if reach_address(outreach_type, situation.customer).is_some() {
                format!("the customer has an address for {} and allows it", outreach_type.name())
            } else {
                format!("{} needs no address", outreach_type.name())
            }
        }
        GateName::Content => "the content renders".to_owned(),
    }
}

fn open(name: GateName, question: &Question<'_>) -> String {
    match (name, &question.outreach.definition.trigger) {
        (GateName::Trigger, definition::Trigger::Event { event, .. }) => {
            format!("waits for the event {event}")
        }
        (GateName::Trigger, _) => "waits for its launch".to_owned(),
        (GateName::Page, _) => "judged on the page where the customer is".to_owned(),
        (GateName::Content, _) => "depends on the event's properties".to_owned(),
        (_, _) => "judged later".to_owned(),
    }
}

/// The conditions of the gates that have any, each with its actual value.
fn conditions(name: GateName, question: &Question<'_>) -> Option<Trace> {
    let situation = question.situation;
    match name {
        GateName::Audience => {
            question.outreach.audience.as_ref().map(|audience| trace::trace(audience, situation))
        }
        GateName::Trigger => match (&question.outreach.trigger, &situation.occasion) {
            (Trigger::UserProperty { condition, .. }, _) => {
                Some(trace::trace(condition, situation))
            }
            (
                Trigger::Event { conditions: Some(conditions), event, .. },
                Occasion::Event(happening),
            ) if *event == happening.key => {
                Some(trace::trace_for(conditions, happening.properties(), situation))
            }
            (Trigger::Event { .. } | Trigger::OneOff { .. }, _) => None,
        },
        GateName::Status
        | GateName::Schedule
        | GateName::Page
        | GateName::Frequency
        | GateName::Holdout
        | GateName::Guardrails
        | GateName::Reach
        | GateName::Content => None,
    }
}
