//! Clients that send as much as they are told: after each answer, or by the clock.
//!
//! Requests are made from a form in which only digits change, so that the clients leave the
//! machine to the server.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::client::Client;

/// The event that nearly all send.
pub(super) const FREQUENT: &str = "clicked";
/// The event that one of each batch is, and that an outreach listens to.
pub(super) const RARE: &str = "bought";
/// Events of one batch.
pub(super) const EVENTS_PER_BATCH: u64 = 100;
/// Customers who are spoken of.
const CUSTOMERS: u64 = 2_000;
/// Clients that wait for each answer: enough to keep the server busy.
const WAITING: usize = 16;
/// Clients by the clock: enough that one is free when its moment comes.
const BY_THE_CLOCK: usize = 256;

/// Where to send.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) address: SocketAddr,
    pub(super) key: String,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Offered {
    /// Which numbers the batches had.
    pub(super) series: u64,
    pub(super) lasted: Duration,
    /// Events that were sent.
    pub(super) offered: u64,
    /// Batches that were accepted.
    pub(super) batches: Vec<u64>,
    pub(super) statuses: BTreeMap<u16, usize>,
    pub(super) without_retry_after: usize,
    times: Vec<Duration>,
}

impl Offered {
    /// Events accepted in a second.
    pub(super) fn rate(&self) -> f64 {
        self.accepted() as f64 / self.lasted.as_secs_f64()
    }

    pub(super) fn accepted(&self) -> u64 {
        self.batches.len() as u64 * EVENTS_PER_BATCH
    }

    /// Events of requests that had no answer.
    pub(super) fn unknown(&self) -> u64 {
        self.statuses.get(&0).copied().unwrap_or_default() as u64 * EVENTS_PER_BATCH
    }

    /// What so many of a hundred accepted requests waited at most.
    pub(super) fn waited(&self, percent: usize) -> Duration {
        let last = self.times.len().saturating_sub(1);
        self.times.get(last * percent / 100).copied().unwrap_or_default()
    }

    fn add(&mut self, other: Offered) {
        self.offered += other.offered;
        self.batches.extend(other.batches);
        for (status, times) in other.statuses {
            *self.statuses.entry(status).or_default() += times;
        }
        self.without_retry_after += other.without_retry_after;
        self.times.extend(other.times);
    }

    fn note(&mut self, client: &mut Client, request: &[u8], number: u64) -> u16 {
        let began = Instant::now();
        self.offered += EVENTS_PER_BATCH;
        let status = match client.send_raw(request) {
            Ok(response) => {
                if response.status == 429 && response.header("retry-after").is_none() {
                    self.without_retry_after += 1;
                }
                response.status
            }
            Err(_) => 0,
        };
        *self.statuses.entry(status).or_default() += 1;
        if status == 200 {
            self.batches.push(number);
            self.times.push(began.elapsed());
        }
        status
    }
}

impl Target {
    pub(super) fn client(&self) -> Client {
        Client::new(self.address)
    }

    /// The batch with this number, always the same.
    pub(super) fn request(&self, series: u64, number: u64) -> Vec<u8> {
        let mut body = String::with_capacity(16_000);
        body.push_str("{\"batch\":[");
        for place in 0..EVENTS_PER_BATCH {
            let comma = if place == 0 { "" } else { "," };
            let user = (number * EVENTS_PER_BATCH + place) % CUSTOMERS;
            let name = if place == 0 { RARE } else { FREQUENT };
            let _ = write!(
                body,
                "{comma}{{\"type\":\"track\",\"event\":\"{name}\",\"userId\":\"user-{user}\",\
                 \"messageId\":\"{series}-{number}-{place}\",\"properties\":{{\"button\":\"pay\",\
                 \"total\":{place}}}}}"
            );
        }
        body.push_str("]}");
        let (address, key, length) = (self.address, &self.key, body.len());
        let mut request = format!(
            "POST /v1/batch HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        );
        request.push_str(&body);
        request.into_bytes()
    }
}

/// As many as the server takes: each client sends when its answer has come, and comes back when
/// it is told to. What it is refused counts as nothing.
pub(super) fn closed_loop(
    target: &Target,
    lasts: Duration,
    series: u64,
) -> anyhow::Result<Offered> {
    let next = AtomicU64::new(0);
    let began = Instant::now();
    let one = || {
        let mut offered = Offered::default();
        let mut client = target.client();
        while began.elapsed() < lasts {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let request = target.request(series, number);
            while offered.note(&mut client, &request, number) == 429 && began.elapsed() < lasts {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        offered
    };
    together(WAITING, one, series, began)
}

/// So many events in a second, whatever is answered.
pub(super) fn open_loop(
    target: &Target,
    lasts: Duration,
    rate: f64,
    series: u64,
) -> anyhow::Result<Offered> {
    let next = AtomicU64::new(0);
    let began = Instant::now();
    let pause = Duration::from_secs_f64(EVENTS_PER_BATCH as f64 / rate.max(1.0));
    let one = || {
        let mut offered = Offered::default();
        let mut client = target.client();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let due = pause.mul_f64(number as f64);
            if due >= lasts {
                return offered;
            }
            // What nobody was free to send in time is not made up for: it would be a burst.
            if began.elapsed() > due + Duration::from_millis(500) {
                continue;
            }
            let request = target.request(series, number);
            std::thread::sleep(due.saturating_sub(began.elapsed()));
            offered.note(&mut client, &request, number);
        }
    };
    together(BY_THE_CLOCK, one, series, began)
}

fn together(
    clients: usize,
    one: impl Fn() -> Offered + Sync,
    series: u64,
    began: Instant,
) -> anyhow::Result<Offered> {
    let mut whole = Offered { series, ..Offered::default() };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..clients).map(|_| scope.spawn(&one)).collect();
        for thread in threads {
            let part = thread.join().map_err(|_| anyhow::anyhow!("a client panicked"))?;
            whole.add(part);
        }
        anyhow::Ok(())
    })?;
    whole.lasted = began.elapsed();
    whole.times.sort_unstable();
    Ok(whole)
}
