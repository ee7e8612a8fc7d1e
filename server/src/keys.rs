//! The keys of the API: who may call, for which project, and what.
//!
//! They live in `keys.json` in the data folder, next to the log and not in it: a key is about this
//! installation, and the log alone should not bring a revoked key back. Public keys
//! stand there in the clear (they stand in every web page anyway), secret ones as their SHA-256;
//! 142 random bits need no slow hash. `tidings keys` may change the file while the server runs, so
//! a lookup sees to it, at most once a second, that it holds the newest.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::RwLock;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::secret;

const FILE: &str = "keys.json";
const LETTERS: usize = 24;
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyKind {
    /// In web pages and apps: sends events and uses the in-app inbox.
    Public,
    /// On servers: everything in its project.
    Secret,
    /// On servers: everything in its project, and making and listing projects.
    Admin,
}

/// A key as it stands in the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyRow {
    /// How people speak of it: `key_` and eight letters.
    pub id: String,
    /// The project it belongs to.
    pub project: String,
    /// What it is for.
    pub kind: KeyKind,
    /// A public key in the clear; the beginning of a secret one, so that it can be recognized.
    pub shown: String,
    /// SHA-256 of the whole key.
    pub sha256: String,
    /// When it was made.
    pub created_at: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct KeyFile {
    version: u32,
    keys: Vec<KeyRow>,
}

/// All keys of the installation.
#[derive(Debug)]
pub struct Keys {
    path: PathBuf,
    held: RwLock<Held>,
}

#[derive(Debug)]
struct Held {
    file: KeyFile,
    changed: Option<SystemTime>,
    looked: Instant,
}

impl Keys {
    /// The keys of a data folder; none when there is no file yet.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn open(folder: &Path) -> anyhow::Result<Keys> {
        let path = folder.join(FILE);
        let (file, changed) = read(&path)?;
        let held = RwLock::new(Held { file, changed, looked: Instant::now() });
        Ok(Keys { path, held })
    }

    /// The row of a key somebody showed.
    pub fn find(&self, key: &str) -> Option<KeyRow> {
        self.look_again();
        let sha256 = secret::sha256_hex(key.as_bytes());
        let held = self.held.read().ok()?;
        // The hash is compared, not the key: how long this takes tells nothing about the key.
        held.file.keys.iter().find(|row| row.sha256 == sha256).cloned()
    }

    /// All rows, oldest first.
    pub fn list(&self) -> Vec<KeyRow> {
        self.look_again();
        self.held.read().map(|held| held.file.keys.clone()).unwrap_or_default()
    }

    /// Make a key. The text is returned this once; of a secret key only the hash is kept.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn create(&self, project: &str, kind: KeyKind, now: &str) -> anyhow::Result<String> {
        let prefix = match kind {
            KeyKind::Public => "pk",
            KeyKind::Secret | KeyKind::Admin => "sk",
        };
        let key = format!("{prefix}_{project}_{}", secret::random_text(LETTERS));
        let shown = match kind {
            KeyKind::Public => key.clone(),
            KeyKind::Secret | KeyKind::Admin => {
                format!("{}…", key.get(..key.len() - LETTERS + 4).unwrap_or_default())
            }
        };
        let row = KeyRow {
            id: format!("key_{}", secret::random_text(8)),
            project: project.to_owned(),
            kind,
            shown,
            sha256: secret::sha256_hex(key.as_bytes()),
            created_at: now.to_owned(),
        };
        self.change(|keys| {
            keys.push(row);
            true
        })?;
        Ok(key)
    }

    /// Take a key back, by its id or by the key itself. False: there is none.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn revoke(&self, id_or_key: &str) -> anyhow::Result<bool> {
        let sha256 = secret::sha256_hex(id_or_key.as_bytes());
        self.change(|keys| {
            let before = keys.len();
            keys.retain(|row| row.id != id_or_key && row.sha256 != sha256);
            keys.len() < before
        })
    }

    /// Change the newest file there is; `act` says whether something changed.
    fn change(&self, act: impl FnOnce(&mut Vec<KeyRow>) -> bool) -> anyhow::Result<bool> {
        let mut held = self.held.write().map_err(|_| anyhow::anyhow!("the keys are poisoned"))?;
        let (mut file, _) = read(&self.path)?;
        let changed = act(&mut file.keys);
        if changed {
            write(&self.path, &file)?;
        }
        let (file, at) = read(&self.path)?;
        *held = Held { file, changed: at, looked: Instant::now() };
        Ok(changed)
    }

    fn look_again(&self) {
        let due = self.held.read().is_ok_and(|held| held.looked.elapsed() >= LOOK_AGAIN);
        if !due {
            return;
        }
        let Ok(mut held) = self.held.write() else { return };
        held.looked = Instant::now();
        if modified(&self.path) == held.changed {
            return;
        }
        match read(&self.path) {
            Ok((file, changed)) => (held.file, held.changed) = (file, changed),
            Err(cause) => tracing::error!(%cause, "keys.json cannot be read; the old keys stay"),
        }
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|data| data.modified()).ok()
}

fn read(path: &Path) -> anyhow::Result<(KeyFile, Option<SystemTime>)> {
    let changed = modified(path);
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok((KeyFile { version: 1, keys: Vec::new() }, None));
        }
        Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
    };
    let file =
        serde_json::from_str(&text).with_context(|| format!("reading {}", path.display()))?;
    Ok((file, changed))
}

fn write(path: &Path, file: &KeyFile) -> anyhow::Result<()> {
    let text = serde_json::to_vec_pretty(file)?;
    write_private(path, &text).with_context(|| format!("writing {}", path.display()))
}

/// Replace a file as a whole, readable by its owner only: there is the old one or the new one,
/// whenever the power fails.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let temporary = path.with_extension("tmp");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)?;
    match path.parent() {
        Some(folder) => std::fs::File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_until_they_are_revoked() {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::open(folder.path()).unwrap();
        let public = keys.create("main", KeyKind::Public, "now").unwrap();
        let secret = keys.create("main", KeyKind::Secret, "now").unwrap();
        assert!(public.starts_with("pk_main_") && public.len() == "pk_main_".len() + 24);
        assert_eq!(keys.find(&public).unwrap().kind, KeyKind::Public);
        let again = Keys::open(folder.path()).unwrap();
        assert_eq!(again.find(&secret).unwrap().kind, KeyKind::Secret);
        assert!(again.revoke(&public).unwrap());
        assert!(!again.revoke(&public).unwrap());
        assert!(again.find(&public).is_none());
        assert!(again.find("").is_none());
    }

    #[test]
    fn secret_keys_are_not_on_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::open(folder.path()).unwrap();
        let secret = keys.create("main", KeyKind::Secret, "now").unwrap();
        let text = std::fs::read_to_string(folder.path().join(FILE)).unwrap();
        assert!(!text.contains(&secret));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
