//! One question asked of one piece: bits for those of whom it holds, and bits for those who have
//! to be asked one by one, first by the exact values of the columns, then by row.

use engine::condition::test::{TestContext, date_passes, passes};
use engine::outreach::compiled::Test;
use engine::time::Timestamp;

use super::NOT_SEEN;
use super::column::{Cells, Column, Kind, NO_KEY, ODD_KEY, Ordered, halves, moment_of};
use super::dates::Stretch;
use super::piece::{ASK, Answer, Bits, EVERYBODY, NO, NOBODY, Plane, YES, merge};
use super::plan::{Among, Happened, Leaf, Others, Planner, Scan, Which, upper_between};
use super::series::{NEVER, Rank, coarse};

/// Codes that are compared one by one rather than looked up.
const COMPARED: usize = 3;

/// Who passes, and who has to be asked one by one.
pub(super) fn scan(leaf: &Leaf<'_>, piece: usize) -> (Bits, Bits) {
    let (mut yes, mut ask) = (NOBODY, NOBODY);
    match &leaf.scan {
        Scan::Known(holds) => yes = if *holds { EVERYBODY } else { NOBODY },
        Scan::Rows => ask = EVERYBODY,
        Scan::Coded { column, answers, .. } => match &column.cells {
            Cells::Byte(plane) if !column.has_elsewhere => {
                scan_bytes(plane, piece, answers, (&mut yes, &mut ask));
            }
            Cells::Byte(plane) => plane.scan(piece, (&mut yes, &mut ask), |code| {
                answers.get(usize::from(code)).copied().unwrap_or(ASK)
            }),
            Cells::Pair(plane) => plane.scan(piece, (&mut yes, &mut ask), |code| {
                answers.get(usize::from(code)).copied().unwrap_or(ASK)
            }),
            Cells::Wide(plane) => plane.scan(piece, (&mut yes, &mut ask), |code| {
                answers.get(code as usize).copied().unwrap_or(ASK)
            }),
            // The plan was made for codes.
            Cells::Ordered(_) => ask = EVERYBODY,
        },
        Scan::Ordered { ordered, among, .. } => {
            scan_ordered(ordered, piece, among, (&mut yes, &mut ask));
        }
        Scan::Happened(happened) => scan_happened(happened, piece, (&mut yes, &mut ask)),
        Scan::Share { plane, from, to } => {
            let (from, to) = (*from, *to);
            plane.scan_known(piece, &mut yes, |place| {
                let place = u32::from(place);
                let (wrapped, inside) = (place + 10_000, from <= place && place < to);
                inside || (from <= wrapped && wrapped < to)
            });
        }
    }
    (yes, ask)
}

fn scan_bytes(plane: &Plane<u8>, piece: usize, answers: &[Answer], out: (&mut Bits, &mut Bits)) {
    let mut table = [ASK; 256];
    for (place, answer) in table.iter_mut().zip(answers) {
        *place = *answer;
    }
    let known = answers.iter().zip(0_u8..);
    let of = |wanted: Answer| {
        known.clone().filter(move |(answer, _)| **answer == wanted).map(|(_, code)| code)
    };
    // Nobody has the code for "only the row knows".
    let asks = of(ASK).any(|code| code != 1);
    let (yes, no) = (of(YES).count(), of(NO).count());
    if asks || yes.min(no) > COMPARED {
        plane.scan(piece, out, |code| table[usize::from(code)]);
        return;
    }
    *out.1 = NOBODY;
    let few = if yes <= no { YES } else { NO };
    let mut codes = of(few);
    let first = codes.next().unwrap_or(1);
    let (second, third) = (codes.next().unwrap_or(first), codes.next().unwrap_or(first));
    let is_few = |code: u8| (code == first) | (code == second) | (code == third);
    if few == YES {
        plane.scan_known(piece, out.0, is_few);
    } else {
        plane.scan_known(piece, out.0, |code| !is_few(code));
    }
}

