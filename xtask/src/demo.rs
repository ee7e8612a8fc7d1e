//! `cargo demo` and `cargo dev`: build everything and run the server's own demo.

use std::process::Command;

use anyhow::bail;

use crate::{cargo, root, target};

/// Which build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Build {
    /// Quick to build.
    Debug,
    /// Quick to run.
    Release,
}

/// Build the server and run `tidings demo`. `--debug` asks for the debug build; everything else
/// goes on to the server. False: the demo ended with an error.
///
/// # Errors
/// Something does not build or cannot be started.
pub(crate) fn run(arguments: &[String], build: Build) -> anyhow::Result<bool> {
    let debug = build == Build::Debug || arguments.iter().any(|argument| argument == "--debug");
    build_web_parts()?;
    let mut compile = Command::new(cargo());
    compile.current_dir(root()).args(["build", "--workspace", "--locked", "--bin", "tidings"]);
    if !debug {
        compile.arg("--release");
    }
    if !compile.status()?.success() {
        bail!("the server does not build");
    }
    let folder = target().join(if debug { "debug" } else { "release" });
    let passed_on = arguments.iter().filter(|argument| *argument != "--debug");
    let status = Command::new(folder.join("tidings")).arg("demo").args(passed_on).status()?;
    Ok(status.success())
}

/// Build the web parts that the server serves, once there are some: `dashboard/` counts when it
/// has a package.json.
fn build_web_parts() -> anyhow::Result<()> {
    let dashboard = root().join("dashboard");
    if !dashboard.join("package.json").exists() {
        return Ok(());
    }
    for arguments in [["ci", "--no-audit"].as_slice(), &["run", "build"]] {
        if !Command::new("npm").args(arguments).current_dir(&dashboard).status()?.success() {
            bail!("npm {} failed in dashboard/", arguments.join(" "));
        }
    }
    Ok(())
}
