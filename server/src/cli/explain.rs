//! `tidings explain`: every gate with the actual values, in words.

use serde_json::Value as Json;

use super::client::{Target, segment};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tidings explain mara welcome --key sk_main_…
  TIDINGS_KEY=sk_main_… tidings explain mara welcome --at 2026-03-01T12:00:00Z --json")]
pub(crate) struct Explain {
    /// The customer: userId, anonymousId or cus_…
    customer: String,
    /// The outreach, by its id.
    outreach: String,
    /// At which moment, such as 2026-03-01T12:00:00Z; now when left out.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Print the answer as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

impl Explain {
    pub(crate) async fn run(&self) -> anyhow::Result<()> {
        let mut path = format!(
            "/api/v1/explain?customer={}&outreach={}",
            segment(&self.customer),
            segment(&self.outreach)
        );
        if let Some(at) = &self.at {
            path.push_str(&format!("&at={}", segment(at)));
        }
        let answer = self.target.client()?.get(&path).await?;
        if self.json {
            println!("{answer:#}");
        } else {
            print!("{}", in_words(&answer));
        }
        Ok(())
    }
}

fn in_words(answer: &Json) -> String {
    let text = |json: &Json, key: &str| {
        json.get(key).and_then(Json::as_str).unwrap_or_default().to_owned()
    };
    let mut out = format!("{}\n\n", text(answer, "sentence"));
    for gate in answer.get("gates").and_then(Json::as_array).into_iter().flatten() {
        let (name, verdict) = (text(gate, "gate"), text(gate, "verdict"));
        out.push_str(&format!("{name:<10}  {verdict:<8}  {}\n", text(gate, "sentence")));
        if let Some(trace) = gate.get("conditions") {
            trace_in_words(trace, 1, &mut out);
        }
    }
    out
}

fn trace_in_words(trace: &Json, depth: usize, out: &mut String) {
    let text = |key: &str| trace.get(key).and_then(Json::as_str);
    let holds = trace.get("holds").and_then(Json::as_bool).unwrap_or(false);
    let mark = if holds { "✓" } else { "✗" };
    out.push_str(&format!("{}{mark} {}", "  ".repeat(depth), text("sentence").unwrap_or_default()));
    if let Some(actual) = text("actual") {
        out.push_str(&format!(" — {actual}"));
    }
    if let Some(change) = text("change") {
        out.push_str(&format!(" ({change})"));
    }
    out.push('\n');
    for inner in trace.get("conditions").and_then(Json::as_array).into_iter().flatten() {
        trace_in_words(inner, depth + 1, out);
    }
}
