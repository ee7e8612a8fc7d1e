//! Overload: several times more than the server can take, in bounded memory.
//!
//! First the sustainable rate is measured by clients that wait for each answer. Then a multiple of
//! it is offered by the clock, whether answers come or not. What is accepted must be as much as
//! before, quick, and really there; the rest is refused with a time to come back. At the end the
//! sustainable rate is measured again, since a store that has grown is slower than an empty one.
//!
//! All events are about a bounded set of customers: what a customer needs in memory is another
//! question than what a queue needs.

mod memory;
mod offer;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value as Json, json};

use self::memory::Limit;
use self::offer::{Offered, closed_loop, open_loop};
use crate::client::Client;
use crate::dice::Dice;
use crate::server::{Plan, Server};

/// What the server may use.
pub const MEMORY: u64 = 512 * 1024 * 1024;
/// What an accepted event may wait, for 99 of 100.
pub const MOST_WAIT: Duration = Duration::from_millis(250);
/// How much of the sustainable rate must be left.
pub const LEAST_GOODPUT: f64 = 0.9;
/// Accepted batches that are sent again at the end, to be answered as known: all, up to so many.
const SENT_AGAIN: usize = 5_000;

/// What a run found.
#[derive(Debug, Default)]
pub struct Findings {
    /// Events in a second that clients which wait for their answers brought in, before and after.
    pub sustainable: [f64; 2],
    /// Events in a second that were offered.
    pub offered: f64,
    /// What should have been offered.
    pub wanted: f64,
    /// Events in a second that were accepted of them.
    pub goodput: f64,
    /// Requests by status; 0: no answer.
    pub statuses: BTreeMap<u16, usize>,
    /// 429 without a time to come back.
    pub without_retry_after: usize,
    /// How long accepted requests waited: the median and 99 of 100.
    pub waited: [Duration; 2],
    /// The most memory of the process.
    pub most_memory: u64,
    /// How memory was limited.
    pub limit: String,
    /// Events accepted in all, and how many of them the server counts.
    pub accepted: u64,
    /// See `accepted`.
    pub counted: u64,
    /// Events of requests without an answer, which may be counted or not.
    pub unknown: u64,
    /// Events that were accepted and that the server does not know when they come again.
    pub lost: u64,
    /// Lines of the log that no good run has.
    pub complaints: Vec<String>,
}

impl Findings {
    /// Broken promises, in words: these hold on any machine, however busy.
    pub fn broken(&self) -> Vec<String> {
        let mut broken = self.complaints.clone();
        let mut claim = |holds: bool, words: String| {
            if !holds {
                broken.push(words);
            }
        };
        claim(self.lost == 0, format!("{} accepted events are not known", self.lost));
        let most = self.accepted + self.unknown;
        let counted = (self.accepted..=most).contains(&self.counted);
        claim(counted, format!("{} accepted, {} counted", self.accepted, self.counted));
        let others = self.statuses.keys().find(|status| !matches!(status, 200 | 429));
        claim(others.is_none(), format!("answers by status: {:?}", self.statuses));
        claim(self.without_retry_after == 0, "429 without Retry-After".to_owned());
        broken
    }

    /// Goals of speed that were missed, in words; they mean something on an idle machine only.
    pub fn missed(&self) -> Vec<String> {
        let mut missed = Vec::new();
        if self.share() < LEAST_GOODPUT {
            missed
                .push(format!("goodput is {:.0} % of the sustainable rate", self.share() * 100.0));
        }
        if self.waited[1] > MOST_WAIT {
            missed.push(format!("99 % of the accepted waited up to {:?}", self.waited[1]));
        }
        if self.offered < self.wanted * 0.9 {
            missed.push("the clients could not offer what they should".to_owned());
        }
        missed
    }

    fn share(&self) -> f64 {
        let [before, after] = self.sustainable;
        self.goodput / f64::midpoint(before, after).max(1.0)
    }

