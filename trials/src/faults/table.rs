//! What the trials found, as one table.

use std::fmt::Write as _;

use super::subject::Verdict;

/// One line: a trial and what its points came to.
#[derive(Clone, Debug, Default)]
pub struct Row {
    pub(super) trial: String,
    pub(super) points: u64,
    pub(super) lost: u64,
    pub(super) silent: u64,
    pub(super) unopenable: u64,
    /// Damage that was said aloud, as it should be.
    pub(super) loud: u64,
    /// Points at which each control was found guilty, and its name.
    pub(super) controls: Vec<(String, u64)>,
    /// Something else that was promised and not kept.
    pub(super) broken: Vec<String>,
    /// The first points of each kind, for whoever looks for the cause.
    pub(super) samples: Vec<String>,
    /// Said aloud because it was not tried.
    pub(super) skipped: Option<String>,
}

const SAMPLES: usize = 5;

impl Row {
    pub(super) fn new(trial: impl Into<String>) -> Row {
        Row { trial: trial.into(), ..Row::default() }
    }

    /// A point after which everything must be there.
    pub(super) fn note(&mut self, point: &str, verdict: Verdict) {
        self.points += 1;
        let (count, why) = match verdict {
            Verdict::Whole => return,
            Verdict::Lost(why) => (&mut self.lost, why),
            Verdict::Silent(why) => (&mut self.silent, why),
            Verdict::Refused(why) => (&mut self.unopenable, why),
        };
        *count += 1;
        self.sample(format!("{point}: {why}"));
    }

    /// A point of damage: it may be refused, only not pass for whole.
    pub(super) fn note_damage(&mut self, point: &str, verdict: Verdict) {
        match verdict {
            Verdict::Refused(_) => {
                self.points += 1;
                self.loud += 1;
            }
            Verdict::Lost(why) => self.note(point, Verdict::Silent(why)),
            Verdict::Whole | Verdict::Silent(_) => self.note(point, verdict),
        }
    }

    /// Something that was promised and not kept at this point.
    pub(super) fn note_broken(&mut self, why: String) {
        if self.broken.len() < SAMPLES {
            self.broken.push(why);
        }
    }

    fn sample(&mut self, text: String) {
        if self.samples.len() < SAMPLES {
            self.samples.push(text);
        }
    }

    /// How often it was not whole: for a control, how often it was caught.
    pub(super) fn guilty(&self) -> u64 {
        self.lost + self.silent + self.unopenable
    }

    /// Whether a promise is broken, or a control got away.
    pub fn is_broken(&self) -> bool {
        let let_off = self.controls.iter().any(|(_, caught)| *caught == 0);
        self.guilty() > 0 || !self.broken.is_empty() || let_off
    }
}

/// The table with its causes below.
pub fn shown(rows: &[Row]) -> String {
    let mut text = String::new();
    let wide = rows.iter().map(|row| row.trial.len()).max().unwrap_or(0);
    let head = "points   lost silent unopenable   loud  control caught";
    writeln!(text, "{:wide$}  {head}", "trial").ok();
    for row in rows {
        let trial = &row.trial;
        if let Some(why) = &row.skipped {
            writeln!(text, "{trial:wide$}  SKIPPED: {why}").ok();
            continue;
        }
        let controls: Vec<String> =
            row.controls.iter().map(|(name, caught)| format!("{name} {caught}")).collect();
        let controls = if controls.is_empty() { "-".to_owned() } else { controls.join(", ") };
        let mark = if row.is_broken() { "  BROKEN" } else { "" };
        let Row { points, lost, silent, unopenable, loud, .. } = row;
        writeln!(
            text,
            "{trial:wide$}  {points:6} {lost:6} {silent:6} {unopenable:10} {loud:6}  {controls}{mark}"
        )
        .ok();
    }
    for row in rows.iter().filter(|row| row.is_broken()) {
        writeln!(text, "\n{}", row.trial).ok();
        for line in row.broken.iter().chain(&row.samples) {
            writeln!(text, "  {line}").ok();
        }
        for (name, _) in row.controls.iter().filter(|(_, caught)| *caught == 0) {
            writeln!(text, "  the control {name} was not caught: the trial proves nothing").ok();
        }
    }
    text
}

/// The sums, on one line.
pub(super) fn figures(rows: &[Row]) -> String {
    let sum = |of: fn(&Row) -> u64| rows.iter().map(of).sum::<u64>();
    let controls: Vec<_> = rows.iter().flat_map(|row| &row.controls).collect();
    let caught = controls.iter().filter(|(_, caught)| *caught > 0).count();
    let skipped = rows.iter().filter(|row| row.skipped.is_some()).count();
    let mut text = format!(
        "{} points, {} lost, {} silent, {} unopenable, {} damages loud, {caught} of {} controls caught",
        sum(|row| row.points),
        sum(|row| row.lost),
        sum(|row| row.silent),
        sum(|row| row.unopenable),
        sum(|row| row.loud),
        controls.len()
    );
    if skipped > 0 {
        write!(text, ", {skipped} trials skipped").ok();
    }
    text
}
