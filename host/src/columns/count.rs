//! All questions of a filter, asked piece by piece and added up: each alone, the outermost group
//! also step by step, some of those who match, and who of them can be reached.

use std::ops::Range;

use engine::condition::count::lines;
use engine::estimate::Estimate;
use engine::ids::CustomerId;
use engine::outreach::compiled::{Ask, Condition};
use engine::outreach::content::OutreachType;
use engine::project::Project;
use engine::time::Timestamp;

use super::piece::{Bits, EVERYBODY, NOBODY, PIECE, how_many, merge, places, put};
use super::plan::{Leaf, Planner, Scan, ranks};
use super::scan::{resolve, scan};
use super::{CHANNELS, Happening, Mirror};

/// Pieces that are worth a thread of their own.
const PIECES_PER_THREAD: usize = 4;

/// Who answers for a row: does the condition hold for this customer?
pub type Rows<'a> = dyn Fn(CustomerId, &Condition) -> bool + Sync + 'a;

/// Who of those who match can be reached.
#[derive(Clone, Copy)]
pub enum Reachable<'a> {
    /// Everybody.
    Anyhow,
    /// Whoever has an address on a channel, and does not refuse it.
    Channel(OutreachType),
    /// Whoever the row says.
    Row(&'a (dyn Fn(CustomerId) -> bool + Sync)),
}

/// What is counted.
pub struct Question<'a> {
    /// Whose customers.
    pub project: &'a Project,
    /// Who; `None`: everyone.
    pub filter: Option<&'a Condition>,
    /// Over what they are to be reached.
    pub reach: Reachable<'a>,
    /// The moment.
    pub now: Timestamp,
    /// Customers shown beside the counts.
    pub sample: usize,
    /// Threads, when rows may have to be asked.
    pub threads: usize,
}

/// The counts, and some who match.
#[derive(Debug, Default, PartialEq)]
pub struct Counted {
    /// The counts.
    pub estimate: Estimate,
    /// Some who match.
    pub sample: Vec<CustomerId>,
    /// How many answers came from rows.
    pub rows: u64,
}

impl Mirror {
    /// Count. `rows` is asked what the columns cannot say.
    pub fn count(&mut self, question: &Question<'_>, rows: &Rows<'_>) -> Counted {
        if let Some(filter) = question.filter {
            self.lay_out(filter);
        }
        let mirror = &*self;
        let planner = Planner::new(mirror, question.project, question.now);
        let mut estimate = Estimate::default();
        let mut plan = None;
        if let Some(filter) = question.filter {
            estimate.conditions = lines(filter);
            plan = Some(planner.node(filter, &mut Some(0)));
        }
        let work = Work { planner: &planner, plan: plan.as_ref(), question, rows };
        let pieces = mirror.slots.pieces();
        let asks_rows = plan.as_ref().is_some_and(Node::may_ask_rows);
        let most = if asks_rows { question.threads } else { 1 };
        let threads = most.min(pieces / PIECES_PER_THREAD).max(1);
        let share = pieces.div_ceil(threads).max(1);
        let shares = (0..threads).map(|part| part * share..((part + 1) * share).min(pieces));
        let mut tallies = Vec::new();
        if threads == 1 {
            tallies.push(work.tally(0..pieces, estimate.conditions.len()));
        } else {
            std::thread::scope(|scope| {
                let parts: Vec<_> = shares
                    .map(|pieces| scope.spawn(|| work.tally(pieces, estimate.conditions.len())))
                    .collect();
                for part in parts {
                    match part.join() {
                        Ok(tally) => tallies.push(tally),
                        Err(panic) => std::panic::resume_unwind(panic),
                    }
                }
            });
        }
        add_up(estimate, tallies, question.sample)
    }

    /// Lay out what a filter needs besides the columns: ranks and shares.
    fn lay_out(&mut self, condition: &Condition) {
        match &condition.ask {
            Ask::All(children) | Ask::Any(children) | Ask::None(children) => {
                for child in children {
                    self.lay_out(child);
                }
            }
            Ask::Segment { condition, .. } => {
                if let Some(condition) = condition {
                    self.lay_out(condition);
                }
            }
            Ask::RandomBucket { salt, .. } => self.lay_out_share(salt),
            Ask::Event { event, test, conditions, .. } => {
                if let Some(series) = self.series.get_mut(&Happening::Event(*event)) {
                    for rank in ranks(test, conditions.is_some()) {
                        series.lay_out(rank);
                    }
                }
            }
            Ask::Attribute { .. } | Ask::Property { .. } | Ask::Outreach { .. } => {}
        }
    }
}