    /// In one line.
    pub fn figures(&self) -> String {
        let [before, after] = self.sustainable;
        let [median, most] = self.waited;
        format!(
            "sustainable {before:.0} events/s before and {after:.0} after; offered {:.0}/s ({:.1} \
             times), accepted {:.0}/s ({:.0} %), by status {:?}; accepted waited {:.0} ms (median), \
             {:.0} ms (99 %); {} accepted, {} lost; most memory {} MiB, limited by {}",
            self.offered,
            self.offered / f64::midpoint(before, after).max(1.0),
            self.goodput,
            self.share() * 100.0,
            self.statuses,
            median.as_secs_f64() * 1000.0,
            most.as_secs_f64() * 1000.0,
            self.accepted,
            self.lost,
            self.most_memory / 1024 / 1024,
            self.limit,
        )
    }
}

/// Offer `factor` times the sustainable rate for so long.
///
/// # Errors
/// The server does not start, or ends.
pub fn run(seconds: u64, factor: f64, scratch: &Path) -> anyhow::Result<Findings> {
    let limit = Limit::make(MEMORY);
    let mut plan = Plan::new(scratch.join("data"))?;
    plan.launcher = limit.launcher();
    let mut server = Server::start(plan)?;
    let rare = json!({
        "name": "For few",
        "trigger": {"kind": "event", "event": offer::RARE},
        "frequency": {"kind": "once"},
        "content": {"kind": "banner", "text": "Hello"},
    });
    server.client()?.go_live("rare", &rare)?;
    let target = offer::Target { address: server.address()?, key: server.keys()?.secret.clone() };
    let measured = Duration::from_secs((seconds / 5).clamp(2, 20));
    let before = closed_loop(&target, measured, 1)?;
    let rate = before.rate();
    let wanted = rate * factor;
    let flood = open_loop(&target, Duration::from_secs(seconds), wanted, 2)?;
    let after = closed_loop(&target, measured, 3)?;
    anyhow::ensure!(server.is_alive()?, "the server has ended: {:?}", server.complaints());
    let mut found = Findings {
        sustainable: [rate, after.rate()],
        offered: flood.offered as f64 / flood.lasted.as_secs_f64(),
        wanted,
        goodput: flood.rate(),
        statuses: flood.statuses.clone(),
        without_retry_after: flood.without_retry_after,
        waited: [flood.waited(50), flood.waited(99)],
        limit: limit.words(),
        ..Findings::default()
    };
    for phase in [&before, &flood, &after] {
        found.accepted += phase.accepted();
        found.unknown += phase.unknown();
    }
    found.counted = counted(&mut server.client()?)?;
    for phase in [&before, &flood, &after] {
        found.lost += send_again(&target, phase)?;
    }
    let pid = server.pid().context("the server runs")?;
    found.most_memory = memory::most_of(pid)?;
    found.complaints = server.complaints();
    anyhow::ensure!(server.terminate()?.success(), "the server did not end well");
    limit.remove();
    std::fs::remove_dir_all(server.data())?;
    Ok(found)
}

/// How many of our events the server counts.
fn counted(client: &mut Client) -> anyhow::Result<u64> {
    let catalogue = client.get_json("/api/v1/catalogue")?;
    let events = catalogue.get("events").and_then(Json::as_array).context("no catalogue")?;
    let ours = |event: &&Json| {
        let name = event.get("name").and_then(Json::as_str).unwrap_or_default();
        [offer::FREQUENT, offer::RARE].contains(&name)
    };
    let count = |event: &Json| event.get("count").and_then(Json::as_u64).unwrap_or_default();
    Ok(events.iter().filter(ours).map(count).sum())
}

/// Accepted batches again: an event that is not answered as known was lost.
fn send_again(target: &offer::Target, phase: &Offered) -> anyhow::Result<u64> {
    let mut accepted = phase.batches.clone();
    let mut dice = Dice::new(7);
    while accepted.len() > SENT_AGAIN {
        let place = usize::try_from(dice.below(accepted.len() as u64))?;
        accepted.swap_remove(place);
    }
    let mut lost = 0;
    let mut client = target.client();
    for number in accepted {
        loop {
            let response = client.send_raw(&target.request(phase.series, number))?;
            match response.status {
                200 => {
                    let answer = response.json();
                    let known = answer.get("duplicates").and_then(Json::as_u64).unwrap_or_default();
                    lost += offer::EVENTS_PER_BATCH - known;
                    break;
                }
                429 => std::thread::sleep(Duration::from_millis(20)),
                status => anyhow::bail!("a batch sent again: {status} {}", response.text()),
            }
        }
    }
    Ok(lost)
}
