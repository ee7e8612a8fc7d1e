//! The folder that stands in for every provider in development, and the list that does so in tests.
//!
//! A file is written under a temporary name and then renamed, so a reader never sees half of one.
//! The name comes from the delivery, so sending the same delivery again overwrites its own file.

use std::path::PathBuf;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Attempt, ConfigError, Outgoing, Sent};

/// Two writers of the same delivery must not share a temporary file.
static NEXT_TEMPORARY: AtomicU64 = AtomicU64::new(0);

#[derive(Debug)]
pub(crate) struct Outbox {
    folder: PathBuf,
}

impl Outbox {
    pub(crate) fn open(folder: PathBuf) -> Result<Outbox, ConfigError> {
        std::fs::create_dir_all(&folder)
            .map_err(|source| ConfigError::Folder { path: folder.clone(), source })?;
        Ok(Outbox { folder })
    }

    /// Writes one file. The caller has checked that `name` is a plain file name.
    pub(crate) async fn put(&self, name: &str, content: &[u8]) -> Attempt {
        let number = NEXT_TEMPORARY.fetch_add(1, Ordering::Relaxed);
        let temporary = self.folder.join(format!(".{name}.{}-{number}.tmp", std::process::id()));
        let written = match tokio::fs::write(&temporary, content).await {
            Ok(()) => tokio::fs::rename(&temporary, self.folder.join(name)).await,
            Err(error) => Err(error),
        };
        match written {
            Ok(()) => Attempt::accepted(name),
            Err(error) => {
                // The first error is the one to report; a leftover temporary file harms nobody.
                let _ = tokio::fs::remove_file(&temporary).await;
                Attempt::retry(format!("the outbox file could not be written: {error}"))
            }
        }
    }

    pub(crate) async fn put_json(&self, name: &str, content: &serde_json::Value) -> Attempt {
        self.put(name, format!("{content:#}\n").as_bytes()).await
    }
}

/// The memory back end.
pub(crate) fn remember(sent: &Sent, outgoing: Outgoing, delivery_id: &str) -> Attempt {
    sent.lock().unwrap_or_else(PoisonError::into_inner).push(outgoing);
    Attempt::accepted(delivery_id)
}
