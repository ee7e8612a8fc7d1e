//! A story: what is in force, what happens when, and the ledger that must come of it.

use engine::time::Timestamp;

use super::words;

/// The line between what happens and what comes of it.
const LEDGER: &str = "--- ledger";

/// A story as it is written.
pub(super) struct Story {
    /// The sentence it shows.
    pub(super) quote: String,
    /// The engine does not keep this promise yet.
    pub(super) not_yet: bool,
    /// In order.
    pub(super) steps: Vec<Step>,
    /// The ledger as written.
    pub(super) ledger: Vec<String>,
}

/// One line and the indented lines under it.
pub(super) struct Step {
    /// Line number, from 1.
    pub(super) line: usize,
    /// When; `None`: in force before the story begins.
    pub(super) at: Option<Timestamp>,
    pub(super) text: String,
    pub(super) body: Vec<String>,
}

/// Read a story.
pub(super) fn read(text: &str) -> Result<Story, String> {
    let told: Vec<&str> = text.lines().take_while(|line| line.trim() != LEDGER).collect();
    let quote = match told.first().and_then(|line| line.strip_prefix("# ")) {
        Some(quote) => quote.trim().to_owned(),
        None => return Err("line 1: the sentence it shows expected, after \"# \"".to_owned()),
    };
    let mut steps: Vec<Step> = Vec::new();
    let mut day = None;
    for (index, line) in told.iter().enumerate() {
        let line_number = index + 1;
        let failed = |error: &str| format!("line {line_number}: {error}");
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        if line.starts_with(' ') {
            let step = steps.last_mut().ok_or_else(|| failed("nothing to belong to"))?;
            step.body.push(line.trim().to_owned());
            continue;
        }
        let (at, text) = stamp(line, &mut day).map_err(|error| failed(&error))?;
        if at.is_none() && steps.iter().any(|step| step.at.is_some()) {
            return Err(failed("a time expected; only what stands above the first time has none"));
        }
        steps.push(Step { line: line_number, at, text, body: Vec::new() });
    }
    let ledger = text.lines().skip(told.len() + 1).map(str::to_owned);
    let ledger = ledger.filter(|line| !line.trim().is_empty()).collect();
    let not_yet = told.iter().any(|line| line.starts_with("# not yet: "));
    Ok(Story { quote, not_yet, steps, ledger })
}

/// The story with another ledger.
pub(super) fn with_ledger(text: &str, ledger: &[String]) -> String {
    let told: Vec<&str> = text.lines().take_while(|line| line.trim() != LEDGER).collect();
    let mut new = told.join("\n").trim_end().to_owned();
    new.push_str("\n\n");
    new.push_str(LEDGER);
    new.push('\n');
    for line in ledger {
        new.push_str(line);
        new.push('\n');
    }
    new
}

/// `2026-03-02 09:00 …` sets the day, `09:00 …` is on the latest one.
fn stamp(line: &str, day: &mut Option<String>) -> Result<(Option<Timestamp>, String), String> {
    let mut rest = line.trim();
    let word = |text: &str| text.split_whitespace().next().unwrap_or("").to_owned();
    let first = word(rest);
    let is_day = first.len() == 10
        && first.chars().enumerate().all(|(place, letter)| match place {
            4 | 7 => letter == '-',
            _ => letter.is_ascii_digit(),
        });
    if is_day {
        rest = rest[first.len()..].trim_start();
        *day = Some(first);
    }
    let time = word(rest);
    let Some(full) = words::full_time(&time) else {
        return if is_day {
            Err("a time expected".to_owned())
        } else {
            Ok((None, rest.to_owned()))
        };
    };
    let day = day.as_ref().ok_or("the first time needs its day: 2026-03-02 09:00")?;
    let at = moment(&format!("{day}T{full}Z"))?;
    Ok((Some(at), rest[time.len()..].trim().to_owned()))
}

/// RFC 3339.
pub(super) fn moment(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).ok_or_else(|| format!("{text:?} is no moment"))
}
