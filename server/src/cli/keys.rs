//! `tidings keys`: works on the file in the data folder; a running server sees it within a second.

use anyhow::{Context as _, bail};
use clap::Subcommand;

use crate::config::Config;
use crate::keys::{KeyKind, Keys as KeyFile};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tidings keys list
  tidings keys create                        a public key of the project main
  tidings keys create --secret --project shop
  tidings keys create --admin                may also make and list projects
  tidings keys revoke key_3fK9aQ2x")]
pub(crate) struct Keys {
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// Show the keys; secret ones only by their beginning.
    #[command(after_help = "Example:
  tidings keys list --data /var/lib/tidings")]
    List,
    /// Make a key and print it, once.
    #[command(after_help = "Examples:
  tidings keys create                        a public key: sends events, reads the inbox
  tidings keys create --secret               a secret key: the REST API of the project
  tidings keys create --admin                may also make projects and look at the outbox")]
    Create {
        /// The project it opens.
        #[arg(long, default_value = "main")]
        project: String,
        /// A secret key, for servers.
        #[arg(long)]
        secret: bool,
        /// A secret key that may also make and list projects.
        #[arg(long, conflicts_with = "secret")]
        admin: bool,
    },
    /// Take a key back.
    #[command(after_help = "Example:
  tidings keys revoke key_3fK9aQ2x

A running server refuses it within a second.")]
    Revoke {
        /// The id (key_…) or the key itself.
        key: String,
    },
}

impl Keys {
    pub(crate) fn run(&self, config: &Config) -> anyhow::Result<()> {
        let folder = config.data.display();
        if !config.data.is_dir() {
            bail!("there is no data folder at {folder}; --data names it, tidings serve makes it");
        }
        let keys = KeyFile::open(&config.data).with_context(|| format!("opening {folder}"))?;
        match &self.command {
            KeysCommand::List => {
                let rows = keys.list();
                if rows.is_empty() {
                    println!("no keys yet; tidings keys create makes one");
                }
                for row in rows {
                    let kind = kind_name(row.kind);
                    println!(
                        "{}  {kind:<6}  {}  {}  {}",
                        row.id, row.project, row.created_at, row.shown
                    );
                }
            }
            KeysCommand::Create { project, secret, admin } => {
                let kind = match (admin, secret) {
                    (true, _) => KeyKind::Admin,
                    (false, true) => KeyKind::Secret,
                    (false, false) => KeyKind::Public,
                };
                let known = keys.list().iter().any(|row| row.project == *project);
                if !known {
                    eprintln!(
                        "No other key opens the project {project:?}. It must exist: tidings serve"
                    );
                    eprintln!("makes `main`, and an admin key makes others over the API.");
                }
                println!("{}", keys.create(project, kind, &crate::http::now().to_rfc3339())?);
            }
            KeysCommand::Revoke { key } => {
                if !keys.revoke(key)? {
                    bail!("there is no such key; see tidings keys list");
                }
                println!("revoked");
            }
        }
        Ok(())
    }
}

fn kind_name(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::Public => "public",
        KeyKind::Secret => "secret",
        KeyKind::Admin => "admin",
    }
}