fn scan_ordered(ordered: &Ordered, piece: usize, among: &Among, out: (&mut Bits, &mut Bits)) {
    let missing = among.missing;
    let known = |all: bool| {
        move |upper: i32| {
            let (none, odd) = (upper == NO_KEY, upper == ODD_KEY);
            u8::from((none & missing) | (!none & !odd & all)) | (u8::from(odd) << 1)
        }
    };
    match &among.others {
        Others::All(all) => ordered.upper.scan(piece, out, known(*all)),
        Others::Each => ordered.upper.scan(piece, out, |upper| {
            let none = upper == NO_KEY;
            u8::from(none & missing) | (u8::from(!none) << 1)
        }),
        Others::Between { sure, possible, invert, .. } => {
            // Without lower halves, and with one stretch for all, the upper halves say everything.
            let exact = sure == possible && ordered.lower.is_empty(piece);
            let ((sure_first, sure_last), (first, last)) = if exact {
                let (first, last) = upper_between(*sure);
                ((first.saturating_sub(1), last.saturating_add(1)), (first, last))
            } else {
                let upper = |keys: &(u64, u64)| (halves(keys.0).0, halves(keys.1).0);
                (upper(sure), upper(possible))
            };
            let is_empty = possible.0 > possible.1;
            let (first, last) = if is_empty { (i32::MAX, NO_KEY) } else { (first, last) };
            let invert = *invert;
            ordered.upper.scan(piece, out, |upper| {
                let (none, odd) = (upper == NO_KEY, upper == ODD_KEY);
                let possible = (first <= upper) & (upper <= last);
                let sure = possible & (sure_first < upper) & (upper < sure_last);
                let passes = if invert { !possible & !none & !odd } else { sure };
                u8::from(passes | (none & missing)) | (u8::from((possible & !sure) | odd) << 1)
            });
        }
    }
}

/// Between how many seconds a moment is surely after the beginning of a window, and perhaps.
struct Edges {
    /// Later than this: surely after the beginning.
    after: i32,
    /// Not earlier than this: perhaps.
    from: i32,
    /// Earlier than this: surely before the end.
    before: i32,
    /// Not later than this: perhaps.
    to: i32,
}

fn scan_happened(asked: &Happened<'_>, piece: usize, (yes, ask): (&mut Bits, &mut Bits)) {
    let Some(series) = asked.series else {
        let none = match asked.which {
            Which::Count(least, _) => least == 0,
            Which::First | Which::Last => false,
        };
        settle(asked, if none { EVERYBODY } else { NOBODY }, (yes, ask));
        return;
    };
    let window = &asked.window;
    let edges = Edges {
        after: coarse(window.core.first.saturating_sub(1)),
        from: coarse(window.hull.first),
        before: coarse(window.core.last.min(asked.now)),
        to: coarse(window.hull.last.min(asked.now)),
    };
    match asked.which {
        Which::Count(least, most) => {
            let mut doubtful = NOBODY;
            let mut holds = at_least(asked, piece, least, &edges, &mut doubtful);
            if let Some(above) = most.checked_add(1) {
                let too_many = at_least(asked, piece, above, &edges, &mut doubtful);
                merge(&mut holds, &too_many, |holds, too_many| holds & !too_many);
            }
            if series.newest >= window.core.last {
                let mut late = NOBODY;
                let before = edges.before;
                series.last.scan_known(piece, &mut late, |at| at >= before);
                merge(&mut doubtful, &late, |doubtful, late| doubtful | late);
            }
            *yes = holds;
            *ask = doubtful;
        }
        Which::First => match series.rank(Rank::First) {
            Some(first) => first.scan(piece, (&mut *yes, &mut *ask), |at| edges.answer(at)),
            None => {
                series.last.scan(piece, (&mut *yes, &mut *ask), |at| u8::from(at != NEVER) << 1)
            }
        },
        Which::Last => {
            // Whoever has one after now has to be looked at: it is not the latest one yet.
            let now = coarse(asked.now);
            series.last.scan(piece, (&mut *yes, &mut *ask), |at| {
                let later = u8::from(at >= now) << 1;
                edges.answer(at) | later
            });
        }
    }
    let doubtful = *ask;
    let holds = *yes;
    settle(asked, holds, (yes, ask));
    if asked.otherwise.is_some() {
        merge(ask, &holds, |_, holds| holds);
    }
    merge(ask, &doubtful, |ask, doubtful| ask | doubtful);
}

impl Edges {
    fn answer(&self, at: i32) -> Answer {
        let possible = (at != NEVER) & (self.from <= at) & (at <= self.to);
        let sure = possible & (self.after < at) & (at < self.before);
        u8::from(sure) | (u8::from(possible & !sure) << 1)
    }
}

