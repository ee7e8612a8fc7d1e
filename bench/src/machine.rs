//! The machine a figure belongs to. Without it the figure says nothing to anybody else.

use std::fs::{self, File};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};

use crate::stats::{number, percentile};

/// What is true of the machine during a run.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    pub(crate) memory_gib: f64,
    /// Milliseconds of one durable write of 4 KiB over what is there: p50, p95, p99.
    pub(crate) fsync: [f64; 3],
    pub(crate) load: String,
    pub(crate) disk: String,
}

impl Machine {
    /// Ask it. `folder` lies on the disk that the servers will write to.
    ///
    /// # Errors
    /// The disk cannot be written.
    pub(crate) fn look(folder: &Path) -> anyhow::Result<Machine> {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let line = |text: &str, name: &str| {
            let found = text.lines().find(|line| line.starts_with(name));
            found.and_then(|line| line.split_once(':')).map(|(_, rest)| rest.trim().to_owned())
        };
        let cpu = line(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| "unknown".into());
        let memory = line(&read("/proc/meminfo"), "MemTotal").unwrap_or_default();
        let kib: f64 =
            memory.split_whitespace().next().and_then(|kib| kib.parse().ok()).unwrap_or(0.0);
        Ok(Machine {
            cpu,
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            memory_gib: kib / 1024.0 / 1024.0,
            fsync: fsync_cost(folder)?,
            load: load(),
            disk: file_system(folder),
        })
    }

    /// In one paragraph.
    pub(crate) fn shown(&self) -> String {
        let [p50, p95, p99] = self.fsync.map(number);
        format!(
            "{} · {} cores · {:.0} GiB · Linux {} · {} · fdatasync of 4 KiB p50 {p50} ms, p95 {p95} ms, \
             p99 {p99} ms · load average at the start {}",
            self.cpu, self.cores, self.memory_gib, self.kernel, self.disk, self.load
        )
    }

    /// For the file from which the page is written.
    pub(crate) fn json(&self) -> Value {
        json!({"shown": self.shown(), "fsync_ms": self.fsync, "load": self.load})
    }
}

/// The load average of the last minute, and how many are running.
pub(crate) fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

fn file_system(folder: &Path) -> String {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let mut best = ("", "unknown file system");
    for line in mounts.lines() {
        let mut words = line.split(' ').skip(1);
        let (Some(at), Some(kind)) = (words.next(), words.next()) else { continue };
        if folder.starts_with(at) && at.len() >= best.0.len() {
            best = (at, kind);
        }
    }
    best.1.to_owned()
}

/// One durable write of 4 KiB into a file that has its blocks, as a log does it; p50, p95, p99.
pub(crate) fn fsync_cost(folder: &Path) -> anyhow::Result<[f64; 3]> {
    let path = folder.join("fsync-probe");
    let mut file = File::create(&path)?;
    file.write_all(&vec![1; 1 << 20])?;
    file.sync_all()?;
    let mut costs = Vec::new();
    for turn in 0..200u64 {
        file.seek(SeekFrom::Start(turn % 256 * 4096))?;
        let began = Instant::now();
        file.write_all(&[turn.to_le_bytes()[0]; 4096])?;
        file.sync_data()?;
        costs.push(began.elapsed().as_secs_f64() * 1e3);
    }
    drop(file);
    fs::remove_file(&path)?;
    Ok([50.0, 95.0, 99.0].map(|percent| percentile(&costs, percent)))
}
