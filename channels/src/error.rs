//! What can be wrong with a configuration, each naming the setting.

use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error(
        "smtp host {host} would be reached without encryption; use starttls or tls, or set allow_plaintext"
    )]
    PlaintextSmtp { host: String },

    #[error("smtp: {setting} is not usable: {reason}")]
    Smtp { setting: &'static str, reason: String },

    #[error("dkim key of {domain} (selector {selector}): {reason}")]
    Dkim { domain: String, selector: String, reason: String },

    #[error("outbox folder {} cannot be created", path.display())]
    Folder { path: PathBuf, source: std::io::Error },

    #[error("webhook client cannot be built")]
    WebhookClient { source: reqwest::Error },
}
