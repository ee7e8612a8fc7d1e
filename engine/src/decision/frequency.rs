//! Gate `frequency`: the claim. It is counted from what was granted, never from a cache.

use super::{Question, SkipReason, Verdict};
use crate::customer::Tally;
use crate::ids;
use crate::outreach::compiled::Frequency;
use crate::outreach::definition::Span;
use crate::situation::{Happening, Occasion, Situation};
use crate::time::{self, Timestamp};
use crate::value;

pub(super) fn under_frequency(question: &Question<'_>) -> Verdict {
    let situation = question.situation;
    let none = Tally::default();
    let tally = situation.customer.tallies.get(&question.outreach.no).unwrap_or(&none);
    let granted = in_force(tally);
    let refusal = match &question.outreach.frequency {
        Frequency::Once => at_most(granted, 1),
        Frequency::EveryTime => None,
        Frequency::OncePerKey(property) => match &situation.occasion {
            Occasion::Event(happening) => once_per_key(tally, happening, property),
            // Nothing has happened, so there is no key to have been used.
            Occasion::Property | Occasion::OneOff { .. } | Occasion::Question => None,
        },
        Frequency::AtMostOncePer(span) => at_most_once_per(granted, *span, situation),
        Frequency::AtMost(times) => at_most(granted, *times),
        Frequency::UntilAnswered(span) => {
            let since = tally.allowed_again.unwrap_or(Timestamp::MIN);
            match tally.answered.iter().find(|at| **at > since) {
                Some(at) => Some(SkipReason::Answered { at: *at }),
                None => span.and_then(|span| at_most_once_per(granted, span, situation)),
            }
        }
    };
    refusal.map_or(Verdict::Passes, Verdict::Refuses)
}

/// The claims that still count.
pub(crate) fn in_force(tally: &Tally) -> &[Timestamp] {
    let Some(since) = tally.allowed_again else { return &tally.granted };
    let first = tally.granted.partition_point(|at| *at <= since);
    tally.granted.get(first..).unwrap_or(&[])
}

fn at_most(granted: &[Timestamp], times: u32) -> Option<SkipReason> {
    let sent = u32::try_from(granted.len()).unwrap_or(u32::MAX);
    let latest = granted.last().copied()?;
    (sent >= times).then_some(SkipReason::AlreadySent { times: sent, latest })
}

fn once_per_key(tally: &Tally, happening: &Happening, property: &str) -> Option<SkipReason> {
    match key_of(happening, property) {
        None => Some(SkipReason::NoKey),
        Some(key) => tally.keys.get(&hash_of(&key)).map(|at| SkipReason::KeyUsed { at: *at }),
    }
}

fn at_most_once_per(
    granted: &[Timestamp],
    span: Span,
    situation: &Situation<'_>,
) -> Option<SkipReason> {
    let latest = granted.last().copied()?;
    let since = time::before(situation.now, span, &situation.zone);
    let again = time::after(latest, span, &situation.zone);
    (latest > since).then_some(SkipReason::TooSoon { latest, again })
}

/// The value of the key property as text; lists and missing values are no key.
fn key_of(happening: &Happening, property: &str) -> Option<String> {
    let value = value::at_path(happening.properties(), property)?;
    let text = value.as_text()?.trim().to_owned();
    (!text.is_empty()).then_some(text)
}

fn hash_of(key: &str) -> u128 {
    ids::hash(&[key.as_bytes()])
}

/// The key under which a claim is taken: what makes a delivery distinct besides outreach and
/// customer.
pub(super) fn claim_key(question: &Question<'_>) -> Vec<u8> {
    match (&question.outreach.frequency, &question.situation.occasion) {
        (Frequency::Once, Occasion::Event(_) | Occasion::Property | Occasion::Question)
        | (_, Occasion::Property | Occasion::Question) => Vec::new(),
        (_, Occasion::OneOff { launch, .. }) => format!("launch {launch}").into_bytes(),
        (Frequency::OncePerKey(property), Occasion::Event(happening)) => {
            let hash = hash_of(&key_of(happening, property).unwrap_or_default());
            [b"k".as_slice(), &hash.to_be_bytes()].concat()
        }
        (
            Frequency::EveryTime
            | Frequency::AtMostOncePer(_)
            | Frequency::AtMost(_)
            | Frequency::UntilAnswered(_),
            Occasion::Event(happening),
        ) => happening.id.to_bytes().to_vec(),
    }
}
