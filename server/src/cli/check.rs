//! `tidings check`: read the whole log and say whether it is sound.

use anyhow::Context as _;

use crate::config::Config;

pub(crate) fn run(config: &Config) -> anyhow::Result<()> {
    let folder = config.data.join("log");
    let report = store::log::verify(&folder)
        .with_context(|| format!("the log in {} is not sound", folder.display()))?;
    println!("{} records in {} segments, sound", report.records, report.segments);
    if report.torn_bytes > 0 {
        let bytes = report.torn_bytes;
        println!("{bytes} bytes of an unfinished write at the end; the next start cuts them off");
    }
    Ok(())
}
