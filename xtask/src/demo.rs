//! `cargo demo`: build everything and run the server's own demo.
//!
//! It is the debug build: that takes two minutes instead of eight, shares what it compiled with
//! the tests, and plays the shop's thirty days in a few seconds all the same.

use std::process::Command;

use anyhow::bail;

use crate::{cargo, root, target};

const RELEASE: &str = "--release";

/// Build the server and run `tidings demo`. `--release` asks for the release build; everything else
/// goes on to the server. False: the demo ended with an error.
///
/// # Errors
/// Something does not build or cannot be started.
pub(crate) fn run(arguments: &[String]) -> anyhow::Result<bool> {
    let release = arguments.iter().any(|argument| argument == RELEASE);
    build_web_parts()?;
    let mut compile = Command::new(cargo());
    compile.current_dir(root()).args(["build", "--workspace", "--locked", "--bin", "tidings"]);
    if release {
        compile.arg(RELEASE);
    }
    if !compile.status()?.success() {
        bail!("the server does not build");
    }
    let folder = target().join(if release { "release" } else { "debug" });
    let passed_on = arguments.iter().filter(|argument| *argument != RELEASE);
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
