//! Which crate may know which. A crate exists to forbid a dependency; a new arrow is a line here
//! and a review of its own.

use std::process::Command;

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::Fault;
use crate::{cargo, root};

/// The crate by its package name, and the crates of ours it may know.
const ALLOWED: &[(&str, &[&str])] = &[
    ("tidings-engine", &[]),
    ("tidings-store", &[]),
    ("tidings-channels", &[]),
    ("tidings-host", &["tidings-engine", "tidings-store"]),
    ("tidings-simulator", &["tidings-engine", "tidings-host"]),
    (
        "tidings",
        &[
            "tidings-engine",
            "tidings-store",
            "tidings-channels",
            "tidings-host",
            "tidings-simulator",
        ],
    ),
    ("tidings-trials", &["tidings-engine", "tidings-store", "tidings-host"]),
    (
        "tidings-bench",
        &["tidings-engine", "tidings-store", "tidings-host", "tidings-simulator", "tidings-trials"],
    ),
    ("xtask", &[]),
];

/// Faults: arrows that are not allowed, crates that are not in the table.
pub(crate) fn check() -> anyhow::Result<Vec<Fault>> {
    let output = Command::new(cargo())
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root())
        .output()
        .context("starting cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let mut faults = Vec::new();
    for package in list(&metadata, "packages") {
        let name = text(package, "name");
        let Some((_, allowed)) = ALLOWED.iter().find(|(known, _)| *known == name) else {
            faults.push(format!("{name}: which `use` shall this crate forbid? add it to edges.rs"));
            continue;
        };
        for dependency in list(package, "dependencies") {
            let other = text(dependency, "name");
            if dependency.get("path").is_some_and(Value::is_string) && !allowed.contains(&other) {
                faults.push(format!("{name} → {other}: this arrow is not in edges.rs"));
            }
        }
    }
    Ok(faults)
}

fn list<'a>(json: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    json.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn text<'a>(json: &'a Value, key: &str) -> &'a str {
    json.get(key).and_then(Value::as_str).unwrap_or_default()
}
