//! What the model was asked, and how often it said yes and no.
//!
//! A generator that never makes an operator true checks nothing about it. This is the count that
//! keeps it honest.

use std::collections::BTreeMap;
use std::fmt;

/// Per question: how often the answer was yes, how often no.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Coverage {
    /// By name, such as `test is_not` or `refused capped`.
    pub seen: BTreeMap<String, Seen>,
}

/// How often one question was answered either way.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Seen {
    /// Yes.
    pub yes: u64,
    /// No.
    pub no: u64,
}

impl Coverage {
    /// Count an answer.
    pub fn note(&mut self, question: &str, answer: bool) {
        let seen = match self.seen.get_mut(question) {
            Some(seen) => seen,
            None => self.seen.entry(question.to_owned()).or_default(),
        };
        if answer {
            seen.yes += 1;
        } else {
            seen.no += 1;
        }
    }

    /// Take over the counts of another run.
    pub fn add(&mut self, other: &Coverage) {
        for (question, seen) in &other.seen {
            let sum = self.seen.entry(question.clone()).or_default();
            sum.yes += seen.yes;
            sum.no += seen.no;
        }
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{:<44} {:>10} {:>10}", "question", "yes", "no")?;
        for (question, seen) in &self.seen {
            writeln!(out, "{question:<44} {:>10} {:>10}", seen.yes, seen.no)?;
        }
        Ok(())
    }
}
