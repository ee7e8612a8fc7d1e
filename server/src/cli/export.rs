//! `tidings export`: everything known about customers, one JSON object per line.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use serde_json::Value as Json;

use super::client::{Target, segment};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tidings export --key sk_main_… > customers.ndjson
  tidings export --customer mara --out mara.ndjson --key sk_main_…")]
pub(crate) struct Export {
    /// One customer only: userId, anonymousId or cus_…
    #[arg(long)]
    customer: Option<String>,
    /// The file to write; standard output when left out.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    target: Target,
}

impl Export {
    pub(crate) async fn run(&self) -> anyhow::Result<()> {
        let client = self.target.client()?;
        let mut out: Box<dyn std::io::Write> = match &self.out {
            Some(path) => Box::new(std::io::BufWriter::new(
                std::fs::File::create(path)
                    .with_context(|| format!("writing {}", path.display()))?,
            )),
            None => Box::new(std::io::stdout().lock()),
        };
        if let Some(customer) = &self.customer {
            let path = format!("/api/v1/customers/{}/export", segment(customer));
            writeln!(out, "{}", client.get(&path).await?)?;
            return Ok(out.flush()?);
        }
        let mut cursor: Option<String> = None;
        loop {
            let after = cursor.map(|cursor| format!("&cursor={}", segment(&cursor)));
            let path = format!("/api/v1/customers?limit=200{}", after.unwrap_or_default());
            let page = client.get(&path).await?;
            for customer in page.get("items").and_then(Json::as_array).into_iter().flatten() {
                let Some(id) = customer.get("id").and_then(Json::as_str) else { continue };
                let path = format!("/api/v1/customers/{}/export", segment(id));
                // Somebody may be forgotten between the list and the question.
                if let Some(everything) = client.find(&path).await? {
                    writeln!(out, "{everything}")?;
                }
            }
            cursor = page.get("next").and_then(Json::as_str).map(str::to_owned);
            if cursor.is_none() {
                return Ok(out.flush()?);
            }
        }
    }
}
