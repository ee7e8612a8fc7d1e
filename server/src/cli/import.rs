//! `tidings import`: customers or events from CSV or NDJSON, in batches, over the tracking API.
//!
//! Each row's `messageId` is a hash of the row when it has none, so an import that broke off can
//! simply be run again: what was stored counts once.

use std::io::{BufRead as _, BufReader, Read};
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use engine::value::{Value, number_json};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value as Json, json};

use super::client::{Client, Target};
use crate::{limits, secret};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tidings import customers customers.csv --key sk_main_…
  tidings import events orders.ndjson --key sk_main_…
  tidings import events signups.csv --live --key sk_main_…

Columns of customers: userId and/or anonymousId; every other column is an attribute.
Columns of events: userId and/or anonymousId, event, timestamp, messageId; every other column is a property.
NDJSON rows have the same names, or the form of the tracking API (traits, properties).
Imports are history: they count in filters and trigger nothing, unless --live is given.")]
pub(crate) struct Import {
    /// What the rows are.
    #[arg(value_enum)]
    what: What,
    /// A file that ends in .csv or .ndjson.
    file: PathBuf,
    /// Let the rows trigger outreaches.
    #[arg(long)]
    live: bool,
    #[command(flatten)]
    target: Target,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum What {
    Customers,
    Events,
}

/// Items of one call: small enough that a refusal costs little.
const ITEMS: usize = 500;
/// Bytes of one call, with room for what stands around the items.
const BYTES: usize = limits::BATCH_BYTES - 16 * 1024;

struct Sender {
    client: Client,
    live: bool,
    batch: Vec<Json>,
    bytes: usize,
    first_row: u64,
    accepted: u64,
    duplicates: u64,
    refused: u64,
}

impl Import {
    pub(crate) async fn run(&self) -> anyhow::Result<()> {
        let file = std::fs::File::open(&self.file)
            .with_context(|| format!("reading {}", self.file.display()))?;
        let bar = ProgressBar::new(file.metadata()?.len()).with_style(
            ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {msg} {eta} left")?,
        );
        let source = bar.wrap_read(file);
        let mut sender = Sender {
            client: self.target.client()?,
            live: self.live,
            batch: Vec::new(),
            bytes: 0,
            first_row: 1,
            accepted: 0,
            duplicates: 0,
            refused: 0,
        };
        match self.file.extension().and_then(|extension| extension.to_str()) {
            Some("csv") => self.send_csv(source, &mut sender).await?,
            Some("ndjson" | "jsonl") => self.send_ndjson(source, &mut sender).await?,
            _ => bail!("{} ends neither in .csv nor in .ndjson", self.file.display()),
        }
        sender.flush().await?;
        bar.finish_and_clear();
        let Sender { accepted, duplicates, refused, .. } = sender;
        println!("{accepted} accepted, {duplicates} known already, {refused} refused");
        if refused > 0 {
            bail!("{refused} rows were refused; the lines above say why");
        }
        Ok(())
    }

    async fn send_csv(&self, source: impl Read, sender: &mut Sender) -> anyhow::Result<()> {
        let mut reader = csv::Reader::from_reader(BufReader::new(source));
        let unreadable = || format!("{} is not valid CSV", self.file.display());
        let header = reader.headers().with_context(unreadable)?.clone();
        for row in reader.records() {
            let row = row.with_context(unreadable)?;
            let mut fields = Map::new();
            for (name, text) in header.iter().zip(row.iter()) {
                if !text.is_empty() {
                    fields.insert(name.trim().to_owned(), typed(name.trim(), text));
                }
            }
            sender.add(item(self.what, fields)).await?;
        }
        Ok(())
    }

    async fn send_ndjson(&self, source: impl Read, sender: &mut Sender) -> anyhow::Result<()> {
        for (line, text) in BufReader::new(source).lines().enumerate() {
            let place = || format!("{} line {}", self.file.display(), line + 1);
            let text = text.with_context(place)?;
            if text.trim().is_empty() {
                continue;
            }
            let row = serde_json::from_str(&text).map_err(|error| {
                // Each row is a text of its own, so its line is always the first.
                let says = error.to_string();
                let says = says.split(" at line ").next().unwrap_or_default();
                anyhow::anyhow!("{} column {}: {says}", place(), error.column())
            })?;
            let Json::Object(fields) = row else { bail!("{} is not an object", place()) };
            sender.add(item(self.what, fields)).await?;
        }
        Ok(())
    }
}

impl Sender {
    async fn add(&mut self, item: Json) -> anyhow::Result<()> {
        let size = item.to_string().len() + 1;
        if self.batch.len() == ITEMS || self.bytes + size > BYTES {
            self.flush().await?;
        }
        self.bytes += size;
        self.batch.push(item);
        Ok(())
    }

