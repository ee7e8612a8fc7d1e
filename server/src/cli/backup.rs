//! `tidings backup` and `tidings restore`: everything a server knows, in one file.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Subcommand;
use store::log::LogError;

use super::client::Target;
use crate::backup::{self, Manifest, Plan};
use crate::config::Config;
use crate::http::now;

#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Examples:
  tidings backup --to /backups/ --key sk_main_…       of the running server; an admin key
  tidings backup --to today.backup --data /var/lib/tidings    of a server that is stopped
  tidings backup verify today.backup

With a key the running server is asked, which goes on meanwhile. Without one the data folder is
read, and no server may run on it."
)]
pub(crate) struct Backup {
    /// The file to write, or a folder, in which it gets a name with its time and position.
    #[arg(long, value_name = "FILE|FOLDER", required = true)]
    to: Option<PathBuf>,
    #[command(flatten)]
    target: Target,
    #[command(subcommand)]
    command: Option<BackupCommand>,
}

#[derive(Debug, Subcommand)]
enum BackupCommand {
    /// Read a backup from its first byte to its last, and say what is in it.
    #[command(after_help = "Example:
  tidings backup verify today.backup")]
    Verify {
        /// The backup.
        file: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tidings restore today.backup --data /var/lib/tidings
  tidings restore today.backup --data copy --without-keys    for somebody else to look at

The folder must be new or empty. The first start computes the state from the log.")]
pub(crate) struct Restore {
    /// The backup.
    file: PathBuf,
    /// Leave out the keys of the API and the secret of the links: the first start makes new ones.
    #[arg(long)]
    without_keys: bool,
}

impl Backup {
    pub(crate) async fn run(&self, config: &Config) -> anyhow::Result<()> {
        if let Some(BackupCommand::Verify { file }) = &self.command {
            println!("{}, sound", about(&backup::verify(file)?));
            return Ok(());
        }
        let Some(to) = &self.to else { bail!("--to names the file or folder to write") };
        let folder = to.is_dir() || to.as_os_str().to_string_lossy().ends_with('/');
        let place = if folder { to.join("tidings.part") } else { part_of(to) };
        if !folder && to.exists() {
            bail!("{} is there already; backups are not overwritten", to.display());
        }
        let written = self.write(config, &place).await;
        // Read again: what stands in the file is what counts, not what was meant to.
        let checked = written.and_then(|()| backup::verify(&place));
        let manifest = match checked {
            Ok(manifest) => manifest,
            Err(error) => {
                std::fs::remove_file(&place).ok();
                return Err(error);
            }
        };
        let path = if folder { to.join(name_of(&manifest)) } else { to.clone() };
        std::fs::rename(&place, &path).with_context(|| format!("naming {}", path.display()))?;
        println!("{} in {}", about(&manifest), path.display());
        Ok(())
    }

    async fn write(&self, config: &Config, place: &Path) -> anyhow::Result<()> {
        let mut out = private(place).with_context(|| format!("making {}", place.display()))?;
        if self.target.has_key() {
            self.target.client()?.download("/api/v1/backup", &mut out).await?;
        } else {
            offline(&config.data, &mut out)?;
        }
        out.into_inner()?.sync_all()?;
        Ok(())
    }
}

impl Restore {
    pub(crate) fn run(&self, config: &Config) -> anyhow::Result<()> {
        let manifest = backup::restore(&self.file, &config.data, !self.without_keys)?;
        println!("{} restored to {}", about(&manifest), config.data.display());
        Ok(())
    }
}

/// Of a folder that nobody has open.
fn offline(data: &Path, out: &mut impl std::io::Write) -> anyhow::Result<()> {
    let log = data.join("log");
    if !log.is_dir() {
        bail!("there is no log at {}; --data names the data folder", log.display());
    }
    let closed = match store::log::closed(&log) {
        Ok(closed) => closed,
        Err(LogError::Locked { .. }) => bail!(
            "a server runs on {}; ask it for the backup with its --url and an admin --key",
            data.display()
        ),
        Err(error) => return Err(error).context("a damaged log is not backed up"),
    };
    let plan = Plan::new(data, &closed.cut, now().to_rfc3339())?;
    plan.write(out).with_context(|| format!("copying {}", data.display()))
}

/// A new file that only its owner reads: there are customers in it.
fn private(path: &Path) -> std::io::Result<BufWriter<File>> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    Ok(BufWriter::with_capacity(256 * 1024, options.open(path)?))
}

fn part_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

fn name_of(manifest: &Manifest) -> String {
    format!("tidings-{}-{}.backup", manifest.made_at.replace(':', "-"), manifest.end)
}

fn about(manifest: &Manifest) -> String {
    let Manifest { made_at, begin, end, parts, .. } = manifest;
    let segments = parts.iter().filter(|part| part.name.starts_with("log/")).count();
    let bytes: u64 = parts.iter().map(|part| part.bytes).sum();
    format!(
        "backup of {made_at}: log positions {begin} to {end}, {segments} segments, {bytes} bytes"
    )
}
