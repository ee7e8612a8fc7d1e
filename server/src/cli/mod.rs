//! The command line: the server itself, its keys, and everything the API does for files and scripts.

mod check;
mod client;
mod demo;
mod explain;
mod export;
mod import;
mod keys;
mod outreach;

use std::process::ExitCode;

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
            Command::Explain(command) => runtime()?.block_on(command.run()),
            Command::Outreach(command) => runtime()?.block_on(command.run()),
            Command::Import(command) => runtime()?.block_on(command.run()),
            Command::Export(command) => runtime()?.block_on(command.run()),
        }
    }
}

/// EX_TEMPFAIL: what runs the server may start it again, and the log then says what it found.
const DISK_FAILED: u8 = 75;

/// 75 when the disk has failed and the log has stopped, else 1.
pub fn exit_code(error: &anyhow::Error) -> ExitCode {
    let has_stopped = |cause: &(dyn std::error::Error + 'static)| {
        let opening = cause.downcast_ref::<host::OpenError>();
        cause.is::<crate::http::HostStopped>()
            || matches!(opening, Some(host::OpenError::Log(store::log::LogError::Poisoned { .. })))
    };
    match error.chain().any(has_stopped) {
        true => ExitCode::from(DISK_FAILED),
        false => ExitCode::FAILURE,
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
