//! What the kernel says of a process: its CPU time, what it wrote, what it holds in memory.
//!
//! CPU is the figure that counts here: it does not depend on who else uses the machine, as far as
//! anything does not.

use std::fs;
use std::time::Instant;

use anyhow::Context as _;

/// Clock ticks per second in `/proc`; fixed by the kernel's interface on Linux.
const TICKS: f64 = 100.0;

/// What a process has used up to a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Used {
    /// Seconds of CPU, user and system, of all its threads.
    pub(crate) cpu: f64,
    /// Bytes it made the disk write.
    pub(crate) written: u64,
    at: Instant,
}

/// What was used between two moments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spent {
    /// Seconds of CPU.
    pub(crate) cpu: f64,
    /// Bytes written to disk.
    pub(crate) written: u64,
    /// Seconds on the wall.
    pub(crate) wall: f64,
}

impl Used {
    /// By now.
    ///
    /// # Errors
    /// The process is gone.
    pub(crate) fn by(pid: u32) -> anyhow::Result<Used> {
        // Bytes written are not shown of other users' processes; then there are none to tell.
        let written = field(&format!("/proc/{pid}/io"), "write_bytes:").unwrap_or(0);
        Ok(Used { cpu: cpu_seconds(pid)?, written, at: Instant::now() })
    }

    /// Since then.
    ///
    /// # Errors
    /// The process is gone.
    pub(crate) fn spent(&self, pid: u32) -> anyhow::Result<Spent> {
        let now = Used::by(pid)?;
        Ok(Spent {
            cpu: now.cpu - self.cpu,
            written: now.written.saturating_sub(self.written),
            wall: (now.at - self.at).as_secs_f64(),
        })
    }
}

impl Spent {
    /// Microseconds of CPU for each of so many.
    pub(crate) fn micros_each(&self, count: u64) -> f64 {
        self.cpu * 1e6 / count.max(1) as f64
    }

    /// So many per second of wall time.
    pub(crate) fn per_second(&self, count: u64) -> f64 {
        count as f64 / self.wall.max(1e-9)
    }
}

/// Seconds of CPU of a process and its ended threads.
pub(crate) fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    // The name may hold blanks; what follows its bracket does not.
    let rest = stat.rsplit(") ").next().unwrap_or_default();
    let ticks: Vec<f64> = rest.split(' ').skip(11).take(2).flat_map(str::parse).collect();
    Ok(ticks.iter().sum::<f64>() / TICKS)
}

/// Seconds of CPU of a process, its children and theirs, as far as they are still alive.
pub(crate) fn cpu_of_tree(root: u32) -> anyhow::Result<f64> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        let rest = stat.rsplit(") ").next().unwrap_or_default();
        let parent = rest.split(' ').nth(1).and_then(|text| text.parse::<u32>().ok());
        parents.push((pid, parent.unwrap_or(0)));
    }
    let mut tree = vec![root];
    let mut looked_at = 0;
    while let Some(parent) = tree.get(looked_at).copied() {
        tree.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        looked_at += 1;
    }
    Ok(tree.into_iter().flat_map(cpu_seconds).sum())
}

/// Bytes of memory that a process holds now.
pub(crate) fn resident(pid: u32) -> anyhow::Result<u64> {
    let kib = field(&format!("/proc/{pid}/status"), "VmRSS:").context("no VmRSS")?;
    Ok(kib * 1024)
}

/// The most it ever held.
pub(crate) fn most_resident(pid: u32) -> anyhow::Result<u64> {
    let kib = field(&format!("/proc/{pid}/status"), "VmHWM:").context("no VmHWM")?;
    Ok(kib * 1024)
}

fn field(path: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}
