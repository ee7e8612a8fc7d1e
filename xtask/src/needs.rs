//! What the tests need besides Rust, fetched the way each ecosystem fetches things.
//!
//! Python packages go into an environment under the target folder, npm packages into
//! `journey/node_modules`. Where they come from is the business of the machine's own pip and npm
//! configuration. Debian packages are installed only when something is missing and we may.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use crate::{root, step, target};

/// A program the tests call, how to see whether it is there, and who brings it on Debian.
const PROGRAMS: &[(&[&str], &str)] = &[
    (&["python3", "-c", "import venv, ensurepip"], "python3-venv"),
    (&["node", "--version"], "nodejs"),
    (&["npm", "--version"], "npm"),
    (&["openssl", "version"], "openssl"),
];

/// Install what is missing. Does nothing, and quickly, when all is there.
///
/// # Errors
/// Something is missing and cannot be installed.
pub(crate) fn install() -> anyhow::Result<()> {
    debian_packages()?;
    npm_packages()?;
    python_packages()
}

/// The interpreter of the environment.
pub(crate) fn python() -> PathBuf {
    target().join("python").join("bin").join("python")
}

fn debian_packages() -> anyhow::Result<()> {
    let missing: Vec<&str> =
        PROGRAMS.iter().filter(|(probe, _)| !answers(probe)).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").arg("--yes").args(arguments);
        command
    };
    if !answers(&["apt-get", "--version"]) {
        bail!("the tests need {}; please install them", missing.join(", "));
    }
    step::run("update apt", &mut apt(&["update"]))?;
    let mut install = apt(&["install", "--no-install-recommends"]);
    install.args(&missing);
    if !step::run("install with apt", &mut install)?.passed {
        bail!("the tests need {}; apt-get could not install them", missing.join(", "));
    }
    Ok(())
}

fn answers(probe: &[&str]) -> bool {
    let Some((program, arguments)) = probe.split_first() else { return false };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn npm_packages() -> anyhow::Result<()> {
    let journey = root().join("journey");
    let lock = read(&journey.join("package-lock.json"))?;
    let stamp = journey.join("node_modules").join(".installed");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    let mut command = Command::new("npm");
    command.args(["ci", "--no-audit", "--no-fund", "--prefix"]).arg(&journey);
    if !step::run("npm packages", &mut command)?.passed {
        bail!("the npm packages of the journey could not be installed");
    }
    fs::write(&stamp, lock).with_context(|| format!("writing {}", stamp.display()))
}

fn python_packages() -> anyhow::Result<()> {
    let list = root().join("journey").join("requirements.txt");
    let wanted = read(&list)?;
    let home = target().join("python");
    let stamp = home.join("installed");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    let mut make = Command::new("python3");
    make.args(["-m", "venv", "--clear"]).arg(&home);
    if !step::run("python environment", &mut make)?.passed {
        bail!("python3 -m venv failed");
    }
    let mut fetch = Command::new(python());
    fetch.args(["-m", "pip", "install", "--quiet", "--no-input", "-r"]).arg(&list);
    if !step::run("python packages", &mut fetch)?.passed {
        bail!("the Python packages of the tests could not be installed");
    }
    fs::write(&stamp, wanted).with_context(|| format!("writing {}", stamp.display()))
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}
