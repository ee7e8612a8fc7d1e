//! Judging: our engine against expression languages and a rules engine, on the same rules and
//! events, with equal answers.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::report::{Finding, Table};
use crate::setting::Setting;
use crate::stats::{Figure, number};

/// Rules, and how many events are judged by them.
const LADDER: &[(u64, u64)] = &[(10, 20_000), (1_000, 4_000), (100_000, 100)];
const ENGINES: &[(&str, &str)] = &[
    ("ours", "tidings, `apply::decide`"),
    ("zen", "zen-expression"),
    ("cel", "cel"),
    ("json-rules-engine", "json-rules-engine (Node)"),
];

pub(crate) fn run(setting: &Setting) -> anyhow::Result<()> {
    println!("peers rules: judging the same rules and events");
    let home = setting.root.join("bench/peers/rules");
    let program = build(setting, &home)?;
    packages(&home)?;
    let mut finding = Finding::new("peers-rules", "Judging, beside other rule engines");
    let mut lines = Vec::new();
    for (rules, events) in LADDER.iter().take(setting.pick(2, 3, 3)) {
        let folder = setting.scratch.join(format!("rules-{rules}"));
        let make = Command::new(&program)
            .arg("make")
            .arg(&folder)
            .args([rules.to_string(), events.to_string()])
            .status()?;
        anyhow::ensure!(make.success(), "making rules failed");
        let mut line = vec![number(*rules as f64)];
        let mut answers: Vec<(u64, u64)> = Vec::new();
        let mut ours = f64::NAN;
        for (engine, says) in ENGINES {
            let answer = judge(&program, &home, engine, &folder)?;
            let whole = |key: &str| answer.get(key).and_then(Value::as_u64).context("an answer");
            answers.push((whole("met")?, whole("sum")?));
            let micros: Vec<f64> = answer
                .get("micros")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .flat_map(Value::as_f64)
                .collect();
            let what = format!("{says}, {} rules, CPU per event", number(*rules as f64));
            let figure = Figure::new(&what, "µs", micros);
            let median = figure.median();
            if *engine == "ours" {
                ours = median;
                line.push(format!("{} µs", number(median)));
            } else {
                line.push(format!("{} µs ({} ×)", number(median), number(median / ours)));
            }
            finding.figure(figure);
        }
        let equal = answers.windows(2).all(|pair| pair.first() == pair.last());
        anyhow::ensure!(equal, "the answers differ at {rules} rules: {answers:?}");
        line.push(
            answers.first().map_or(String::new(), |(met, _)| number(*met as f64 / *events as f64)),
        );
        lines.push(line);
    }
    let mut head = vec!["rules".to_owned()];
    head.extend(ENGINES.iter().map(|(_, says)| (*says).to_owned()));
    head.push("rules met per event".to_owned());
    let title = "CPU per event on one thread, and how many times ours (below 1: they are faster)";
    finding.table(Table { title: title.to_owned(), head, lines });
    finding.note(
        "Everybody has the rules by the name of the event and gives the same answers. Ours does more \
         than judge: it applies the event to the customer, asks ten gates, makes deliveries and keeps \
         each refusal with its reason. The others only say which rules hold.",
    );
    finding.save(setting)
}

fn judge(program: &Path, home: &Path, engine: &str, folder: &Path) -> anyhow::Result<Value> {
    let mut command = match engine {
        "json-rules-engine" => {
            let mut node = Command::new("node");
            node.arg(home.join("json_rules.mjs"));
            node
        }
        _ => {
            let mut own = Command::new(program);
            own.arg(engine);
            own
        }
    };
    let output = command.arg(folder).stderr(Stdio::inherit()).output()?;
    anyhow::ensure!(output.status.success(), "{engine} failed: {}", output.status);
    serde_json::from_slice(&output.stdout).with_context(|| format!("the answer of {engine}"))
}

/// Build a peer's own workspace.
pub(crate) fn build(setting: &Setting, home: &Path) -> anyhow::Result<PathBuf> {
    let target = setting.root.join("target/peers");
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let built = Command::new(cargo)
        .args(["build", "--release", "--locked", "--quiet"])
        .env("CARGO_TARGET_DIR", &target)
        .current_dir(home)
        .status()?;
    if !built.success() {
        bail!("{} does not build", home.display());
    }
    let name = home.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    Ok(target.join("release").join(format!("peer-{name}")))
}

fn packages(home: &Path) -> anyhow::Result<()> {
    if home.join("node_modules").exists() {
        return Ok(());
    }
    let npm = Command::new("npm")
        .args(["ci", "--no-audit", "--no-fund", "--silent"])
        .current_dir(home)
        .status()?;
    anyhow::ensure!(npm.success(), "the npm packages of the peers could not be installed");
    Ok(())
}
