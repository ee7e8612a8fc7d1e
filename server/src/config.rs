//! What the operator decides, in small structs by area. Every key has a default.
//!
//! Later wins: the defaults, `tidings.toml`, the environment (`TIDINGS_LISTEN`,
//! `TIDINGS_EMAIL__HOST`: two underscores go one level down), flags. A key that nobody knows is an
//! error, since a misspelt setting would silently stay at its default.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use channels::{
    Credentials, DkimKey, EmailBackend, ParcelBackend, Secret, Security, SmtpConfig,
    WebhookBackend, WebhookConfig,
};
use serde::{Deserialize, Serialize};

use crate::listen::Patience;

/// The flags stand in every command's help; only these look at them.
const SERVER: &str = "For serve, demo, keys and check";
const MASK: &str = "********";

/// Everything.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The folder of the log, the state and the keys.
    pub data: PathBuf,
    /// Where to listen.
    pub listen: SocketAddr,
    /// How customers reach this server; stands in the links of mails. Left out: `localhost` and
    /// the port, which is only good for looking at.
    pub base_url: String,
    /// What is logged.
    pub log: Log,
    /// How mail leaves.
    pub email: EmailSettings,
    /// How webhooks leave.
    pub webhook: WebhookSettings,
    /// How deliveries are worked off.
    pub dispatch: Dispatch,
    /// How much may wait to be accepted.
    pub queue: Queue,
    /// How often the state is written.
    pub checkpoint: Checkpoint,
    /// How long clients may take; not a setting, so that nobody tunes it until it hurts.
    #[serde(skip)]
    pub patience: Patience,
}

/// How much may wait to be accepted; what comes beyond it is answered 429.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Queue {
    /// Events, attribute writes and other commands.
    pub commands: usize,
    /// Their bytes.
    pub bytes: usize,
}

/// How often the state is written: how much a start after a crash has to read again.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Checkpoint {
    /// Milliseconds between two of them while anything happens.
    pub every_ms: u64,
}

/// What is logged.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug`, or a filter such as `server=debug`.
    pub level: String,
    /// One JSON object per line.
    pub json: bool,
}

/// How mail leaves.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmailSettings {
    /// `folder`: into the outbox of the data folder; `smtp`: to a relay.
    pub transport: Transport,
    /// The relay.
    pub host: String,
    /// Its port; by default the usual one.
    pub port: Option<u16>,
    /// `starttls`, `tls` or `plain`.
    pub security: MailSecurity,
    /// The user name at the relay.
    pub user: String,
    /// The password at the relay.
    pub password: String,
    /// A PEM file with the authority of the relay's certificate, when it is not a public one.
    pub ca_file: Option<PathBuf>,
    /// Permit `plain` to another machine.
    pub allow_plaintext: bool,
    /// Keys that sign the mail.
    pub dkim: Vec<DkimSettings>,
}

/// A key that signs mail.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DkimSettings {
    /// The domain of the sender, or a parent of it.
    pub domain: String,
    /// The name under which the public key is published.
    pub selector: String,
    /// A PEM file with the private key.
    pub key_file: PathBuf,
}

/// How webhooks leave.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebhookSettings {
    /// `folder`: into the outbox of the data folder; `http`: to their address.
    pub transport: Transport,
    /// `whsec_…`; two while rotating, none to send unsigned.
    pub secrets: Vec<String>,
    /// Reach any address. For your own network only.
    pub allow_private: bool,
    /// Permit http everywhere.
    pub allow_http: bool,
    /// Hosts that may be private and use http.
    pub allow_hosts: Vec<String>,
    /// How long an answer may take.
    pub timeout_seconds: u64,
}

/// How deliveries are worked off.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dispatch {
    /// After so long a delivery that cannot be handed over becomes a dead letter.
    pub give_up_after_hours: u32,
    /// Attempts under way at a time, per channel.
    pub attempts_per_channel: usize,
}

/// Out of the house, or into a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Transport {
    Folder,
    Smtp,
    Http,
}

/// How the connection to the relay is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum MailSecurity {
    Starttls,
    Tls,
    Plain,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            data: PathBuf::from("data"),
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            base_url: String::new(),
            log: Log::default(),
            email: EmailSettings::default(),
            webhook: WebhookSettings::default(),
            dispatch: Dispatch::default(),
            queue: Queue::default(),
            checkpoint: Checkpoint::default(),
            patience: Patience::default(),
        }
    }
}

impl Default for Queue {
    fn default() -> Queue {
        Queue { commands: host::limits::QUEUE_COMMANDS, bytes: host::limits::QUEUE_BYTES }
    }
}

impl Default for Checkpoint {
    fn default() -> Checkpoint {
        let every = host::limits::CHECKPOINT_EVERY.as_millis();
        Checkpoint { every_ms: u64::try_from(every).unwrap_or(u64::MAX) }
    }
}

