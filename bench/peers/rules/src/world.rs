//! The rules and the events, the same for everybody.
//!
//! Four rules of five ask for one of a thousand articles; the fifth asks only for amounts and
//! attributes, so that no index by equality can throw it out.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

const NAMES: u64 = 20;
const ARTICLES: u64 = 1_000;
const PLANS: [&str; 4] = ["free", "starter", "pro", "enterprise"];
const COUNTRIES: [&str; 8] = ["de", "fr", "it", "es", "pl", "at", "ch", "nl"];

/// When `event` happens and everything else holds.
#[derive(Serialize, Deserialize)]
pub(crate) struct Rule {
    pub(crate) event: String,
    /// The property `article` is this.
    pub(crate) article: Option<String>,
    /// The property `amount` is this or more.
    pub(crate) amount_at_least: u64,
    /// The attribute `plan` is this.
    pub(crate) plan: String,
    /// The attribute `country` is this.
    pub(crate) country: Option<String>,
}

/// What somebody did, and who that is.
#[derive(Serialize, Deserialize)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) properties: Value,
    pub(crate) attributes: Map<String, Value>,
}

/// A number that looks like any other; the same in every run.
fn dice(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

fn one_of<T: Copy>(list: &[T], roll: u64) -> T {
    list[(roll % list.len() as u64) as usize]
}

/// Write both into a folder.
pub(crate) fn write(folder: &Path, rules: u64, events: u64) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)?;
    let rules: Vec<Rule> = (0..rules).map(rule).collect();
    let events: Vec<Event> = (0..events).map(event).collect();
    std::fs::write(folder.join("rules.json"), serde_json::to_vec(&rules)?)?;
    std::fs::write(folder.join("events.json"), serde_json::to_vec(&events)?)?;
    Ok(())
}

fn rule(number: u64) -> Rule {
    let roll = |turn: u64| dice(number * 16 + turn);
    let broad = number % 5 == 4;
    Rule {
        event: format!("event {}", number % NAMES),
        article: (!broad).then(|| format!("a{}", roll(1) % ARTICLES)),
        amount_at_least: if broad { 90 + roll(2) % 10 } else { roll(2) % 100 },
        plan: one_of(&PLANS, roll(3)).to_owned(),
        country: broad.then(|| one_of(&COUNTRIES, roll(4)).to_owned()),
    }
}

fn event(number: u64) -> Event {
    let roll = |turn: u64| dice(u64::MAX / 2 + number * 32 + turn);
    let properties = json!({
        "article": format!("a{}", roll(1) % ARTICLES),
        "amount": roll(2) % 101,
        "currency": "EUR",
        "quantity": roll(3) % 9 + 1,
        "path": format!("/shop/articles/{}", roll(4) % 100_000),
        "campaign": format!("campaign {}", roll(5) % 40),
    });
    let mut attributes = Map::new();
    attributes.insert("plan".into(), one_of(&PLANS, roll(6)).into());
    attributes.insert("country".into(), one_of(&COUNTRIES, roll(7)).into());
    for place in 0..18 {
        attributes.insert(format!("attribute{place}"), format!("value {}", roll(8 + place) % 500).into());
    }
    Event { name: format!("event {}", roll(30) % NAMES), properties, attributes }
}
