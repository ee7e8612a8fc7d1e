//! The files of the repository, read once for all checks.

use std::fs;
use std::path::Path;

use anyhow::Context as _;

/// Made by tools, or private to a machine.
const NOT_OURS: &[&str] = &["target", "node_modules", ".git", "data", ".cache", "__pycache__"];

/// A file of the repository.
pub(crate) struct Source {
    /// From the root, with `/`.
    pub(crate) path: String,
    /// Its size on disk.
    pub(crate) bytes: u64,
    /// Its text; empty when it is not UTF-8.
    pub(crate) text: String,
}

impl Source {
    /// Rust of ours.
    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Rust that only tests use.
    pub(crate) fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("/tests.rs")
    }

    /// The lines that count: everything before the tests at the end of the file.
    pub(crate) fn own_lines(&self) -> Vec<&str> {
        let lines: Vec<&str> = self.text.lines().collect();
        let tests = lines.windows(2).position(|pair| {
            let [attribute, item] = pair else { return false };
            *attribute == "#[cfg(test)]" && item.starts_with("mod ") && item.ends_with('{')
        });
        lines.into_iter().take(tests.unwrap_or(usize::MAX)).collect()
    }
}

/// Every file below the root, in the order of their paths.
pub(crate) fn read(root: &Path) -> anyhow::Result<Vec<Source>> {
    let mut files = Vec::new();
    walk(root, root, &mut files)?;
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(files)
}

fn walk(root: &Path, folder: &Path, files: &mut Vec<Source>) -> anyhow::Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        if NOT_OURS.iter().any(|not_ours| name == *not_ours) {
            continue;
        }
        let path = entry.path();
        let kind = entry.file_type()?;
        if kind.is_dir() {
            walk(root, &path, files)?;
        } else if kind.is_file() {
            let relative = path.strip_prefix(root)?.to_string_lossy().replace('\\', "/");
            let text = fs::read_to_string(&path).unwrap_or_default();
            files.push(Source { path: relative, bytes: entry.metadata()?.len(), text });
        }
    }
    Ok(())
}