impl Default for Log {
    fn default() -> Log {
        Log { level: "info,fjall=warn,lsm_tree=warn".to_owned(), json: false }
    }
}

impl Default for EmailSettings {
    fn default() -> EmailSettings {
        EmailSettings {
            transport: Transport::Folder,
            host: String::new(),
            port: None,
            security: MailSecurity::Starttls,
            user: String::new(),
            password: String::new(),
            ca_file: None,
            allow_plaintext: false,
            dkim: Vec::new(),
        }
    }
}

impl Default for WebhookSettings {
    fn default() -> WebhookSettings {
        WebhookSettings {
            transport: Transport::Folder,
            secrets: Vec::new(),
            allow_private: false,
            allow_http: false,
            allow_hosts: Vec::new(),
            timeout_seconds: 10,
        }
    }
}

impl Default for Dispatch {
    fn default() -> Dispatch {
        Dispatch {
            give_up_after_hours: 72,
            attempts_per_channel: crate::limits::ATTEMPTS_PER_CHANNEL,
        }
    }
}

/// What stands on the command line.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Flags {
    /// The file with the settings; tidings.toml in the present folder when there is one.
    #[arg(long, value_name = "FILE", env = "TIDINGS_CONFIG", global = true, help_heading = SERVER)]
    pub config: Option<PathBuf>,
    /// The data folder; `data` when left out.
    #[arg(long, value_name = "FOLDER", global = true, help_heading = SERVER)]
    pub data: Option<PathBuf>,
    /// The address to listen on; 127.0.0.1:8080 when left out.
    #[arg(long, value_name = "ADDRESS", global = true, help_heading = SERVER)]
    pub listen: Option<SocketAddr>,
    /// How customers reach this server; stands in the links of mails.
    #[arg(long, value_name = "URL", global = true, help_heading = SERVER)]
    pub base_url: Option<String>,
}

impl Config {
    /// The effective settings of this process.
    ///
    /// # Errors
    /// A file cannot be read, or a key or value makes no sense.
    pub fn load(flags: &Flags) -> anyhow::Result<Config> {
        Config::layered(flags, std::env::vars())
    }

    fn layered(
        flags: &Flags,
        environment: impl Iterator<Item = (String, String)>,
    ) -> anyhow::Result<Config> {
        let mut table = match &flags.config {
            Some(path) => read_table(path)?,
            None if Path::new("tidings.toml").exists() => read_table(Path::new("tidings.toml"))?,
            None => toml::Table::new(),
        };
        for (name, value) in environment {
            let Some(key) = name.strip_prefix("TIDINGS_") else { continue };
            // These belong to the commands that talk to a server, and to the flag above.
            if matches!(key, "CONFIG" | "URL" | "KEY") {
                continue;
            }
            let path: Vec<String> = key.split("__").map(str::to_lowercase).collect();
            put(&mut table, &path, scalar(&value))
                .with_context(|| format!("reading the environment variable {name}"))?;
        }
        let mut config: Config =
            toml::Value::Table(table).try_into().context("reading the settings")?;
        if let Some(data) = &flags.data {
            config.data.clone_from(data);
        }
        if let Some(listen) = flags.listen {
            config.listen = listen;
        }
        if let Some(base_url) = &flags.base_url {
            config.base_url.clone_from(base_url);
        }
        // Port 0 is chosen by the system; the server fills the link in when it is bound.
        if config.base_url.is_empty() && config.listen.port() != 0 {
            config.base_url = format!("http://localhost:{}", config.listen.port());
        }
        config.base_url = config.base_url.trim_end_matches('/').to_owned();
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.email.transport != Transport::Http,
            "email.transport is folder or smtp"
        );
        anyhow::ensure!(
            self.webhook.transport != Transport::Smtp,
            "webhook.transport is folder or http"
        );
        let smtp = self.email.transport == Transport::Smtp;
        anyhow::ensure!(!smtp || !self.email.host.is_empty(), "email.host is needed for smtp");
        let web = self.base_url.is_empty()
            || self.base_url.starts_with("http://")
            || self.base_url.starts_with("https://");
        anyhow::ensure!(web, "base_url begins with https:// or http://");
        anyhow::ensure!(
            self.dispatch.attempts_per_channel > 0,
            "attempts_per_channel is at least 1"
        );
        Ok(())
    }

    /// As TOML, with every secret masked: fit for a log or a ticket.
    pub fn shown(&self) -> String {
        let mut masked = self.clone();
        if !masked.email.password.is_empty() {
            MASK.clone_into(&mut masked.email.password);
        }
        for secret in &mut masked.webhook.secrets {
            MASK.clone_into(secret);
        }
        toml::to_string(&masked).unwrap_or_default()
    }

    /// Where the outbox lies.
    pub fn outbox(&self) -> PathBuf {
        self.data.join("outbox")
    }

    /// Whether anything goes into the outbox, so that it is worth showing.
    pub fn has_outbox(&self) -> bool {
        self.email.transport == Transport::Folder || self.webhook.transport == Transport::Folder
    }

    /// The settings of the channels.
    ///
    /// # Errors
    /// A key file cannot be read.
    pub fn channels(&self) -> anyhow::Result<channels::Config> {
        let mut dkim = Vec::new();
        for key in &self.email.dkim {
            let pem = std::fs::read_to_string(&key.key_file)
                .with_context(|| format!("reading {}", key.key_file.display()))?;
            dkim.push(DkimKey {
                domain: key.domain.clone(),
                selector: key.selector.clone(),
                private_key_pem: Secret::new(pem),
            });
        }
        let outbox = self.outbox();
        Ok(channels::Config {
            email: self.email_backend()?,
            dkim,
            webhook: match self.webhook.transport {
                Transport::Http => WebhookBackend::Http(WebhookConfig {
                    allow_private: self.webhook.allow_private,
                    allow_http: self.webhook.allow_http,
                    allow_hosts: self.webhook.allow_hosts.clone(),
                    ca_pem: None,
                    timeout: Duration::from_secs(self.webhook.timeout_seconds),
                }),
                Transport::Folder | Transport::Smtp => WebhookBackend::Folder(outbox.clone()),
            },
            parcel: match self.email.transport {
                Transport::Folder => ParcelBackend::Folder(outbox),
                Transport::Smtp | Transport::Http => ParcelBackend::Provider,
            },
        })
    }

    fn email_backend(&self) -> anyhow::Result<EmailBackend> {
        if self.email.transport != Transport::Smtp {
            return Ok(EmailBackend::Folder(self.outbox()));
        }
        let security = match self.email.security {
            MailSecurity::Starttls => Security::StartTls,
            MailSecurity::Tls => Security::Tls,
            MailSecurity::Plain => Security::Plain,
        };
        let mut smtp = SmtpConfig::new(self.email.host.clone(), security);
        smtp.port = self.email.port;
        smtp.allow_plaintext = self.email.allow_plaintext;
        smtp.connections = self.dispatch.attempts_per_channel;
        if !self.email.user.is_empty() {
            smtp.credentials = Some(Credentials {
                username: self.email.user.clone(),
                password: Secret::new(self.email.password.clone()),
            });
        }
        if let Some(file) = &self.email.ca_file {
            let pem = std::fs::read_to_string(file)
                .with_context(|| format!("reading email.ca_file {}", file.display()))?;
            smtp.ca_pem = Some(pem);
        }
        Ok(EmailBackend::Smtp(smtp))
    }
}

