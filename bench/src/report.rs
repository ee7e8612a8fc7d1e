//! What a row has found: figures, goals met or not, tables and notes; on the screen, as markdown,
//! and as JSON from which the page is written.

use std::fmt::Write as _;
use std::fs;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::machine::load;
use crate::setting::{Setting, Size};
use crate::stats::Figure;

/// What a row has found.
#[derive(Debug)]
pub(crate) struct Finding {
    row: String,
    title: String,
    figures: Vec<Figure>,
    goals: Vec<Goal>,
    tables: Vec<Table>,
    notes: Vec<String>,
}

/// One line of the goal table.
#[derive(Clone, Debug)]
pub(crate) struct Goal {
    /// What, in the words of the goal table.
    pub(crate) what: &'static str,
    /// What is wanted.
    pub(crate) goal: &'static str,
    /// What was found.
    pub(crate) measured: String,
    /// Whether it is reached.
    pub(crate) met: bool,
    /// Why not, or under which condition.
    pub(crate) why: String,
}

/// A table of its own: ladders and comparisons.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) title: String,
    pub(crate) head: Vec<String>,
    pub(crate) lines: Vec<Vec<String>>,
}

impl Finding {
    /// Nothing yet.
    pub(crate) fn new(row: &str, title: &str) -> Finding {
        let (row, title) = (row.to_owned(), title.to_owned());
        let (figures, goals, tables, notes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Finding { row, title, figures, goals, tables, notes }
    }

    /// A figure, shown at once: long rows should not be silent.
    pub(crate) fn figure(&mut self, figure: Figure) {
        println!("  {:<58} {}", figure.what, figure.shown());
        self.figures.push(figure);
    }

    /// A line of the goal table.
    pub(crate) fn goal(&mut self, goal: Goal) {
        let met = if goal.met { "met" } else { "not met" };
        println!("  goal {:<53} {} ({})", goal.what, met, goal.goal);
        self.goals.push(goal);
    }

    /// A table.
    pub(crate) fn table(&mut self, table: Table) {
        println!("{}", markdown(&table));
        self.tables.push(table);
    }

    /// Something to know.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        println!("  {note}");
        self.notes.push(note);
    }

    /// Keep it.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub(crate) fn save(&self, setting: &Setting) -> anyhow::Result<()> {
        let folder = setting.results();
        fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        let size = match setting.size {
            Size::Quick => "quick",
            Size::Usual => "usual",
            Size::Whole => "whole",
        };
        let date = today();
        let load_after = load();
        let goals: Vec<Value> = self
            .goals
            .iter()
            .map(|goal| {
                json!({"what": goal.what, "goal": goal.goal, "measured": goal.measured,
                    "met": goal.met, "why": goal.why})
            })
            .collect();
        let tables: Vec<Value> = self
            .tables
            .iter()
            .map(|table| json!({"title": table.title, "markdown": markdown(table)}))
            .collect();
        let figures: Vec<Value> = self.figures.iter().map(Figure::json).collect();
        let whole = json!({"row": self.row, "title": self.title, "date": date, "size": size,
            "machine": setting.machine.json(), "load_after": load_after, "goals": goals,
            "figures": figures, "tables": tables, "notes": self.notes});
        let text = serde_json::to_string_pretty(&whole)? + "\n";
        fs::write(folder.join(format!("{}.json", self.row)), text)?;
        let mut page = format!(
            "# {}\n\n{date}, size {size}.\n{} · load average at the end {load_after}.\n",
            self.title,
            setting.machine.shown()
        );
        if !self.figures.is_empty() {
            page.push_str("\n| what | median (min–max) |\n| --- | --- |\n");
            for figure in &self.figures {
                let _ = writeln!(page, "| {} | {} |", figure.what, figure.shown());
            }
        }
        for table in &self.tables {
            let _ = write!(page, "\n{}:\n\n{}", table.title, markdown(table));
        }
        for note in &self.notes {
            let _ = write!(page, "\n{note}\n");
        }
        fs::write(folder.join(format!("{}.md", self.row)), page)?;
        Ok(())
    }
}

fn markdown(table: &Table) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let rule: Vec<String> = table.head.iter().map(|_| "---".to_owned()).collect();
    let mut text = line(&table.head) + &line(&rule);
    table.lines.iter().for_each(|cells| text += &line(cells));
    text
}

/// The day, as `2026-11-22`.
fn today() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let ms = since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(0));
    let text = engine::time::Timestamp(ms).to_rfc3339();
    text.get(..10).unwrap_or_default().to_owned()
}
