//! The rules of the house that a program can check. STYLE.md says them in words.
//!
//! Each check is a function from the sources to a list of faults, a fault is one sentence that
//! begins with the place. Runs as `cargo xtask tidy`, as a step of `cargo ci` and as a test.

mod documents;
mod edges;
mod purity;
mod size;
mod sources;
mod text;
mod words;

use crate::root;

/// A rule that is not kept: where, and what.
pub(crate) type Fault = String;

/// Check everything and print the faults. With `record`, today's oversized files and functions
/// are written down as exceptions first; the change then shows up in review.
///
/// # Errors
/// The sources cannot be read.
pub(crate) fn run(record: bool) -> anyhow::Result<bool> {
    if record {
        size::record(&sources::read(&root())?)?;
    }
    let faults = faults()?;
    for fault in &faults {
        println!("{fault}");
    }
    match faults.len() {
        0 => println!("tidy"),
        count => println!("{count} to tidy"),
    }
    Ok(faults.is_empty())
}

/// Every fault there is.
///
/// # Errors
/// The sources cannot be read.
pub(crate) fn faults() -> anyhow::Result<Vec<Fault>> {
    let files = sources::read(&root())?;
    let mut faults = size::check(&files)?;
    faults.extend(words::check(&files));
    faults.extend(text::check(&files));
    faults.extend(purity::check(&files));
    faults.extend(documents::check(&files));
    faults.extend(edges::check()?);
    Ok(faults)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_house_is_tidy() {
        let faults = super::faults().unwrap();
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
}
