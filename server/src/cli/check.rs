//! `tidings check`: read the whole log and say whether it is sound.

use anyhow::{Context as _, bail};

use crate::config::Config;

pub(crate) fn run(config: &Config) -> anyhow::Result<()> {
    let folder = config.data.join("log");
    if !folder.is_dir() {
        bail!("there is no log at {}; --data names the data folder", folder.display());
    }
    let report = store::log::verify(&folder)
        .with_context(|| format!("checking the log in {}", folder.display()))?;
    println!("{} records in {} segments, sound", report.records, report.segments);
    if report.torn_bytes > 0 {
        let bytes = report.torn_bytes;
        println!("{bytes} bytes of an unfinished write at the end; the next start cuts them off");
    }
    Ok(())
}
