//! `tidings keys`: works on the file in the data folder; a running server sees it within a second.

use anyhow::bail;
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
    List,
    /// Make a key and print it, once.
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
    Revoke {
        /// The id (key_…) or the key itself.
        key: String,
    },
}

impl Keys {
    pub(crate) fn run(&self, config: &Config) -> anyhow::Result<()> {
        std::fs::create_dir_all(&config.data)?;
        let keys = KeyFile::open(&config.data)?;
        match &self.command {
            KeysCommand::List => {
                for row in keys.list() {
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
