//! Stories: what is in force, what happens when, and the ledger that must come of it.
//!
//! Every file of `fixtures/scenarios` is one story; its first line quotes the sentence it shows.
//! `STORY=late cargo test -p tidings-engine --test it stories` tells only those whose name has
//! `late` in it; with `UPDATE=1` the ledgers are written anew, to be judged with your own eyes.
//! A line `# not yet: …` keeps a story whose promise is not kept; it fails when it is.
//! `fixtures/scenarios/SENTENCES.md` lists every sentence of the contract and the stories that show
//! it; the language is described in `fixtures/scenarios/README.md`.

mod words;
mod condition;
mod definition;
mod story;
mod ledger;
mod world;
mod acts;
mod sentences;

use std::path::{Path, PathBuf};

use story::Story;
use world::World;

/// What stands above the first time has been in force for so long.
const IN_FORCE_MS: i64 = 30 * 86_400_000;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/scenarios")
}

/// The stories, by name of file.
fn files() -> Vec<(String, PathBuf)> {
    let entries = std::fs::read_dir(folder()).unwrap();
    let mut files: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "txt"))
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), path))
        .collect();
    files.sort();
    files
}

#[test]
fn stories_end_as_they_are_told() {
    let wanted = std::env::var("STORY").unwrap_or_default();
    let update = std::env::var("UPDATE").is_ok();
    let mut failures = Vec::new();
    let mut told = 0;
    for (name, path) in files().into_iter().filter(|(name, _)| name.contains(&wanted)) {
        told += 1;
        let text = std::fs::read_to_string(&path).unwrap();
        match tell(&text) {
            Err(error) => failures.push(format!("{name}: {error}")),
            Ok((story, ledger)) if story.not_yet => {
                if same(&story.ledger, &ledger) {
                    failures.push(format!("{name}: it ends as told; remove its \"not yet\""));
                }
            }
            Ok((story, ledger)) if !same(&story.ledger, &ledger) => {
                if update {
                    std::fs::write(&path, story::with_ledger(&text, &ledger)).unwrap();
                }
                let difference = difference(&story.ledger, &ledger);
                failures.push(format!("{name}: {}\n{difference}", story.quote));
            }
            Ok(_) => {}
        }
    }
    assert!(told > 0, "no story has {wanted:?} in its name");
    let count = failures.len();
    assert!(
        failures.is_empty(),
        "{count} of {told} stories end otherwise\n\n{}",
        failures.join("\n")
    );
}

/// Live through a story; the ledger that came of it.
fn tell(text: &str) -> Result<(Story, Vec<String>), String> {
    let story = story::read(text)?;
    let first = story.steps.iter().find_map(|step| step.at).ok_or("nothing happens")?;
    let mut world = World::new(first.plus_ms(-IN_FORCE_MS));
    for step in &story.steps {
        let done = match step.at {
            Some(at) => world.advance(at).and_then(|()| acts::act(&mut world, step)),
            None => acts::act(&mut world, step),
        };
        done.map_err(|error| format!("line {}: {}: {error}", step.line, step.text))?;
    }
    world.replayed()?;
    let ledger = world.ledger.lines();
    Ok((story, ledger))
}

/// Columns may be aligned as one likes.
fn same(expected: &[String], actual: &[String]) -> bool {
    let plain =
        |lines: &[String]| -> Vec<String> { lines.iter().map(|line| squeeze(line)).collect() };
    plain(expected) == plain(actual)
}

fn squeeze(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Both ledgers in one: what stays, `-` what is missing, `+` what was not expected.
fn difference(expected: &[String], actual: &[String]) -> String {
    let (rows, columns) = (expected.len(), actual.len());
    let equal = |row: usize, column: usize| squeeze(&expected[row]) == squeeze(&actual[column]);
    let mut longest = vec![vec![0_usize; columns + 1]; rows + 1];
    for row in (0..rows).rev() {
        for column in (0..columns).rev() {
            longest[row][column] = if equal(row, column) {
                longest[row + 1][column + 1] + 1
            } else {
                longest[row + 1][column].max(longest[row][column + 1])
            };
        }
    }
    let (mut row, mut column) = (0, 0);
    let mut lines = Vec::new();
    while row < rows || column < columns {
        if row < rows && column < columns && equal(row, column) {
            lines.push(format!("    {}", actual[column]));
            (row, column) = (row + 1, column + 1);
        } else if column == columns
            || (row < rows && longest[row + 1][column] >= longest[row][column + 1])
        {
            lines.push(format!("  - {}", expected[row]));
            row += 1;
        } else {
            lines.push(format!("  + {}", actual[column]));
            column += 1;
        }
    }
    lines.push(String::new());
    lines.join("\n")
}