fn read_table(path: &Path) -> anyhow::Result<toml::Table> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    text.parse().with_context(|| format!("reading {}", path.display()))
}

/// A value of the environment: TOML where it is some (`true`, `25`, `["a"]`), else a text.
fn scalar(text: &str) -> toml::Value {
    let parsed: Option<toml::Table> = format!("value = {text}").parse().ok();
    parsed
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| toml::Value::String(text.to_owned()))
}

fn put(table: &mut toml::Table, path: &[String], value: toml::Value) -> anyhow::Result<()> {
    match path {
        [] => Ok(()),
        [last] => {
            table.insert(last.clone(), value);
            Ok(())
        }
        [first, rest @ ..] => {
            let inner = table
                .entry(first.clone())
                .or_insert_with(|| toml::Value::Table(toml::Table::new()));
            let inner = inner.as_table_mut().context("this key holds a value, not a group")?;
            put(inner, rest, value)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(file: &str, environment: &[(&str, &str)]) -> anyhow::Result<Config> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tidings.toml");
        std::fs::write(&path, file).unwrap();
        let flags = Flags { config: Some(path), ..Flags::default() };
        let environment =
            environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::layered(&flags, environment)
    }

    #[test]
    fn later_wins() {
        let file = "listen = \"127.0.0.1:1\"\n[email]\nhost = \"a\"\nport = 25\n";
        let environment =
            [("TIDINGS_EMAIL__HOST", "b"), ("TIDINGS_LOG__JSON", "true"), ("PATH", "x")];
        let config = load(file, &environment).unwrap();
        assert_eq!(config.listen.port(), 1);
        assert_eq!((config.email.host.as_str(), config.email.port), ("b", Some(25)));
        assert!(config.log.json);
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(load("listem = \"127.0.0.1:1\"", &[]).is_err());
        assert!(load("", &[("TIDINGS_LISTEM", "127.0.0.1:1")]).is_err());
        assert!(load("[email]\ntransport = \"smtp\"", &[]).is_err());
    }

    #[test]
    fn secrets_are_masked() {
        let file = "[email]\npassword = \"canary\"\n[webhook]\nsecrets = [\"whsec_canary\"]\n";
        let shown = load(file, &[]).unwrap().shown();
        assert!(!shown.contains("canary"), "{shown}");
        assert!(shown.contains(MASK));
    }
}
