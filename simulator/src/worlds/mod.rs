//! Worlds from a seed: a random project, and what happens in it.
//!
//! Everything is drawn from small pools, so that conditions hold about as often as not, and the
//! clock likes to stop exactly at the edges of the windows that the rules use.

pub mod dice;
pub mod pools;
pub mod conditions;
pub mod outreaches;
mod lives;

use engine::outreach::definition::{Condition, Definition};
use engine::project::{Settings, Status};
use jiff::tz::TimeZone;

use crate::model::clock::{self, Ms};
use crate::model::coverage::Coverage;
use crate::model::verdict::Verdict;
use crate::model::{Input, Model};
use conditions::{Place, Topic};
use dice::Dice;

/// An outreach and its id.
pub type Outreach = (String, Definition);

/// A project and a history.
#[derive(Clone, Debug)]
pub struct World {
    /// Where it comes from.
    pub seed: u64,
    /// The project's settings.
    pub settings: Settings,
    /// Its segments by id; each speaks only of those before it.
    pub segments: Vec<(String, Option<Condition>)>,
    /// Its outreaches by id, in the order of their creation.
    pub definitions: Vec<Outreach>,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// Something happens at a moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// When it is accepted; never earlier than the step before.
    pub now: Ms,
    /// What.
    pub act: Act,
}

/// What happens.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// A client says something.
    Accept(Input),
    /// The team changes where an outreach stands.
    SetStatus {
        /// Which outreach.
        id: String,
        /// The new status.
        status: Status,
    },
    /// The team saves a version; in force from the next time it is set live.
    Save {
        /// Which outreach.
        id: String,
        /// The version.
        definition: Box<Definition>,
    },
    /// The team sends a one-off.
    Launch {
        /// Which outreach.
        id: String,
    },
    /// Only time passes.
    Advance,
}

/// The world of a seed.
pub fn world(seed: u64) -> World {
    let dice = &mut Dice::new(seed);
    let start = clock::read(dice.one(pools::STARTS), &TimeZone::UTC);
    let start = start.map_or(0, |when| when.start(&TimeZone::UTC));
    let ahead = dice.below(30 * 3_600_000);
    let base = start + Ms::try_from(ahead).unwrap_or(0);
    let mut topic = Topic {
        base,
        outreaches: dice.below(4) + 1,
        segments: dice.below(3),
        this: false,
        plain: dice.chance(30),
    };
    let settings = settings(dice);
    let mut segments = Vec::new();
    for place in 0..topic.segments {
        let earlier = Topic { segments: place, ..topic.clone() };
        let filter =
            dice.chance(90).then(|| conditions::condition(dice, &earlier, Place::Audience));
        segments.push((conditions::segment_id(place), filter));
    }
    topic.segments = segments.len() as u64;
    let definitions: Vec<Outreach> = (0..topic.outreaches)
        .map(|place| (conditions::outreach_id(place), outreaches::definition(dice, &topic, place)))
        .collect();
    let steps = lives::Life::new(dice, &definitions, &topic).live();
    World { seed, settings, segments, definitions, steps }
}

fn settings(dice: &mut Dice) -> Settings {
    Settings {
        timezone: dice.one(pools::ZONES).to_owned(),
        session_timeout_minutes: dice.one(&[30, 30, 1]),
        caps: if dice.chance(25) { vec![outreaches::cap(dice)] } else { Vec::new() },
        quiet_hours: dice.chance(15).then(|| outreaches::quiet_hours(dice)),
        consent_by_default: dice.chance(75),
        ..Settings::default()
    }
}

/// What the model says of a world: the verdicts of each step, and what was asked.
pub struct Played {
    /// For each step the verdicts, in the order in which they were judged.
    pub verdicts: Vec<Vec<Verdict>>,
    /// What was asked, and how often the answer was yes and no.
    pub coverage: Coverage,
}

/// Let the model live a world.
pub fn play(world: &World) -> Played {
    let mut model = Model::new(world.settings.clone());
    for (id, filter) in &world.segments {
        model.save_segment(id, filter.clone());
    }
    for (id, definition) in &world.definitions {
        model.save_outreach(id, definition.clone());
    }
    let mut verdicts = Vec::new();
    for step in &world.steps {
        verdicts.push(match &step.act {
            Act::Accept(input) => model.accept(step.now, input.clone()),
            Act::SetStatus { id, status } => model.set_status(id, *status, step.now),
            Act::Launch { id } => model.launch(id, step.now),
            Act::Advance => model.advance(step.now),
            Act::Save { id, definition } => {
                model.save_outreach(id, definition.as_ref().clone());
                model.advance(step.now)
            }
        });
    }
    Played { verdicts, coverage: model.coverage() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_is_the_same_world() {
        for seed in 0..50 {
            assert_eq!(format!("{:?}", world(seed)), format!("{:?}", world(seed)));
            assert_eq!(play(&world(seed)).verdicts, play(&world(seed)).verdicts);
        }
    }

    #[test]
    fn time_only_goes_forward() {
        for seed in 0..200 {
            let world = world(seed);
            assert!(world.steps.windows(2).all(|pair| pair[0].now <= pair[1].now), "{seed}");
        }
    }
}
