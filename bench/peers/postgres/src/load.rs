//! The load and the receiver: events in batches, single events and bursts with their webhooks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_postgres::{Client, Statement};

const CONNECTIONS: usize = 16;
const BATCH: u64 = 100;
const BURST: u64 = 1_000;

type Arrivals = Arc<(Mutex<Vec<Instant>>, Notify)>;

fn dice(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// Throughput: all connections send batches as fast as they are durable.
pub(crate) async fn events(
    to: &str,
    port: u16,
    count: u64,
    customers: u64,
    run: &str,
) -> anyhow::Result<()> {
    // The few webhooks of this part want a receiver too.
    receive(port).await?;
    let next = Arc::new(AtomicU64::new(0));
    let mut tasks = Vec::new();
    let began = Instant::now();
    for _ in 0..CONNECTIONS {
        let (to, run, next) = (to.to_owned(), run.to_owned(), Arc::clone(&next));
        tasks.push(tokio::spawn(async move {
            let client = crate::connect(&to).await?;
            let ingest = client.prepare("SELECT ingest($1, $2, $3, $4)").await?;
            loop {
                let batch = next.fetch_add(1, Ordering::Relaxed);
                if batch >= count / BATCH {
                    return anyhow::Ok(());
                }
                let items = (batch * BATCH..(batch + 1) * BATCH)
                    .map(|number| event(&run, number, customers));
                send(&client, &ingest, items.collect()).await?;
            }
        }));
    }
    for task in tasks {
        task.await??;
    }
    println!("{}", json!({"wall": began.elapsed().as_secs_f64()}));
    Ok(())
}

/// Id, customer, name and properties: the same mix as the product is given.
fn event(run: &str, number: u64, customers: u64) -> (String, String, String, Value) {
    let seed = run.bytes().fold(number << 8, |sum, byte| sum.wrapping_mul(31) + u64::from(byte));
    let roll = |turn: u64| dice(seed.wrapping_mul(16).wrapping_add(turn));
    let share = |turn| (roll(turn) % (1 << 20)) as f64 / f64::from(1 << 20);
    let customer = (share(1) * share(2) * customers as f64) as u64;
    let properties = json!({
        "article": format!("a{}", roll(3) % 1_000), "amount": roll(4) % 101, "currency": "EUR",
        "quantity": roll(5) % 9 + 1, "path": format!("/shop/articles/{}", roll(6) % 100_000),
        "campaign": format!("campaign {}", roll(7) % 40),
        "note": "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    });
    (
        format!("{run}-{number:08x}"),
        format!("u{customer}"),
        format!("event {}", roll(8) % 20),
        properties,
    )
}

async fn send(
    client: &Client,
    ingest: &Statement,
    items: Vec<(String, String, String, Value)>,
) -> anyhow::Result<()> {
    let (mut ids, mut whose, mut names, mut properties) = (vec![], vec![], vec![], vec![]);
    for (id, customer, name, given) in items {
        ids.push(id);
        whose.push(customer);
        names.push(name);
        properties.push(given);
    }
    loop {
        match client.query_one(ingest, &[&ids, &whose, &names, &properties]).await {
            Ok(_) => return Ok(()),
            // Two batches with the same customers may lock each other; the team tries again.
            Err(error)
                if error.code()
                    == Some(&tokio_postgres::error::SqlState::T_R_DEADLOCK_DETECTED) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Latency: single events while nothing else happens, then bursts; each customer gets it once.
pub(crate) async fn hooks(to: &str, port: u16, count: u64, bursts: u64) -> anyhow::Result<()> {
    let arrivals = receive(port).await?;
    let client = crate::connect(to).await?;
    let ingest = client.prepare("SELECT ingest($1, $2, $3, $4)").await?;
    let order = |kind: &str, number: u64| {
        let customer = format!("u{number}");
        (
            format!("{kind}-{number}"),
            customer,
            "order".to_owned(),
            json!({"number": number, "amount": 5}),
        )
    };
    let mut idle = Vec::new();
    for number in 0..count {
        arrivals.0.lock().expect("no panic").clear();
        let began = Instant::now();
        send(&client, &ingest, vec![order("idle", number)]).await?;
        idle.push((wait_for(&arrivals, 1).await? - began).as_secs_f64() * 1e3);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut last = Vec::new();
    for turn in 0..bursts {
        arrivals.0.lock().expect("no panic").clear();
        let begin = count + turn * BURST;
        let began = Instant::now();
        for part in 0..BURST / BATCH {
            let from = begin + part * BATCH;
            send(
                &client,
                &ingest,
                (from..from + BATCH).map(|number| order("burst", number)).collect(),
            )
            .await?;
        }
        last.push((wait_for(&arrivals, BURST as usize).await? - began).as_secs_f64() * 1e3);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    println!("{}", json!({"idle": idle, "burst": last}));
    Ok(())
}

async fn wait_for(arrivals: &Arrivals, count: usize) -> anyhow::Result<Instant> {
    let wait = async {
        loop {
            let told = arrivals.1.notified();
            if let Some(at) = arrivals.0.lock().expect("no panic").get(count - 1) {
                return *at;
            }
            told.await;
        }
    };
    Ok(tokio::time::timeout(Duration::from_secs(60), wait).await?)
}

/// A receiver of webhooks that answers 200 at once.
async fn receive(port: u16) -> anyhow::Result<Arrivals> {
    let arrivals: Arrivals = Arc::new((Mutex::new(Vec::new()), Notify::new()));
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let told = Arc::clone(&arrivals);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let told = Arc::clone(&told);
            tokio::spawn(async move {
                let _ = stream.set_nodelay(true);
                let mut text = Vec::new();
                let mut part = [0; 2048];
                // The worker sends one call at a time; a call ends with its body's brace.
                while let Ok(read @ 1..) = stream.read(&mut part).await {
                    text.extend_from_slice(&part[..read]);
                    if !text.ends_with(b"}") {
                        continue;
                    }
                    text.clear();
                    told.0.lock().expect("no panic").push(Instant::now());
                    told.1.notify_one();
                    if stream
                        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                        .await
                        .is_err()
                    {
                        return;
                    }
                }
            });
        }
    });
    Ok(arrivals)
}