/// Whose n-th latest moment lies after the beginning of the window.
fn at_least(
    asked: &Happened<'_>,
    piece: usize,
    n: u64,
    edges: &Edges,
    doubtful: &mut Bits,
) -> Bits {
    if n == 0 {
        return EVERYBODY;
    }
    let (mut yes, mut ask) = (NOBODY, NOBODY);
    let Some(series) = asked.series else { return yes };
    let (after, from) = (edges.after, edges.from);
    match series.rank(Rank::Latest(n)) {
        Some(rank) => rank.scan(piece, (&mut yes, &mut ask), |at| {
            let possible = (at != NEVER) & (from <= at);
            let sure = possible & (after < at);
            u8::from(sure) | (u8::from(possible & !sure) << 1)
        }),
        None => {
            series.last.scan_known(piece, &mut ask, |at| (at != NEVER) & (from <= at));
        }
    }
    merge(doubtful, &ask, |doubtful, ask| doubtful | ask);
    yes
}

/// What it means that enough lies in the window.
fn settle(asked: &Happened<'_>, holds: Bits, (yes, ask): (&mut Bits, &mut Bits)) {
    *ask = NOBODY;
    *yes = match asked.otherwise {
        None if asked.negate => holds.map(|word| !word),
        None => holds,
        Some(true) => holds.map(|word| !word),
        Some(false) => NOBODY,
    };
}

/// The exact answer for one customer; `None`: the row has to say.
pub(super) fn resolve(leaf: &Leaf<'_>, slot: u32, planner: &Planner<'_>) -> Option<bool> {
    match &leaf.scan {
        Scan::Known(holds) => Some(*holds),
        Scan::Rows | Scan::Share { .. } => None,
        Scan::Coded { column, test, .. } => resolve_value(column, test, slot, planner),
        Scan::Ordered { column, ordered, test, among } => {
            let upper = ordered.upper.get(slot);
            if upper == NO_KEY || upper == ODD_KEY {
                return resolve_value(column, test, slot, planner);
            }
            let key = ordered.key(slot);
            let Others::Between { sure, invert, stretches, .. } = &among.others else {
                if let (Test::Date(test), Kind::Moment) = (test, ordered.kind) {
                    let zone = planner.zone(planner.mirror.zones.number_of(slot))?;
                    let context = TestContext { now: planner.now, zone };
                    return Some(date_passes(test, moment_of(key), &context));
                }
                return resolve_value(column, test, slot, planner);
            };
            let inside = match (stretches, ordered.kind) {
                (Some(stretches), Kind::Moment) => {
                    let own = stretches.in_zone(planner.mirror.zones.number_of(slot))?;
                    own.contains(moment_of(key).0)
                }
                (Some(_) | None, Kind::Moment | Kind::Number) => sure.0 <= key && key <= sure.1,
            };
            Some(inside != *invert)
        }
        Scan::Happened(asked) => resolve_happened(asked, slot, planner),
    }
}

fn resolve_value(column: &Column, test: &Test, slot: u32, planner: &Planner<'_>) -> Option<bool> {
    let value = column.value(slot).ok()?;
    let zone = planner.zone(planner.mirror.zones.number_of(slot))?;
    Some(passes(test, value.as_ref(), &TestContext { now: planner.now, zone }))
}

fn resolve_happened(asked: &Happened<'_>, slot: u32, planner: &Planner<'_>) -> Option<bool> {
    let mut own = asked.window.in_zone(planner.mirror.zones.number_of(slot))?;
    if asked.since_first_seen {
        let seen = planner.mirror.first_seen.get(slot);
        own.first = if seen == NOT_SEEN { i64::MIN + 1 } else { Timestamp(seen).0 };
    }
    let holds = holds(asked, own, asked.series.into_iter().flat_map(|series| series.times(slot)));
    match asked.otherwise {
        None => Some(holds != asked.negate),
        Some(_) if holds => None,
        Some(otherwise) => Some(otherwise),
    }
}

/// `times` are the latest first.
fn holds(asked: &Happened<'_>, own: Stretch, times: impl Iterator<Item = i64>) -> bool {
    match asked.which {
        Which::Count(least, most) => {
            let inside = times.skip_while(|at| *at > own.last).take_while(|at| *at >= own.first);
            let count = inside.count() as u64;
            least <= count && count <= most
        }
        Which::First => {
            let first = times.last();
            first.is_some_and(|first| first <= asked.now && own.contains(first))
        }
        Which::Last => {
            let mut until_now = times.skip_while(|at| *at > asked.now);
            until_now.next().is_some_and(|last| own.contains(last))
        }
    }
}
