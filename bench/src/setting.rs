//! How large a run is, where its files lie, and on which machine it happens.

use std::path::PathBuf;

use anyhow::Context as _;

use crate::machine::Machine;

/// How large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    /// A look: everything runs, nothing is to be quoted.
    Quick,
    /// The usual one, some minutes.
    Usual,
    /// With the rows that take long.
    Whole,
}

/// A run.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) size: Size,
    pub(crate) machine: Machine,
    /// The repository.
    pub(crate) root: PathBuf,
    /// For data folders; emptied at the end.
    pub(crate) scratch: PathBuf,
}

impl Setting {
    /// Look at the machine and make room. `BENCH_SCRATCH` names the folder for data.
    ///
    /// # Errors
    /// There is no room.
    pub(crate) fn new(size: Size) -> anyhow::Result<Setting> {
        let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let root = here.parent().context("bench/ lies in the repository")?.to_owned();
        let base = std::env::var_os("BENCH_SCRATCH").map_or_else(std::env::temp_dir, PathBuf::from);
        let scratch = base.join(format!("tidings-bench-{}", std::process::id()));
        std::fs::create_dir_all(&scratch)
            .with_context(|| format!("making {}", scratch.display()))?;
        let machine = Machine::look(&scratch)?;
        Ok(Setting { size, machine, root, scratch })
    }

    /// One of three, by the size.
    pub(crate) fn pick<T>(&self, quick: T, usual: T, whole: T) -> T {
        match self.size {
            Size::Quick => quick,
            Size::Usual => usual,
            Size::Whole => whole,
        }
    }

    /// Where results lie.
    pub(crate) fn results(&self) -> PathBuf {
        // A quick look must not replace what was measured.
        let name = if self.size == Size::Quick { "target/bench-quick" } else { "bench/results" };
        self.root.join(name)
    }

    /// Where charts lie.
    pub(crate) fn charts(&self) -> PathBuf {
        let quick = self.size == Size::Quick;
        self.root.join(if quick { "target/bench-quick" } else { "docs/performance" })
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        // What is left of it is in nobody's way.
        let _ = std::fs::remove_dir_all(&self.scratch);
    }
}