fn add_up(mut estimate: Estimate, tallies: Vec<Tally>, most: usize) -> Counted {
    let (mut sample, mut rows) = (Vec::new(), 0);
    for tally in tallies {
        estimate.total += tally.total;
        estimate.matched += tally.matched;
        estimate.reachable += tally.reachable;
        for (line, (alone, cumulative)) in estimate.conditions.iter_mut().zip(tally.lines) {
            line.alone += alone;
            if let Some(sum) = &mut line.cumulative {
                *sum += cumulative;
            }
        }
        sample.extend(tally.sample);
        rows += tally.rows;
    }
    sample.truncate(most);
    sample.sort_unstable();
    Counted { estimate, sample, rows }
}

/// A condition with its scans. `line`: where its counts go; none inside a segment.
struct Node<'a> {
    line: Option<usize>,
    asks: Asks<'a>,
}

enum Asks<'a> {
    Leaf(Leaf<'a>),
    Group(Group, Vec<Node<'a>>),
    /// A segment; without a condition it is everybody.
    Inside(Option<Box<Node<'a>>>, bool),
}

#[derive(Clone, Copy)]
enum Group {
    All,
    Any,
    None,
}

impl<'a> Planner<'a> {
    /// `line` is the next free one; `None` inside a segment.
    fn node(&self, condition: &'a Condition, line: &mut Option<usize>) -> Node<'a> {
        let own = *line;
        *line = line.map(|line| line + 1);
        let mut inside = |children: &'a [Condition]| -> Vec<Node<'a>> {
            children.iter().map(|child| self.node(child, line)).collect()
        };
        let asks = match &condition.ask {
            Ask::All(children) => Asks::Group(Group::All, inside(children)),
            Ask::Any(children) if children.is_empty() => Asks::Group(Group::All, Vec::new()),
            Ask::Any(children) => Asks::Group(Group::Any, inside(children)),
            Ask::None(children) => Asks::Group(Group::None, inside(children)),
            Ask::Segment { condition, negate, id: _ } => {
                let inner = condition.as_deref().map(|inner| {
                    let mut node = self.node(inner, &mut None);
                    node.rows_last();
                    Box::new(node)
                });
                Asks::Inside(inner, *negate)
            }
            Ask::Attribute { .. }
            | Ask::Property { .. }
            | Ask::Event { .. }
            | Ask::Outreach { .. }
            | Ask::RandomBucket { .. } => Asks::Leaf(self.leaf(condition)),
        };
        Node { line: own, asks }
    }
}

impl Node<'_> {
    fn may_ask_rows(&self) -> bool {
        match &self.asks {
            Asks::Leaf(leaf) => match &leaf.scan {
                Scan::Rows => true,
                Scan::Happened(asked) => asked.otherwise.is_some(),
                Scan::Known(_) | Scan::Coded { .. } | Scan::Ordered { .. } | Scan::Share { .. } => {
                    false
                }
            },
            Asks::Group(_, children) => children.iter().any(Node::may_ask_rows),
            Asks::Inside(inner, _) => inner.as_ref().is_some_and(|inner| inner.may_ask_rows()),
        }
    }

    /// Inside a segment the order is free: what may need rows comes when few are left to ask.
    fn rows_last(&mut self) {
        if let Asks::Group(_, children) = &mut self.asks {
            children.sort_by_key(Node::may_ask_rows);
            for child in children {
                child.rows_last();
            }
        }
    }
}

/// What one thread needs.
struct Work<'a> {
    planner: &'a Planner<'a>,
    plan: Option<&'a Node<'a>>,
    question: &'a Question<'a>,
    rows: &'a Rows<'a>,
}

/// What one thread found.
struct Tally {
    total: u64,
    matched: u64,
    reachable: u64,
    /// Alone and cumulative.
    lines: Vec<(u64, u64)>,
    sample: Vec<CustomerId>,
    rows: u64,
}

impl Work<'_> {
    fn tally(&self, pieces: Range<usize>, lines: usize) -> Tally {
        let mut tally = Tally {
            total: 0,
            matched: 0,
            reachable: 0,
            lines: vec![(0, 0); lines],
            sample: Vec::new(),
            rows: 0,
        };
        for piece in pieces {
            let taken = self.planner.mirror.slots.taken(piece);
            let matched = match self.plan {
                None => taken,
                Some(plan) => {
                    let mut holds = self.ask(plan, 0, piece, &taken, &mut tally);
                    merge(&mut holds, &taken, |holds, taken| holds & taken);
                    holds
                }
            };
            tally.total += how_many(&taken);
            tally.matched += how_many(&matched);
            tally.reachable += how_many(&self.reachable(piece, matched));
            let missing = self.question.sample.saturating_sub(tally.sample.len());
            for place in places(&matched).take(missing) {
                let id = self.planner.mirror.slots.id(slot(piece, place));
                tally.sample.extend(id);
            }
        }
        tally
    }

    /// Of whom it holds; only for `wanted` the answer means something.
    fn ask(
        &self,
        node: &Node<'_>,
        depth: usize,
        piece: usize,
        wanted: &Bits,
        tally: &mut Tally,
    ) -> Bits {
        let holds = match &node.asks {
            Asks::Leaf(leaf) => self.ask_leaf(leaf, piece, wanted, tally),
            Asks::Group(group, children) => {
                self.ask_group((*group, children), depth, piece, wanted, tally)
            }
            Asks::Inside(inner, negate) => {
                let members = match inner {
                    None => EVERYBODY,
                    Some(inner) => self.ask(inner, depth + 1, piece, wanted, tally),
                };
                if *negate { members.map(|word| !word) } else { members }
            }
        };
        if let Some(line) = node.line.and_then(|line| tally.lines.get_mut(line)) {
            let mut counted = holds;
            merge(&mut counted, wanted, |holds, wanted| holds & wanted);
            line.0 += how_many(&counted);
        }
        holds
    }

    fn ask_group(
        &self,
        (group, children): (Group, &[Node<'_>]),
        depth: usize,
        piece: usize,
        wanted: &Bits,
        tally: &mut Tally,
    ) -> Bits {
        // All and none start from everybody and lose; any starts from nobody and gains.
        let mut holds = if matches!(group, Group::Any) { NOBODY } else { EVERYBODY };
        for child in children {
            // Where everything is counted, everybody is asked; inside a segment only the undecided.
            let mut open = *wanted;
            if child.line.is_none() {
                match group {
                    Group::All | Group::None => {
                        merge(&mut open, &holds, |open, holds| open & holds)
                    }
                    Group::Any => merge(&mut open, &holds, |open, holds| open & !holds),
                }
            }
            let answer = self.ask(child, depth + 1, piece, &open, tally);
            match group {
                Group::All => merge(&mut holds, &answer, |holds, answer| holds & answer),
                Group::Any => merge(&mut holds, &answer, |holds, answer| holds | answer),
                Group::None => merge(&mut holds, &answer, |holds, answer| holds & !answer),
            }
            if depth == 0
                && matches!(group, Group::All)
                && let Some(line) = child.line.and_then(|line| tally.lines.get_mut(line))
            {
                let mut so_far = holds;
                merge(&mut so_far, wanted, |holds, wanted| holds & wanted);
                line.1 += how_many(&so_far);
            }
        }
        holds
    }

    fn ask_leaf(&self, leaf: &Leaf<'_>, piece: usize, wanted: &Bits, tally: &mut Tally) -> Bits {
        let (mut holds, mut open) = scan(leaf, piece);
        merge(&mut open, wanted, |open, wanted| open & wanted);
        if open == NOBODY {
            return holds;
        }
        for place in places(&open) {
            let slot = slot(piece, place);
            let answer = match resolve(leaf, slot, self.planner) {
                Some(answer) => answer,
                None => {
                    tally.rows += 1;
                    let id = self.planner.mirror.slots.id(slot);
                    id.is_some_and(|id| (self.rows)(id, leaf.condition))
                }
            };
            put(&mut holds, place, answer);
        }
        holds
    }

    fn reachable(&self, piece: usize, mut matched: Bits) -> Bits {
        let asked = match self.question.reach {
            Reachable::Anyhow => return matched,
            Reachable::Channel(asked) => asked,
            Reachable::Row(row) => {
                for place in places(&matched.clone()) {
                    let id = self.planner.mirror.slots.id(slot(piece, place));
                    put(&mut matched, place, id.is_some_and(row));
                }
                return matched;
            }
        };
        let channels = CHANNELS.into_iter().zip([0_u32, 2, 4, 6]);
        for (_, place) in channels.filter(|(channel, _)| *channel == asked) {
            let assumed = u32::from(!self.question.project.settings.consent_by_default);
            let bit = 1_u8 << (place + assumed);
            let mut refused = NOBODY;
            let refusals = &self.planner.mirror.refusals;
            refusals.scan_known(piece, &mut refused, |bits| bits & bit != 0);
            merge(&mut matched, &refused, |matched, refused| matched & !refused);
        }
        matched
    }
}

fn slot(piece: usize, place: u16) -> u32 {
    u32::try_from(piece * PIECE).unwrap_or(u32::MAX).saturating_add(u32::from(place))
}
