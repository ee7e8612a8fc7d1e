//! Fake channels: they accept, refuse, fall silent, and are down for an hour or a day.

use std::collections::BTreeMap;

use engine::outreach::content::OutreachType;

use super::books::Answer;
use super::rules::{DAY, HOUR, MINUTE};
use crate::model::clock::Ms;
use crate::worlds::dice::Dice;

/// How the receivers of one world behave.
#[derive(Clone, Debug)]
pub(super) struct Receivers {
    /// So often of a hundred, each.
    pub(super) retries: u64,
    pub(super) rejects: u64,
    pub(super) ambiguous: u64,
    /// Until when a channel is down.
    down: BTreeMap<OutreachType, Ms>,
    /// Everything works from here on.
    pub(super) healthy: bool,
}

impl Receivers {
    pub(super) fn new(dice: &mut Dice) -> Receivers {
        Receivers {
            retries: dice.one(&[0, 10, 30]),
            rejects: dice.one(&[0, 3, 10]),
            ambiguous: dice.one(&[0, 5, 20]),
            down: BTreeMap::new(),
            healthy: false,
        }
    }

    /// A channel is down for a while.
    pub(super) fn fail(&mut self, dice: &mut Dice, now: Ms) {
        let channels =
            [OutreachType::Email, OutreachType::Webhook, OutreachType::Sms, OutreachType::Push];
        let length = dice.one(&[10 * MINUTE, HOUR, DAY, 4 * DAY]);
        self.down.insert(dice.one(&channels), now + length);
    }

    /// What a receiver says. One that drops repetitions does not refuse what it has taken.
    pub(super) fn answer(
        &mut self,
        dice: &mut Dice,
        (channel, taken): (OutreachType, bool),
        now: Ms,
    ) -> Answer {
        match self.roll(dice, channel, now) {
            Answer::Rejects | Answer::AddressGone if taken => Answer::Accepts,
            answer => answer,
        }
    }

    fn roll(&mut self, dice: &mut Dice, channel: OutreachType, now: Ms) -> Answer {
        if self.healthy {
            return Answer::Accepts;
        }
        if self.down.get(&channel).is_some_and(|until| now < *until) {
            return if dice.chance(5) { Answer::LostUnheard } else { Answer::Retry };
        }
        let roll = dice.below(100);
        if roll < self.retries {
            return Answer::Retry;
        }
        if roll < self.retries + self.rejects {
            return dice.one(&[Answer::Rejects, Answer::Rejects, Answer::AddressGone]);
        }
        if roll < self.retries + self.rejects + self.ambiguous {
            return dice.one(&[Answer::TookItUnheard, Answer::LostUnheard]);
        }
        Answer::Accepts
    }
}
