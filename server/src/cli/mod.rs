//! The command line: the server itself, its keys, and everything the API does for files and scripts.

mod backup;
mod check;
mod client;
mod demo;
mod explain;
mod export;
mod import;
mod keys;
mod outreach;

use clap::{Parser, Subcommand};

use crate::config::{Config, Flags};

/// Event-based customer messaging: what happened, to whom, whether we say it, and why not.
#[derive(Debug, Parser)]
#[command(
    name = "tidings",
    version,
    propagate_version = true,
    after_help = "Examples:
  tidings demo                               a small shop to look at
  tidings serve --data /var/lib/tidings      the real thing
  tidings explain mara welcome --key sk_…    why somebody got a message, or did not

Every command shows examples with --help."
)]
pub struct Cli {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server.
    #[command(after_help = "Examples:
  tidings serve
  tidings serve --data /var/lib/tidings --listen 0.0.0.0:8080
  tidings serve --base-url https://messages.example.com
  TIDINGS_EMAIL__TRANSPORT=smtp TIDINGS_EMAIL__HOST=mail.example.com tidings serve

On an empty data folder the project `main` is made, and its keys are printed, once.")]
    Serve {
        /// Print the effective settings, secrets masked, and stop.
        #[arg(long)]
        print_config: bool,
    },
    /// Run the server with a living demo project.
    Demo(demo::Demo),
    /// List, make and revoke the keys of the API.
    Keys(keys::Keys),
    /// Verify the log of a data folder, from the first record to the last.
    #[command(after_help = "Examples:
  tidings check
  tidings check --data /var/lib/tidings

Stop the server first, or check a copy: one process per data folder.")]
    Check,
    /// Write everything the server knows into one file.
    Backup(backup::Backup),
    /// Make a data folder of a backup.
    Restore(backup::Restore),
    /// Why a customer did, or did not, get an outreach.
    Explain(explain::Explain),
    /// Outreaches as files: see what would change, apply it, fetch what there is.
    Outreach(outreach::Outreach),
    /// Send customers or events from a file.
    Import(import::Import),
    /// Write everything known about customers, one JSON object per line.
    Export(export::Export),
}

impl Cli {
    /// Do what the command line says.
    ///
    /// # Errors
    /// Whatever stood in the way, in words.
    pub fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Serve { print_config } => {
                let config = Config::load(&self.flags)?;
                if print_config {
                    print!("{}", config.shown());
                    return Ok(());
                }
                runtime()?.block_on(crate::serve::serve(config))
            }
            Command::Demo(command) => command.run(&self.flags),
            Command::Keys(command) => command.run(&Config::load(&self.flags)?),
            Command::Check => check::run(&Config::load(&self.flags)?),
            Command::Backup(command) => {
                let config = Config::load(&self.flags)?;
                runtime()?.block_on(command.run(&config))
            }
            Command::Restore(command) => command.run(&Config::load(&self.flags)?),
            Command::Explain(command) => runtime()?.block_on(command.run()),
            Command::Outreach(command) => runtime()?.block_on(command.run()),
            Command::Import(command) => runtime()?.block_on(command.run()),
            Command::Export(command) => runtime()?.block_on(command.run()),
        }
    }
}

/// The runtime that everything asynchronous runs on.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    // Templates render on these threads and may nest; 2 MiB is what the renderer asks for at least.
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(4 * 1024 * 1024)
        .build()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Cli::command().debug_assert();
    }
}
