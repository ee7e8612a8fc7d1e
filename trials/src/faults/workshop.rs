//! Where the trials are made: the shim, a place for folders, and processes that run with a fault ahead of them.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::{env, fs};

use anyhow::{Context as _, bail};

use super::child;
use super::subject::Subject;
use super::trace::{self, Event, Step};

const SHIM: &str = include_str!("../../shim/iofault.c");

/// Tests open several in one process.
static OPENED: AtomicU64 = AtomicU64::new(0);

pub(super) struct Workshop {
    /// This program, which is also the process that is killed.
    program: PathBuf,
    pub(super) shim: PathBuf,
    folder: PathBuf,
}

/// What is done to a process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    pub(super) what: What,
    pub(super) on: On,
    /// The first operation it happens at; 0 for none.
    pub(super) at: u64,
    /// How many in a row; 0 for all from there on.
    pub(super) times: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Kill,
    /// Half of a write, then kill.
    Tear,
    Eio,
    /// Half of a write, then the error.
    ShortEio,
    ShortEnospc,
    /// A sync that says it is done, and is not.
    Lie,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum On {
    Any,
    Sync,
    Write,
}

/// A process that has ended.
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    pub(super) steps: Vec<Step>,
    pub(super) errors: String,
}

impl Fault {
    pub(super) const NONE: Fault = Fault { what: What::Kill, on: On::Any, at: 0, times: 1 };

    pub(super) fn once(what: What, on: On, at: u64) -> Fault {
        Fault { what, on, at, times: 1 }
    }

    /// The environment of a process that is to meet this fault below `root`.
    pub(super) fn environment(
        self,
        shim: &Path,
        root: &Path,
        trace: &Path,
    ) -> Vec<(OsString, OsString)> {
        let what = match self.what {
            What::Kill => "kill",
            What::Tear => "tear",
            What::Eio => "eio",
            What::ShortEio => "short-eio",
            What::ShortEnospc => "short-enospc",
            What::Lie => "lie",
        };
        let on = match self.on {
            On::Any => "any",
            On::Sync => "sync",
            On::Write => "write",
        };
        let variables: [(&str, OsString); 7] = [
            ("LD_PRELOAD", shim.into()),
            ("IOFAULT_ROOT", root.into()),
            ("IOFAULT_TRACE", trace.into()),
            ("IOFAULT_DO", what.into()),
            ("IOFAULT_ON", on.into()),
            ("IOFAULT_AT", self.at.to_string().into()),
            ("IOFAULT_TIMES", self.times.to_string().into()),
        ];
        variables.into_iter().map(|(name, value)| (name.into(), value)).collect()
    }
}

impl Workshop {
    /// `program` is the binary of this crate; the shim is compiled beside it.
    pub(super) fn open(program: &Path) -> anyhow::Result<Workshop> {
        let beside = program.parent().context("the program lies in no folder")?;
        // Memory instead of a disk: what a power cut leaves is computed, and a sync costs nothing here.
        let memory = Path::new("/dev/shm");
        let place = if memory.is_dir() { memory.to_owned() } else { env::temp_dir() };
        let own = format!("{}-{}", std::process::id(), OPENED.fetch_add(1, Ordering::Relaxed));
        let folder = place.join(format!("tidings-faults-{own}"));
        fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        let shim = compile(beside, &own)?;
        Ok(Workshop { program: program.to_owned(), shim, folder })
    }

    /// Where the record of the newest run is.
    pub(super) fn trace(&self) -> PathBuf {
        self.folder.join("trace")
    }

    /// A path of that name with nothing there.
    pub(super) fn path(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.folder.join(name);
        if path.is_dir() {
            fs::remove_dir_all(&path)?;
        } else if path.exists() {
            fs::remove_file(&path)?;
        }
        Ok(path)
    }

    /// An empty folder of that name.
    pub(super) fn room(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.path(name)?;
        fs::create_dir(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(path)
    }

    /// Runs the child on the folder `data` in `room` until it ends.
    pub(super) fn run(
        &self,
        subject: Subject,
        room: &Path,
        commits: u64,
        fault: Fault,
    ) -> anyhow::Result<Ended> {
        let mut command = Command::new(&self.program);
        command.args(["faults", "child", subject.name()]);
        command.arg(data(room)).arg(commits.to_string());
        let trace = self.trace();
        command.envs(fault.environment(&self.shim, room, &trace));
        command.stdout(Stdio::null()).stdin(Stdio::null());
        let output = command.output().context("running the child")?;
        let errors = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
        if errors.contains("iofault:") {
            bail!("the shim failed: {errors}");
        }
        Ok(Ended { status: output.status, steps: trace::read(&trace)?, errors })
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        // Nobody is hindered by what stays.
        fs::remove_dir_all(&self.folder).ok();
    }
}

impl Ended {
    /// How many records were acknowledged before the end.
    pub(super) fn acknowledged(&self) -> u64 {
        acknowledged(&self.steps)
    }
}

pub(super) fn acknowledged(steps: &[Step]) -> u64 {
    last(steps, "acknowledged")
}

pub(super) fn synced(steps: &[Step]) -> u64 {
    last(steps, "synced")
}

fn last(steps: &[Step], word: &str) -> u64 {
    steps.iter().rev().find_map(|step| said(step, word)).unwrap_or(0)
}

/// The number that the child says here after this word.
pub(super) fn said(step: &Step, word: &str) -> Option<u64> {
    match &step.event {
        Event::Said { to: 1, text } => child::said(text, word),
        _ => None,
    }
}

/// The folder under trial; its parent is watched too, because its name must last.
pub(super) fn data(room: &Path) -> PathBuf {
    room.join("data")
}

fn compile(beside: &Path, own: &str) -> anyhow::Result<PathBuf> {
    let hash = blake3::hash(SHIM.as_bytes()).to_hex();
    let shim = beside.join(format!("iofault-{}.so", &hash[..16]));
    if shim.exists() {
        return Ok(shim);
    }
    let making = beside.join(format!("iofault-{own}.tmp"));
    let mut compiler = Command::new("cc")
        .args(["-shared", "-fPIC", "-O2", "-x", "c", "-o"])
        .arg(&making)
        .arg("-")
        .stdin(Stdio::piped())
        .spawn()
        .context("starting cc, which compiles the shim; install gcc or clang")?;
    let mut source = compiler.stdin.take().context("cc takes no source")?;
    source.write_all(SHIM.as_bytes())?;
    drop(source);
    if !compiler.wait()?.success() {
        bail!("cc could not compile trials/shim/iofault.c");
    }
    fs::rename(&making, &shim)?;
    Ok(shim)
}
