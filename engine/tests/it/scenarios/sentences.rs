//! Every sentence of the contract is shown by a story, and every story shows a sentence.

use std::collections::BTreeSet;

use super::{files, folder};

#[test]
fn every_sentence_has_its_story_and_every_story_its_sentence() {
    let text = std::fs::read_to_string(folder().join("SENTENCES.md")).unwrap();
    let exist: BTreeSet<String> = files().into_iter().map(|(name, _)| name).collect();
    let mut mentioned = BTreeSet::new();
    let mut faults = Vec::new();
    let mut sentence: Option<(&str, bool)> = None;
    for line in text.lines() {
        if let Some(next) = line.strip_prefix("> ") {
            close(sentence, &mut faults);
            sentence = Some((next, false));
        } else if let Some(shown) = line.strip_prefix("- ") {
            if let Some((_, is_shown)) = &mut sentence {
                *is_shown = true;
            }
            if let Some(place) = shown.strip_prefix("elsewhere: ") {
                faults.extend(missing_elsewhere(place));
            } else if !shown.starts_with("not yet: ") {
                if !exist.contains(shown) {
                    faults.push(format!("there is no story {shown:?}"));
                }
                mentioned.insert(shown.to_owned());
            }
        }
    }
    close(sentence, &mut faults);
    for story in exist.difference(&mentioned) {
        faults.push(format!("{story} shows no sentence"));
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// What only a whole server can show stands there: the file, and a name that is in it.
fn missing_elsewhere(place: &str) -> Option<String> {
    let (file, name) = place.split_once(' ').unwrap_or((place, ""));
    let text = std::fs::read_to_string(folder().join("../..").join(file)).unwrap_or_default();
    (name.is_empty() || !text.contains(name)).then(|| format!("{file} does not show {name:?}"))
}

fn close(sentence: Option<(&str, bool)>, faults: &mut Vec<String>) {
    if let Some((sentence, false)) = sentence {
        faults.push(format!("no story shows: {sentence}"));
    }
}
