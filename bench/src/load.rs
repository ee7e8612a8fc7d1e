//! The load: connections that send batches and wait for the answer, as clients do.
//!
//! Closed: the next batch goes out when the answer to the one before is there. Open: batches are
//! due at fixed moments, and the latency counts from the moment at which one was due, so that a
//! slow server cannot hide behind a load that waits for it.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use trials::client::Client;

/// Connections of a closed load: enough that a group commit has something to group.
pub(crate) const CONNECTIONS: usize = 16;

/// What became of a load.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// Milliseconds from due to answered, for each batch.
    pub(crate) latencies: Vec<f64>,
    /// How often the server said that too much is waiting.
    pub(crate) refused: u64,
}

/// To whom and in which form.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) key: String,
    /// Such as `/v1/batch`.
    pub(crate) path: &'static str,
    pub(crate) connections: usize,
}

/// Send so many batches as fast as they are answered. `make` writes the items of a batch.
///
/// # Errors
/// A batch was not accepted as a whole.
pub(crate) fn closed(
    target: &Target,
    batches: u64,
    make: impl Fn(u64, &mut String) + Sync,
) -> anyhow::Result<Done> {
    run(target, batches, None, make)
}

/// Send so many batches at a rate per second.
///
/// # Errors
/// A batch was not accepted as a whole.
pub(crate) fn open(
    target: &Target,
    batches: u64,
    per_second: f64,
    make: impl Fn(u64, &mut String) + Sync,
) -> anyhow::Result<Done> {
    run(target, batches, Some(per_second), make)
}

fn run(
    target: &Target,
    batches: u64,
    rate: Option<f64>,
    make: impl Fn(u64, &mut String) + Sync,
) -> anyhow::Result<Done> {
    let next = AtomicU64::new(0);
    let done = Mutex::new(Done::default());
    let began = Instant::now();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..target.connections)
            .map(|_| {
                scope.spawn(|| -> anyhow::Result<()> {
                    let part = worker(target, batches, rate, &make, &next, began)?;
                    let mut all = done.lock().map_err(|_| anyhow::anyhow!("a worker panicked"))?;
                    all.latencies.extend(part.latencies);
                    all.refused += part.refused;
                    Ok(())
                })
            })
            .collect();
        for worker in workers {
            worker.join().map_err(|_| anyhow::anyhow!("a worker panicked"))??;
        }
        anyhow::Ok(())
    })?;
    done.into_inner().map_err(|_| anyhow::anyhow!("a worker panicked"))
}

fn worker(
    target: &Target,
    batches: u64,
    rate: Option<f64>,
    make: &(impl Fn(u64, &mut String) + Sync),
    next: &AtomicU64,
    began: Instant,
) -> anyhow::Result<Done> {
    let mut client = Client::new(target.address).with_key(&target.key);
    let mut body = String::new();
    let mut done = Done::default();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= batches {
            return Ok(done);
        }
        body.clear();
        body.push_str("{\"batch\":[");
        make(number, &mut body);
        body.push_str("]}");
        let due = match rate {
            None => Instant::now(),
            Some(rate) => began + Duration::from_secs_f64(number as f64 / rate),
        };
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        loop {
            let response = client
                .send("POST", target.path, Some(body.as_bytes()))
                .with_context(|| format!("batch {number}"))?;
            if response.status == 429 {
                done.refused += 1;
                std::thread::sleep(Duration::from_millis(20));
                continue;
            }
            let text = response.text();
            let whole = response.status == 200 && text.contains("\"errors\":[]");
            anyhow::ensure!(whole, "batch {number}: {} {text:.300}", response.status);
            break;
        }
        done.latencies.push(due.elapsed().as_secs_f64() * 1e3);
    }
}

/// Items of a batch, one after the other.
pub(crate) fn items(
    numbers: std::ops::Range<u64>,
    into: &mut String,
    make: impl Fn(u64, &mut String),
) {
    for number in numbers {
        if !into.ends_with('[') {
            into.push(',');
        }
        make(number, into);
    }
}
