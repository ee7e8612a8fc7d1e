//! Medians and spreads. A single number without its spread is not a measurement.

use serde_json::{Value, json};

/// Several runs of one measurement.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    /// What was measured.
    pub(crate) what: String,
    /// In which unit, as it is printed.
    pub(crate) unit: &'static str,
    /// The runs.
    pub(crate) runs: Vec<f64>,
}

impl Figure {
    /// A figure of these runs.
    pub(crate) fn new(what: &str, unit: &'static str, runs: Vec<f64>) -> Figure {
        Figure { what: what.to_owned(), unit, runs }
    }

    /// The one in the middle.
    pub(crate) fn median(&self) -> f64 {
        percentile(&self.runs, 50.0)
    }

    /// `12.3 µs (11.9–14.0, 5 runs)`.
    pub(crate) fn shown(&self) -> String {
        let middle = number(self.median());
        let unit = self.unit;
        match self.runs.len() {
            0 => "not measured".to_owned(),
            1 => format!("{middle} {unit}"),
            runs => {
                let (low, high) = (percentile(&self.runs, 0.0), percentile(&self.runs, 100.0));
                format!("{middle} {unit} ({}–{}, {runs} runs)", number(low), number(high))
            }
        }
    }

    /// For the file from which the page is written.
    pub(crate) fn json(&self) -> Value {
        json!({"what": self.what, "shown": self.shown(), "median": self.median(), "runs": self.runs})
    }
}

/// The value below which so many percent lie; the nearest one that was measured.
pub(crate) fn percentile(values: &[f64], percent: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1) as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the list")]
    let place = (last * percent / 100.0).round() as usize;
    sorted.get(place).copied().unwrap_or(f64::NAN)
}

/// Three digits that count, and blanks between thousands.
pub(crate) fn number(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        return "–".to_owned();
    }
    if size >= 1000.0 {
        let mut digits = format!("{value:.0}");
        let mut place = digits.len();
        while place > 3 + usize::from(value < 0.0) {
            place -= 3;
            digits.insert(place, ',');
        }
        return digits;
    }
    match size {
        _ if size >= 100.0 => format!("{value:.0}"),
        _ if size >= 10.0 => format!("{value:.1}"),
        _ if size == 0.0 => "0".to_owned(),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_and_the_ends() {
        let figure = Figure::new("x", "µs", vec![3.0, 1.0, 2.0, 10.0, 2.5]);
        assert_eq!(figure.shown(), "2.50 µs (1.00–10.0, 5 runs)");
        assert!((percentile(&[1.0, 2.0, 3.0, 4.0], 95.0) - 4.0).abs() < 1e-9);
    }

    #[test]
    fn numbers_are_read_at_a_glance() {
        assert_eq!(number(1_234_567.0), "1,234,567");
        assert_eq!(number(0.123), "0.12");
        assert_eq!(number(f64::NAN), "–");
    }
}
