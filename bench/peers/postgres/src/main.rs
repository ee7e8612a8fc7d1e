//! Event to webhook on PostgreSQL, as a team would write it itself.
//!
//! `peer-postgres setup CONNECTION CUSTOMERS`
//! `peer-postgres worker CONNECTION PORT`: posts what is in the outbox; its CPU counts.
//! `peer-postgres events CONNECTION PORT COUNT CUSTOMERS RUN`: batches of 100 over several connections.
//! `peer-postgres hooks CONNECTION PORT COUNT BURSTS`: latency of single events, then bursts.

mod load;
mod worker;

use anyhow::{Context as _, bail};
use tokio_postgres::{Client, NoTls};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let texts: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match texts.as_slice() {
        ["setup", to, customers] => setup(to, customers.parse()?).await,
        ["worker", to, port] => worker::run(to, port.parse()?).await,
        ["events", to, port, count, customers, run] => {
            load::events(to, port.parse()?, count.parse()?, customers.parse()?, run).await
        }
        ["hooks", to, port, count, bursts] => {
            load::hooks(to, port.parse()?, count.parse()?, bursts.parse()?).await
        }
        _ => bail!("peer-postgres setup | worker | events | hooks"),
    }
}

/// A connection that is worked on in the background.
pub(crate) async fn connect(to: &str) -> anyhow::Result<Client> {
    let (client, connection) = tokio_postgres::connect(to, NoTls).await.context("connecting")?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            eprintln!("a connection ended: {error}");
        }
    });
    Ok(client)
}

/// Tables, a hundred rules, and customers.
async fn setup(to: &str, customers: i64) -> anyhow::Result<()> {
    let client = connect(to).await?;
    client.batch_execute(include_str!("schema.sql")).await?;
    client
        .batch_execute(&format!(
            "INSERT INTO customers
             SELECT 'u' || n, (ARRAY['free', 'starter', 'pro', 'enterprise'])[n % 4 + 1],
                (ARRAY['de', 'fr', 'it', 'es', 'pl', 'at', 'ch', 'nl'])[n % 8 + 1],
                (SELECT jsonb_object_agg('attribute' || k, 'value ' || (n * 7 + k) % 200)
                 FROM generate_series(1, 18) k)
             FROM generate_series(0, {customers} - 1) n;
             INSERT INTO rules
             SELECT n, 'event ' || n % 20,
                CASE WHEN n % 10 < 9 THEN 'a' || n * 7919 % 1000 END,
                CASE WHEN n % 10 < 9 THEN n * 31 % 100 ELSE 97 END,
                (ARRAY['free', 'starter', 'pro', 'enterprise'])[n % 4 + 1],
                CASE WHEN n % 3 = 0 THEN 'event ' || n * 13 % 20 END, 2
             FROM generate_series(0, 99) n;
             INSERT INTO rules VALUES (1000, 'order', NULL, 0, NULL, 'order', 1);
             ANALYZE;"
        ))
        .await?;
    Ok(())
}
