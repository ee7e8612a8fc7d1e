//! A bound for the memory of the server: a control group where one can be made, else a resource
//! limit, which counts what the process maps instead of what it uses.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Context as _;

const GROUPS: &str = "/sys/fs/cgroup/memory";

/// The bound.
#[derive(Debug)]
pub(super) struct Limit {
    bytes: u64,
    group: Option<PathBuf>,
}

impl Limit {
    /// The best that this machine gives us.
    pub(super) fn make(bytes: u64) -> Limit {
        let folder = PathBuf::from(GROUPS).join(format!("tidings-trials-{}", std::process::id()));
        let made = std::fs::create_dir(&folder)
            .and_then(|()| std::fs::write(folder.join("memory.limit_in_bytes"), bytes.to_string()));
        Limit { bytes, group: made.is_ok().then_some(folder) }
    }

    /// The command that puts the server under it.
    pub(super) fn launcher(&self) -> Vec<OsString> {
        let words = match &self.group {
            Some(folder) => {
                let enter = format!("echo $$ > '{}/cgroup.procs' && exec \"$@\"", folder.display());
                vec!["sh".to_owned(), "-c".to_owned(), enter, "sh".to_owned()]
            }
            None => vec!["prlimit".to_owned(), format!("--data={}", self.bytes)],
        };
        words.into_iter().map(OsString::from).collect()
    }

    /// Which it is.
    pub(super) fn words(&self) -> String {
        let mebibytes = self.bytes / 1024 / 1024;
        match &self.group {
            Some(_) => format!("a control group of {mebibytes} MiB"),
            None => format!("a resource limit of {mebibytes} MiB of data"),
        }
    }

    /// Take the group away; the server must have ended.
    pub(super) fn remove(&self) {
        if let Some(folder) = &self.group
            && let Err(error) = std::fs::remove_dir(folder)
        {
            eprintln!("{} could not be removed: {error}", folder.display());
        }
    }
}

/// The most memory that a process has used so far.
pub(super) fn most_of(pid: u32) -> anyhow::Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let line = line.context("no VmHWM in the status of the server")?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kilobytes * 1024)
}
