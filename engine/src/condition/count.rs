//! How many customers match each part of a filter, one customer at a time.
//!
//! Every node is asked, without stopping early, because the question is where people drop out.
//! This is the slow and obvious way; the host counts in columns and has to come to the same.

use crate::condition::eval;
use crate::estimate::{ConditionCount, Estimate};
use crate::outreach::compiled::{Ask, Condition};
use crate::situation::Situation;

/// Add one customer to the counts. `total` and `reachable` are the caller's.
pub fn tally(filter: &Condition, s: &Situation<'_>, estimate: &mut Estimate) {
    if estimate.conditions.is_empty() {
        estimate.conditions = lines(filter);
    }
    let mut answers = Vec::with_capacity(estimate.conditions.len());
    let matched = answer(filter, s, 0, &mut answers);
    estimate.matched += u64::from(matched);
    let mut so_far = true;
    for (count, (depth, holds)) in estimate.conditions.iter_mut().zip(answers) {
        count.alone += u64::from(holds);
        if depth == 1
            && let Some(cumulative) = &mut count.cumulative
        {
            so_far &= holds;
            *cumulative += u64::from(so_far);
        }
    }
}

/// The lines of a filter's estimate: one per node, parents before children.
pub fn lines(filter: &Condition) -> Vec<ConditionCount> {
    let mut lines = Vec::new();
    lay_out(filter, matches!(filter.ask, Ask::All(_)), &mut lines);
    lines
}

/// One line per node, parents before children; children of the outermost `all` also accumulate.
fn lay_out(condition: &Condition, accumulates: bool, counts: &mut Vec<ConditionCount>) {
    let inside = !counts.is_empty();
    counts.push(ConditionCount {
        pointer: condition.pointer.to_string(),
        alone: 0,
        cumulative: (inside && accumulates).then_some(0),
    });
    for child in children(condition) {
        lay_out(child, accumulates && !inside, counts);
    }
}

/// The answers in the order of [`lay_out`], with the depth of each node.
fn answer(
    condition: &Condition,
    s: &Situation<'_>,
    depth: usize,
    answers: &mut Vec<(usize, bool)>,
) -> bool {
    let place = answers.len();
    answers.push((depth, false));
    let inside: Vec<bool> =
        children(condition).iter().map(|child| answer(child, s, depth + 1, answers)).collect();
    let holds = match &condition.ask {
        Ask::All(_) => inside.iter().all(|holds| *holds),
        Ask::Any(_) => inside.is_empty() || inside.iter().any(|holds| *holds),
        Ask::None(_) => !inside.iter().any(|holds| *holds),
        Ask::Attribute { .. }
        | Ask::Property { .. }
        | Ask::Event { .. }
        | Ask::Outreach { .. }
        | Ask::Segment { .. }
        | Ask::RandomBucket { .. } => eval::holds(condition, s),
    };
    if let Some(slot) = answers.get_mut(place) {
        *slot = (depth, holds);
    }
    holds
}

fn children(condition: &Condition) -> &[Condition] {
    match &condition.ask {
        Ask::All(children) | Ask::Any(children) | Ask::None(children) => children,
        Ask::Attribute { .. }
        | Ask::Property { .. }
        | Ask::Event { .. }
        | Ask::Outreach { .. }
        | Ask::Segment { .. }
        | Ask::RandomBucket { .. } => &[],
    }
}
