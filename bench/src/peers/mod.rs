//! What a team would use instead, in the same run on the same machine. Each peer is a program of
//! its own under `bench/peers/`, with its own lock file.

mod rules;

use crate::setting::Setting;

/// Run these, or all.
///
/// # Errors
/// One of them cannot be built or measured.
pub(crate) fn run(setting: &Setting, names: &[&str]) -> anyhow::Result<()> {
    let wanted = |name: &str| names.is_empty() || names.contains(&name);
    println!("{}\n", setting.machine.shown());
    if wanted("rules") {
        rules::run(setting)?;
    }
    Ok(())
}