    async fn flush(&mut self) -> anyhow::Result<()> {
        let batch = std::mem::take(&mut self.batch);
        self.bytes = 0;
        let rows = batch.len() as u64;
        if batch.is_empty() {
            return Ok(());
        }
        let body = json!({"batch": batch, "historical": !self.live});
        let answer = self.client.post("/v1/import", &body).await?;
        let count = |key: &str| answer.get(key).and_then(Json::as_u64).unwrap_or(0);
        self.accepted += count("accepted");
        self.duplicates += count("duplicates");
        for error in answer.get("errors").and_then(Json::as_array).into_iter().flatten() {
            self.refused += 1;
            let index = error.get("index").and_then(Json::as_u64).unwrap_or(0);
            let message = error.get("message").and_then(Json::as_str).unwrap_or_default();
            eprintln!("row {}: {message}", self.first_row + index);
        }
        self.first_row += rows;
        Ok(())
    }
}

/// A row as an item of a batch.
fn item(what: What, mut fields: Map<String, Json>) -> Json {
    let hash = secret::sha256_hex(Json::Object(fields.clone()).to_string().as_bytes());
    let mut take = |names: &[&str]| names.iter().find_map(|name| fields.remove(*name));
    let user_id = take(&["userId", "user_id", "id"]);
    let anonymous_id = take(&["anonymousId", "anonymous_id"]);
    let message_id = take(&["messageId", "message_id"]);
    let timestamp = take(&["timestamp", "at"]);
    let context = take(&["context"]);
    let event = (what == What::Events).then(|| take(&["event", "name"])).flatten();
    let inner = match what {
        What::Customers => "traits",
        What::Events => "properties",
    };
    let mut nested = match take(&[inner]) {
        Some(Json::Object(nested)) => nested,
        Some(_) | None => Map::new(),
    };
    take(&["type"]);
    nested.extend(fields);
    let mut item = Map::new();
    let kind = match what {
        What::Customers => "identify",
        What::Events => "track",
    };
    item.insert("type".to_owned(), Json::from(kind));
    let message_id = message_id.unwrap_or_else(|| Json::from(format!("import-{hash}")));
    item.insert("messageId".to_owned(), message_id);
    item.insert(inner.to_owned(), Json::Object(nested));
    let optional = [
        ("userId", user_id),
        ("anonymousId", anonymous_id),
        ("timestamp", timestamp),
        ("event", event),
        ("context", context),
    ];
    for (key, value) in optional {
        if let Some(value) = value {
            item.insert(key.to_owned(), value);
        }
    }
    Json::Object(item)
}

/// A cell with its type, where nothing is lost by it: `007` stays a text.
fn typed(name: &str, text: &str) -> Json {
    let names_an_id = name == "id" || ["Id", "ID", "_id"].iter().any(|end| name.ends_with(end));
    if names_an_id {
        return Json::from(text);
    }
    match text {
        "true" => return Json::Bool(true),
        "false" => return Json::Bool(false),
        _ => {}
    }
    let number = Value::Text(text.to_owned()).as_number().map(number_json);
    match number {
        Some(number) if number.to_string().as_str() == text => number,
        Some(_) | None => Json::from(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_keep_what_they_say() {
        assert_eq!(typed("value", "80"), json!(80));
        assert_eq!(typed("value", "1.5"), json!(1.5));
        assert_eq!(typed("postalCode", "0042"), json!("0042"));
        assert_eq!(typed("orderId", "42"), json!("42"));
        assert_eq!(typed("paid", "true"), json!(true));
    }

    #[test]
    fn rows_become_items_of_a_batch() {
        let fields =
            json!({"userId": "m", "event": "order", "timestamp": "2026-01-01", "total": 3});
        let Json::Object(fields) = fields else { panic!() };
        let once = item(What::Events, fields.clone());
        assert_eq!(once["type"], "track");
        assert_eq!(once["properties"], json!({"total": 3}));
        assert_eq!(once["messageId"], item(What::Events, fields)["messageId"]);
    }
}
