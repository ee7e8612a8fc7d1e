//! `cargo xtask bench`: build the server and the bench as they are released, and run the bench.

use std::process::Command;

use anyhow::bail;

use crate::{cargo, root, target};

/// Build and run. Everything given goes on to the bench. False: it could not measure all.
///
/// # Errors
/// Something does not build or cannot be started.
pub(crate) fn run(arguments: &[String]) -> anyhow::Result<bool> {
    let mut compile = Command::new(cargo());
    compile.current_dir(root()).args(["build", "--release", "--locked"]);
    compile.args(["-p", "tidings", "--bin", "tidings", "-p", "tidings-bench", "--bin", "bench"]);
    if !compile.status()?.success() {
        bail!("the server and the bench do not build");
    }
    let folder = target().join("release");
    let mut bench = Command::new(folder.join("bench"));
    bench.args(arguments).current_dir(root()).env("TIDINGS_BINARY", folder.join("tidings"));
    Ok(bench.status()?.success())
}
