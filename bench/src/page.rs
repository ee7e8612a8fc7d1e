//! `docs/performance.md`, written from what lies in the results: nothing in it is typed by hand.

use std::fmt::Write as _;
use std::fs;

use serde_json::Value;

use crate::setting::{Setting, Size};

/// The rows of the page, in its order; what is not there is left out.
const ORDER: &[&str] = &[
    "ingest",
    "inside",
    "webhook",
    "open",
    "counts",
    "one-off",
    "million",
    "disk",
    "growth",
    "peers-rules",
    "peers-postgres",
];
const CHARTS: &[(&str, &str)] = &[
    ("customers", "Cost of an event and of a count with the number of customers"),
    ("outreaches", "Cost of an event with the number of live outreaches"),
    ("histories", "Cost of an event with the length of a history"),
];
const HEAD: &str = "\
# Performance

This page is written by `cargo xtask bench`; every figure on it was measured by a program in `bench/`.

Repeat it with:

```sh
cargo xtask bench            # all rows, some ten minutes
cargo xtask bench ingest     # one row
cargo xtask bench --quick    # a look; nothing of it is kept here
cargo xtask bench --whole    # with the rows that take long
cargo xtask bench peers      # the same work by what a team would use instead
```

How it is measured:

- The server is the release build with its default settings, durable: nothing is answered before it is synced.
- The load is a process of its own on the same machine; each row has a data folder of its own.
- CPU is user and system time of the whole server process from `/proc`, divided by what was done. \
  It is the figure to compare; wall time depends on who else uses the machine.
- A figure is the median of its runs with the lowest and the highest.
- Events have 300 bytes, twenty names and a thousand articles; each outreach has two to four conditions, \
  a third of them with a count of events in a window (`bench/src/world.rs`).
";

/// Write it, unless the run was only a look.
///
/// # Errors
/// A result cannot be read, or the page cannot be written.
pub(crate) fn write(setting: &Setting) -> anyhow::Result<()> {
    if setting.size == Size::Quick {
        return Ok(());
    }
    let mut results: Vec<Value> = Vec::new();
    for row in ORDER {
        if let Ok(text) = fs::read_to_string(setting.results().join(format!("{row}.json"))) {
            results.push(serde_json::from_str(&text)?);
        }
    }
    let mut page = HEAD.to_owned();
    goals(&mut page, &results);
    let drawn = |name: &str| setting.charts().join(format!("{name}.svg")).exists();
    if CHARTS.iter().any(|(name, _)| drawn(name)) {
        page.push_str("\n## Growth\n");
    }
    for (name, says) in CHARTS.iter().filter(|(name, _)| drawn(name)) {
        let _ = write!(page, "\n![{says}](performance/{name}.svg)\n");
    }
    for result in &results {
        section(&mut page, result);
    }
    fs::write(setting.root.join("docs/performance.md"), page)?;
    Ok(())
}

fn goals(page: &mut String, results: &[Value]) {
    page.push_str("\n## Goals\n\n| what | goal | measured | met |\n| --- | --- | --- | --- |\n");
    let mut reasons = String::new();
    for result in results {
        for goal in list(result, "goals") {
            let met = goal.get("met").and_then(Value::as_bool).unwrap_or(false);
            let word = if met { "yes" } else { "**no**" };
            let (what, measured) = (text(goal, "what"), text(goal, "measured"));
            let _ = writeln!(page, "| {what} | {} | {measured} | {word} |", text(goal, "goal"));
            let why = text(goal, "why");
            if !why.is_empty() {
                let _ = writeln!(reasons, "- {what}: {why}");
            }
        }
    }
    if !reasons.is_empty() {
        let _ = write!(page, "\nTo these:\n\n{reasons}");
    }
}

fn section(page: &mut String, result: &Value) {
    let machine = result.pointer("/machine/shown").and_then(Value::as_str).unwrap_or_default();
    let _ = write!(
        page,
        "\n## {}\n\n{}, size {}.\n{machine} · at the end {}.\n",
        text(result, "title"),
        text(result, "date"),
        text(result, "size"),
        text(result, "load_after")
    );
    let mut figures = list(result, "figures").peekable();
    if figures.peek().is_some() {
        page.push_str("\n| what | median (lowest–highest) |\n| --- | --- |\n");
    }
    for figure in figures {
        let _ = writeln!(page, "| {} | {} |", text(figure, "what"), text(figure, "shown"));
    }
    for table in list(result, "tables") {
        let _ = write!(page, "\n{}:\n\n{}", text(table, "title"), text(table, "markdown"));
    }
    for note in list(result, "notes").filter_map(Value::as_str) {
        let _ = write!(page, "\n{note}\n");
    }
}

fn list<'a>(json: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    json.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn text<'a>(json: &'a Value, key: &str) -> &'a str {
    json.get(key).and_then(Value::as_str).unwrap_or_default()
}
