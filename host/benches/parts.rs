//! The parts of what an event costs besides its judgement: `cargo bench -p tidings-host --bench parts`.

#![allow(clippy::unwrap_used, reason = "a bench")]

use divan::{AllocProfiler, Bencher, black_box};
use engine::decision::Ruling;
use engine::fact::{Event, Fact, Names};
use engine::ids::{CustomerId, EventId, ProjectNo};
use engine::time::Timestamp;
use host::record::{CustomerRecord, Entry, FORMAT};
use store::log::{Log, LogOptions, Sync};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

fn entry() -> Entry {
    let names = Names { user_id: Some("user-12345".to_owned()), anonymous_id: None };
    Entry::Customer(CustomerRecord {
        project: ProjectNo(1),
        customer: CustomerId::of_user(ProjectNo(1), "user-12345"),
        now: Timestamp(1_795_348_800_000),
        fact: Fact::Event(Event {
            id: EventId::of(ProjectNo(1), "m1"),
            name: "Product Viewed".to_owned(),
            at: Timestamp(1_795_348_800_000),
            properties: format!(r#"{{"amount":12,"text":"{}"}}"#, "x".repeat(200)),
            historical: false,
            names,
            page: None,
            hops: 0,
        }),
        ruling: Ruling::default(),
    })
}

#[divan::bench]
fn encode_a_record(bencher: Bencher<'_, '_>) {
    let (entry, mut buffer) = (entry(), Vec::with_capacity(1_024));
    bencher.bench_local(|| {
        buffer.clear();
        buffer = postcard::to_extend(black_box(&entry), std::mem::take(&mut buffer)).unwrap();
    });
}

#[divan::bench]
fn decode_a_record(bencher: Bencher<'_, '_>) {
    let bytes = postcard::to_extend(&entry(), Vec::new()).unwrap();
    bencher.bench_local(|| postcard::from_bytes::<Entry>(black_box(&bytes)).unwrap());
}

/// Without the sync, which is the disk's.
#[divan::bench(sample_size = 1_000)]
fn append_to_the_log(bencher: Bencher<'_, '_>) {
    let dir = tempfile::TempDir::new().unwrap();
    let options = LogOptions { sync: Sync::Never, ..LogOptions::default() };
    let (mut log, _) = Log::open(&dir.path().join("log"), options).unwrap();
    let bytes = postcard::to_extend(&entry(), Vec::new()).unwrap();
    let mut count = 0_u64;
    bencher.bench_local(|| {
        log.append(0, FORMAT, &bytes).unwrap();
        count += 1;
        if count.is_multiple_of(100) {
            log.commit().unwrap();
        }
    });
}
