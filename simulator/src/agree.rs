//! The engine and the reference model live the same world and must say the same.
//!
//! The engine runs in memory, without host, log or channels: a map of customers, a list of facts
//! for the history, and a clock that stops at every moment the engine asks for. A message outside
//! the browser counts as handed over at the moment it is due, as in the model.

mod stage;

use std::sync::atomic::{AtomicU64, Ordering};

use crate::model::coverage::Coverage;
use crate::model::verdict::{Outcome, Skip, Verdict};
use crate::worlds::{self, Act, World};
use stage::Stage;

/// Where engine and model say different things.
#[derive(Debug)]
pub struct Disagreement {
    /// The world.
    pub seed: u64,
    /// Which of its steps.
    pub step: usize,
    /// What happens in it.
    pub act: String,
    /// What the model says and the engine does not.
    pub model: Vec<Verdict>,
    /// What the engine says.
    pub engine: Vec<Verdict>,
}

/// Live the world of a seed twice. The coverage is the model's.
///
/// # Errors
/// The first step after which the two differ.
pub fn agree(seed: u64) -> Result<Coverage, Box<Disagreement>> {
    let world = worlds::world(seed);
    let played = worlds::play(&world);
    let (engine, replayed) = live(&world);
    let tells = std::env::var_os("TIDINGS_TELL").is_some();
    for (step, (model, engine)) in played.verdicts.into_iter().zip(engine).enumerate() {
        let (model, engine) = (sorted(model), sorted(engine));
        if tells && model != engine {
            tell(&world, step);
        }
        if model != engine {
            let act = world.steps.get(step).map(|step| format!("{step:?}")).unwrap_or_default();
            return Err(Box::new(Disagreement { seed, step, act, model, engine }));
        }
    }
    if let Some(act) = replayed {
        let (model, engine) = (Vec::new(), Vec::new());
        return Err(Box::new(Disagreement { seed, step: world.steps.len(), act, model, engine }));
    }
    Ok(played.coverage)
}

/// What one needs to know to settle a difference.
fn tell(world: &World, until: usize) {
    println!("settings {}", serde_json::to_string(&world.settings).unwrap_or_default());
    for (id, filter) in &world.segments {
        println!("{id} {}", serde_json::to_string(filter).unwrap_or_default());
    }
    for (id, definition) in &world.definitions {
        println!("{id} {}", serde_json::to_string(definition).unwrap_or_default());
    }
    let verdicts = worlds::play(world).verdicts;
    for (place, (step, verdicts)) in world.steps.iter().zip(verdicts).enumerate().take(until + 1) {
        println!("{place} {} {:?}", crate::model::clock::write(step.now), step.act);
        for verdict in verdicts {
            let Verdict { outreach, customer, at, outcome } = verdict;
            println!("    {} {outreach} {customer} {outcome:?}", crate::model::clock::write(at));
        }
    }
}

/// Nothing is promised across customers, so verdicts are compared customer by customer; nor about
/// the order in which what waits is withdrawn.
fn sorted(mut verdicts: Vec<Verdict>) -> Vec<Verdict> {
    let withdrawn = |outcome: Outcome| match outcome {
        Outcome::Expired => Some(None),
        Outcome::Cancelled(skip @ (Skip::CancelledByEvent | Skip::AlreadySent)) => Some(Some(skip)),
        Outcome::Cancelled(_) | Outcome::Send { .. } | Outcome::Skip(_) | Outcome::Due { .. } => {
            None
        }
    };
    verdicts.sort_by_cached_key(|verdict| {
        let first = withdrawn(verdict.outcome);
        let outreach = if first.is_some() { verdict.outreach.clone() } else { String::new() };
        (verdict.at, verdict.customer, first.is_none(), first, outreach)
    });
    verdicts
}

/// The verdicts of each step, and whoever comes out of a replay as somebody else.
fn live(world: &World) -> (Vec<Vec<Verdict>>, Option<String>) {
    let mut stage = Stage::new(world);
    let mut verdicts = Vec::with_capacity(world.steps.len());
    for step in &world.steps {
        stage.advance(step.now);
        match &step.act {
            Act::Accept(input) => stage.accept(input),
            Act::SetStatus { id, status } => stage.set_status(id, *status),
            Act::Save { id, definition } => stage.save(id, definition),
            Act::Launch { id } => stage.launch(id),
            Act::Advance => {}
        }
        stage.hand_over();
        verdicts.push(stage.take());
    }
    (verdicts, stage.replayed())
}

/// What many worlds came to.
#[derive(Debug, Default)]
pub struct Many {
    /// What the model was asked, and how often.
    pub coverage: Coverage,
    /// By rising seed.
    pub differences: Vec<Disagreement>,
}

/// Live the worlds of `count` seeds from `first` on, on `threads` threads.
pub fn many(first: u64, count: u64, threads: usize) -> Many {
    let next = AtomicU64::new(first);
    let work = || {
        let mut many = Many::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + count {
                return many;
            }
            match agree(seed) {
                Ok(seen) => many.coverage.add(&seen),
                Err(difference) => many.differences.push(*difference),
            }
        }
    };
    let mut all = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut all = work();
        for other in others {
            let many = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            all.coverage.add(&many.coverage);
            all.differences.extend(many.differences);
        }
        all
    });
    all.differences.sort_by_key(|one| one.seed);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many worlds the ordinary run lives; `TIDINGS_WORLDS` changes it.
    fn how_many() -> u64 {
        std::env::var("TIDINGS_WORLDS").ok().and_then(|text| text.parse().ok()).unwrap_or(10_000)
    }

    #[test]
    fn all_worlds_compile() {
        for seed in 0..2_000 {
            let world = worlds::world(seed);
            let mut stage = Stage::new(&world);
            assert_eq!(stage.problems(), Vec::<String>::new(), "world {seed}");
            assert_eq!(stage.segments(), world.segments.len(), "world {seed}");
            for step in &world.steps {
                if let Act::Save { id, definition } = &step.act {
                    stage.save(id, definition);
                    assert_eq!(stage.problems(), Vec::<String>::new(), "world {seed}");
                }
            }
        }
    }

    #[test]
    fn the_engine_agrees_with_the_model() {
        let first = std::env::var("TIDINGS_SEED").ok().and_then(|text| text.parse().ok());
        let found = many(first.unwrap_or(0), how_many(), 2);
        let seeds: Vec<_> = found.differences.iter().map(|one| (one.seed, one.step)).collect();
        if let Some(Disagreement { seed, step, act, model, engine }) = found.differences.first() {
            panic!(
                "{} worlds differ: {seeds:?}\n\
                 world {seed} step {step}: {act}\nmodel  {model:#?}\nengine {engine:#?}",
                seeds.len()
            );
        }
        println!("{} worlds, 0 differences\n{}", how_many(), found.coverage);
    }
}
