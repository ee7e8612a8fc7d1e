//! What was acknowledged is there, once, in its order, and gone when it was erased.

use engine::fact::Fact;
use engine::ids::EventId;
use host::query::timeline::TimelineEntry;

use super::super::acts::properties;
use super::super::books::{Kept, Probe, SHOP};
use super::view::View;

/// Where a message lies in the timeline of whoever its customer is now.
fn places<'a>(view: &View<'a>, kept: &Kept) -> Vec<&'a TimelineEntry> {
    let home = view.books.home(&kept.home);
    let timeline = view.eyes.timelines.get(&home).into_iter().flatten();
    let id = kept.event_id();
    let is_it = |entry: &&TimelineEntry| match &entry.fact {
        Fact::Event(event) => event.id == id,
        Fact::Attributes { id: write, .. } => *write == id,
        _ => false,
    };
    timeline.filter(is_it).collect()
}

pub(super) fn acknowledged_is_kept(view: &View<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    for kept in view.remaining() {
        let message = &kept.message;
        let places = places(view, kept);
        let Some(entry) = places.first() else {
            wrong.push(format!("{} of {:?} is lost", message.id, kept.home));
            continue;
        };
        if entry.at.0 != kept.accepted {
            wrong.push(format!(
                "{} was accepted at {}, says {:?}",
                message.id, kept.accepted, entry.at
            ));
        }
        let Fact::Event(event) = &entry.fact else { continue };
        let same = Some(event.name.as_str()) == message.event
            && event.at.0 == kept.at()
            && event.properties == properties(message.order)
            && event.historical == message.historical;
        if !same {
            wrong.push(format!("{} came out as {event:?}", message.id));
        }
    }
    wrong
}

pub(super) fn all_of_it_or_nothing(view: &View<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    for probe in &view.books.probes {
        if let Probe::Group { found } = probe
            && !found.is_sorted_by(|one, next| one >= next)
        {
            wrong.push(format!("of a commit that was cut off, this was found: {found:?}"));
        }
    }
    for kept in view.remaining().filter(|kept| kept.message.event.is_some()) {
        let home = view.books.home(&kept.home);
        let timeline = view.eyes.timelines.get(&home).into_iter().flatten();
        let id = EventId::of(SHOP, &format!("attributes of {}", kept.message.id));
        let writes: Vec<&TimelineEntry> = timeline
            .filter(
                |entry| matches!(&entry.fact, Fact::Attributes { id: write, .. } if *write == id),
            )
            .collect();
        let expected = usize::from(!kept.message.changes.is_empty());
        let event = places(view, kept).first().map(|entry| entry.position);
        let together = writes.iter().all(|write| Some(write.position) == event);
        if writes.len() != expected || !together {
            wrong.push(format!("{} has {} writes with it", kept.message.id, writes.len()));
        }
    }
    wrong
}

pub(super) fn a_repetition_does_nothing(view: &View<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    for probe in &view.books.probes {
        if let Probe::Repeated { message, duplicate, wrote } = probe
            && (!duplicate || *wrote)
        {
            wrong.push(format!("{message} again: duplicate {duplicate}, wrote {wrote}"));
        }
    }
    for kept in view.remaining() {
        let times = places(view, kept).len();
        if times > 1 {
            wrong.push(format!("{} is there {times} times", kept.message.id));
        }
    }
    wrong
}

pub(super) fn in_the_order_of_acceptance(view: &View<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (home, timeline) in &view.eyes.timelines {
        let mut latest = 0;
        for kept in view.remaining().filter(|kept| view.books.home(&kept.home) == *home) {
            let id = kept.event_id();
            let is_it = |entry: &&TimelineEntry| match &entry.fact {
                Fact::Event(event) => event.id == id,
                Fact::Attributes { id: write, .. } => *write == id,
                _ => false,
            };
            let Some(position) = timeline.iter().find(is_it).map(|entry| entry.position) else {
                continue;
            };
            if position < latest {
                wrong.push(format!("{} lies before what was accepted earlier", kept.message.id));
            }
            latest = position;
        }
    }
    wrong
}

pub(super) fn erased_leaves_nothing(view: &View<'_>) -> Vec<String> {
    let probes = view.books.probes.iter();
    let wrong = probes.filter_map(|probe| match probe {
        Probe::Erased { who, found } if !found.is_empty() => {
            Some(format!("{who:?} is still found: {}", found.join(", ")))
        }
        _ => None,
    });
    wrong.collect()
}

pub(super) fn the_log_makes_the_state(view: &View<'_>) -> Vec<String> {
    let probes = view.books.probes.iter();
    let wrong = probes.filter_map(|probe| match probe {
        Probe::Reopened { same: false, what } => Some(format!("not the same: {what}")),
        _ => None,
    });
    wrong.collect()
}

pub(super) fn time_does_not_run_back(view: &View<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    for probe in &view.books.probes {
        if let Probe::Time { before, after } = probe
            && after < before
        {
            wrong.push(format!("from {before} back to {after}"));
        }
    }
    for timeline in view.eyes.timelines.values() {
        for pair in timeline.windows(2) {
            if let [one, next] = pair
                && next.at < one.at
            {
                wrong.push(format!("{:?} at {} after {:?}", next.at, next.position, one.at));
            }
        }
    }
    wrong
}
