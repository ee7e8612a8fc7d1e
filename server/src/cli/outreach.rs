//! `tidings outreach`: definitions as files `<id>.json`, so that they can be reviewed like code.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Subcommand;
use serde_json::{Value as Json, json};

use super::client::{Client, Target, segment};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tidings outreach pull outreaches/ --key sk_main_…
  tidings outreach plan outreaches/ --key sk_main_…
  tidings outreach apply outreaches/ --key sk_main_…

apply saves a version; what customers get changes only when somebody goes live with it.")]
pub(crate) struct Outreach {
    #[command(subcommand)]
    command: OutreachCommand,
}

#[derive(Debug, Subcommand)]
enum OutreachCommand {
    /// Show what apply would change, field by field, and how many customers match now.
    #[command(after_help = "Example:
  tidings outreach plan outreaches/ --key sk_main_…

Ends with an error when a definition has problems, so that CI can ask it.")]
    Plan {
        /// The folder with the files <id>.json.
        folder: PathBuf,
        #[command(flatten)]
        target: Target,
    },
    /// Save a version of everything that differs.
    #[command(after_help = "Example:
  tidings outreach apply outreaches/ --key sk_main_…

Nothing is overwritten that somebody else saves at the same time.")]
    Apply {
        /// The folder with the files <id>.json.
        folder: PathBuf,
        #[command(flatten)]
        target: Target,
    },
    /// Write the latest version of every outreach into the folder.
    #[command(after_help = "Example:
  tidings outreach pull outreaches/ --key sk_main_…")]
    Pull {
        /// The folder; it is made when it is not there.
        folder: PathBuf,
        #[command(flatten)]
        target: Target,
    },
}

impl Outreach {
    pub(crate) async fn run(&self) -> anyhow::Result<()> {
        match &self.command {
            OutreachCommand::Plan { folder, target } => plan(&target.client()?, folder).await,
            OutreachCommand::Apply { folder, target } => apply(&target.client()?, folder).await,
            OutreachCommand::Pull { folder, target } => pull(&target.client()?, folder).await,
        }
    }
}

async fn plan(client: &Client, folder: &Path) -> anyhow::Result<()> {
    let mut faulty = 0;
    for (id, definition) in read_folder(folder)? {
        let there = client.find(&format!("/api/v1/outreaches/{}", segment(&id))).await?;
        let before = there.as_ref().and_then(|there| there.get("definition"));
        let changes = difference(before.unwrap_or(&Json::Null), &definition);
        match (before, changes.is_empty()) {
            (None, _) => println!("+ {id} (new)"),
            (Some(_), true) => println!("= {id}"),
            (Some(_), false) => println!("~ {id}"),
        }
        if before.is_some() {
            for change in changes {
                println!("    {change}");
            }
        }
        let checked = client.post("/api/v1/outreaches/check", &definition).await?;
        for problem in checked.get("problems").and_then(Json::as_array).into_iter().flatten() {
            faulty += 1;
            let part = |key: &str| problem.get(key).and_then(Json::as_str).unwrap_or_default();
            println!("    ! {}: {}", part("pointer"), part("message"));
        }
        println!("    {}", matched(client, &definition).await);
    }
    if faulty > 0 {
        bail!("{faulty} problems; nothing was changed");
    }
    Ok(())
}

/// How many customers match now, in words; a filter with problems has no number.
async fn matched(client: &Client, definition: &Json) -> String {
    let filter = definition.pointer("/audience/filter").cloned().unwrap_or(Json::Null);
    let channel = definition.pointer("/content/kind").cloned().unwrap_or(Json::Null);
    let question = json!({"filter": filter, "channel": channel});
    match client.post("/api/v1/audience/estimate", &question).await {
        Ok(counts) => {
            let count = |key: &str| counts.get(key).and_then(Json::as_u64).unwrap_or(0);
            format!("{} of {} customers match now", count("matched"), count("total"))
        }
        Err(_) => "the audience cannot be counted".to_owned(),
    }
}

async fn apply(client: &Client, folder: &Path) -> anyhow::Result<()> {
    for (id, definition) in read_folder(folder)? {
        let path = format!("/api/v1/outreaches/{}", segment(&id));
        let there = client.find(&path).await?;
        let before = there.as_ref().and_then(|there| there.get("definition"));
        if before == Some(&definition) {
            println!("= {id}");
            continue;
        }
        let saved = match before {
            Some(_) => {
                let version = there.as_ref().and_then(|there| there.get("version"));
                let version = version.and_then(Json::as_u64).unwrap_or_default();
                client.put_over(&path, &definition, version).await
            }
            None => {
                let body = json!({"id": id, "definition": definition});
                client.post("/api/v1/outreaches", &body).await
            }
        };
        let saved = saved.with_context(|| format!("saving {id}"))?;
        println!("~ {id} version {}", saved.get("version").unwrap_or(&Json::Null));
    }
    Ok(())
}

async fn pull(client: &Client, folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let list = client.get("/api/v1/outreaches").await?;
    for outreach in list.get("items").and_then(Json::as_array).into_iter().flatten() {
        let Some(id) = outreach.get("id").and_then(Json::as_str) else { continue };
        let whole = client.get(&format!("/api/v1/outreaches/{}", segment(id))).await?;
        let definition = whole.get("definition").unwrap_or(&Json::Null);
        let path = folder.join(format!("{id}.json"));
        std::fs::write(&path, format!("{definition:#}\n"))
            .with_context(|| format!("writing {}", path.display()))?;
        println!("{}", path.display());
    }
    Ok(())
}

fn read_folder(folder: &Path) -> anyhow::Result<BTreeMap<String, Json>> {
    let mut found = BTreeMap::new();
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let id = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("reading {}", path.display()))?;
        let definition = serde_json::from_str(&text)
            .with_context(|| format!("{} is not valid JSON", path.display()))?;
        found.insert(id, definition);
    }
    Ok(found)
}

/// What differs, one line per field, by JSON pointer.
fn difference(before: &Json, after: &Json) -> Vec<String> {
    let (mut old, mut new) = (BTreeMap::new(), BTreeMap::new());
    leaves(before, "", &mut old);
    leaves(after, "", &mut new);
    let mut lines = Vec::new();
    for (pointer, value) in &old {
        match new.get(pointer) {
            None => lines.push(format!("- {pointer}: {value}")),
            Some(now) if now != value => lines.push(format!("~ {pointer}: {value} → {now}")),
            Some(_) => {}
        }
    }
    for (pointer, value) in &new {
        if !old.contains_key(pointer) {
            lines.push(format!("+ {pointer}: {value}"));
        }
    }
    lines
}

fn leaves<'a>(json: &'a Json, pointer: &str, out: &mut BTreeMap<String, &'a Json>) {
    match json {
        Json::Object(fields) if !fields.is_empty() => {
            for (key, value) in fields {
                leaves(value, &format!("{pointer}/{key}"), out);
            }
        }
        Json::Array(items) if !items.is_empty() => {
            for (index, value) in items.iter().enumerate() {
                leaves(value, &format!("{pointer}/{index}"), out);
            }
        }
        _ => {
            out.insert(pointer.to_owned(), json);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_shown_per_field() {
        let before = json!({"name": "a", "tags": ["x"], "goal": {"event": "e"}});
        let after = json!({"name": "b", "tags": ["x", "y"]});
        assert_eq!(
            difference(&before, &after),
            ["- /goal/event: \"e\"", "~ /name: \"a\" → \"b\"", "+ /tags/1: \"y\""]
        );
        assert!(difference(&after, &after).is_empty());
    }
}
