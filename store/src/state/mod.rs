//! The state: what the log adds up to, kept for speed in a rented store (fjall), and never the truth.
//!
//! It runs in buffered mode: a batch is atomic and survives the death of the process, but a power cut may take the
//! newest batches away, always from the end. So a batch that carries its applied log position can be trusted, and
//! start-up applies the log again from there. Whoever writes it must not run ahead of the log: only what is durable
//! there belongs in a batch.
//!
//! When it does not open, or was written in another format, it is set aside and computed again. There is no migration,
//! and its format is no promise to anybody.
//!
//! A reader beside the writer sees each key whole, but may see half of a batch that is being committed in that moment;
//! what must be read together belongs into one row.

mod error;
mod keyspaces;

pub use error::StateError;
pub use fjall::Slice;
pub use keyspaces::Keyspace;

use std::io::{self, ErrorKind};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, mem};

use fjall::{Database, PersistMode};

/// A change to the shape of any row or to the tuning of a keyspace is a new number: old states are rebuilt.
const STATE_FORMAT: &str = "tidings state, format 2\n";
const FORMAT: &str = "FORMAT";
const DATABASE: &str = "fjall";

/// Small, because the customers that matter are cached in front of it.
const BLOCK_CACHE_BYTES: u64 = 8 * 1024 * 1024;
/// The least that fjall allows; it bounds what is replayed at start.
const JOURNAL_BYTES: u64 = 64 * 1024 * 1024;
/// One to flush while the other compacts.
const WORKERS: usize = 2;
const MAX_OPEN_FILES: usize = 200;
const MAX_KEY_BYTES: usize = u16::MAX as usize;

/// The state, opened. Clones are cheap and share it.
#[derive(Clone)]
pub struct State {
    database: Database,
    /// In the order of `Keyspace::ALL`.
    keyspaces: Arc<[fjall::Keyspace]>,
}

/// Changes that come to be all or not at all.
pub struct Batch {
    changes: fjall::OwnedWriteBatch,
    keyspaces: Arc<[fjall::Keyspace]>,
    bad_key: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Forward,
    Reverse,
}

impl State {
    /// Opens the state in `dir`, or makes an empty one there.
    pub fn open(dir: &Path) -> Result<State, StateError> {
        let exists = dir.try_exists().map_err(|source| StateError::Io {
            doing: "look at",
            dir: dir.to_owned(),
            source,
        })?;
        if exists {
            check_format(dir)?;
        } else {
            create(dir)?;
        }
        open_database(dir, &dir.join(DATABASE))
    }

    /// Moves an unusable state out of the way (for whoever wants to know what happened) and answers where it is now.
    pub fn set_aside(dir: &Path) -> io::Result<PathBuf> {
        let name = dir.file_name().ok_or_else(|| {
            io::Error::new(ErrorKind::InvalidInput, "the state's folder has no name")
        })?;
        for number in 1..=u32::MAX {
            let mut bad = name.to_owned();
            bad.push(format!(".bad-{number}"));
            let bad = dir.with_file_name(bad);
            if !bad.try_exists()? {
                fs::rename(dir, &bad)?;
                return Ok(bad);
            }
        }
        Err(io::Error::new(ErrorKind::AlreadyExists, "too many states were set aside here"))
    }

    pub fn get(&self, keyspace: Keyspace, key: &[u8]) -> Result<Option<Slice>, StateError> {
        self.keyspace(keyspace).get(key).map_err(read_error(keyspace))
    }

    /// Like `get` for whoever needs no value.
    pub fn contains(&self, keyspace: Keyspace, key: &[u8]) -> Result<bool, StateError> {
        self.keyspace(keyspace).contains_key(key).map_err(read_error(keyspace))
    }

    /// All rows whose key begins with `prefix`. The rows are those of the moment of the call.
    pub fn scan_prefix(
        &self,
        keyspace: Keyspace,
        prefix: &[u8],
        order: Order,
    ) -> impl Iterator<Item = Result<(Slice, Slice), StateError>> + use<> {
        rows(self.keyspace(keyspace).prefix(prefix), keyspace, order)
    }

    /// All rows from a key on (inclusive), up to another one (exclusive).
    pub fn range(
        &self,
        keyspace: Keyspace,
        keys: Range<&[u8]>,
        order: Order,
    ) -> impl Iterator<Item = Result<(Slice, Slice), StateError>> + use<> {
        // The rented store panics on a range that ends before it begins; here that is a range without rows.
        let rows_exist = keys.start < keys.end;
        let end = if rows_exist { keys.end } else { keys.start };
        rows(self.keyspace(keyspace).range(keys.start..end), keyspace, order)
    }

    pub fn batch(&self) -> Batch {
        Batch { changes: self.database.batch(), keyspaces: self.keyspaces.clone(), bad_key: None }
    }

    /// Brings everything to the disk; for shutdown, so that the next start has nothing to apply again.
    pub fn sync(&self) -> Result<(), StateError> {
        self.database.persist(PersistMode::SyncAll).map_err(|source| StateError::Sync { source })
    }

    /// Bytes on the disk, journals included.
    pub fn disk_bytes(&self) -> Result<u64, StateError> {
        self.database.disk_space().map_err(|source| StateError::Sync { source })
    }

    fn keyspace(&self, keyspace: Keyspace) -> &fjall::Keyspace {
        &self.keyspaces[keyspace as usize]
    }
}

impl Batch {
    pub fn put(&mut self, keyspace: Keyspace, key: &[u8], value: &[u8]) {
        if self.takes(key) {
            self.changes.insert(&self.keyspaces[keyspace as usize], key, value);
        }
    }

    pub fn delete(&mut self, keyspace: Keyspace, key: &[u8]) {
        if self.takes(key) {
            self.changes.remove(&self.keyspaces[keyspace as usize], key);
        }
    }

    pub fn len(&self) -> usize {
        self.changes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Visible to all readers and safe from the death of the process when this returns. It may wait while the store
    /// catches up with its compaction.
    pub fn commit(self) -> Result<(), StateError> {
        if let Some(bytes) = self.bad_key {
            return Err(StateError::BadKey { bytes, limit: MAX_KEY_BYTES });
        }
        let operations = self.changes.len();
        self.changes.commit().map_err(|source| StateError::Write { operations, source })
    }

    /// The rented store panics on a key that it does not take; a batch with one is refused as a whole instead.
    fn takes(&mut self, key: &[u8]) -> bool {
        let taken = (1..=MAX_KEY_BYTES).contains(&key.len());
        if !taken {
            self.bad_key = Some(key.len());
        }
        taken
    }
}

fn rows(
    rows: fjall::Iter,
    keyspace: Keyspace,
    order: Order,
) -> impl Iterator<Item = Result<(Slice, Slice), StateError>> + use<> {
    let mut rows = rows;
    std::iter::from_fn(move || {
        let row = match order {
            Order::Forward => rows.next(),
            Order::Reverse => rows.next_back(),
        };
        row.map(|row| row.into_inner().map_err(read_error(keyspace)))
    })
}

fn read_error(keyspace: Keyspace) -> impl FnOnce(fjall::Error) -> StateError {
    move |source| StateError::Read { keyspace: keyspace.name(), source }
}

fn check_format(dir: &Path) -> Result<(), StateError> {
    let unusable = |why: &str| StateError::Unusable { dir: dir.to_owned(), why: why.to_owned() };
    match fs::read(dir.join(FORMAT)) {
        Ok(found) if found == STATE_FORMAT.as_bytes() => Ok(()),
        Ok(_) => Err(unusable("it was written by another version")),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(unusable("its FORMAT file is missing"))
        }
        Err(source) => {
            Err(StateError::Io { doing: "read the format of", dir: dir.to_owned(), source })
        }
    }
}

/// Under a temporary name first: fjall cannot open what an interrupted first start has left.
fn create(dir: &Path) -> Result<(), StateError> {
    let failed = |doing| move |source| StateError::Io { doing, dir: dir.to_owned(), source };
    let mut name = dir.as_os_str().to_owned();
    name.push(".tmp");
    let building = PathBuf::from(name);
    match fs::remove_dir_all(&building) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(failed("clear the way for")(error));
        }
        Ok(()) | Err(_) => {}
    }
    fs::create_dir_all(&building).map_err(failed("create"))?;
    let state = open_database(dir, &building.join(DATABASE))?;
    state.sync()?;
    mem::drop(state);
    fs::write(building.join(FORMAT), STATE_FORMAT).map_err(failed("create"))?;
    for path in [&building.join(FORMAT), &building] {
        fs::File::open(path).and_then(|file| file.sync_all()).map_err(failed("create"))?;
    }
    fs::rename(&building, dir).map_err(failed("create"))
}

/// `dir` is for the error's words.
fn open_database(dir: &Path, database: &Path) -> Result<State, StateError> {
    // A store that is damaged in a way that its authors did not foresee panics; for us that is one more way of being
    // unusable, not a reason to die.
    let opened = catch_unwind(AssertUnwindSafe(|| -> fjall::Result<State> {
        let database = Database::builder(database)
            .cache_size(BLOCK_CACHE_BYTES)
            .max_journaling_size(JOURNAL_BYTES)
            .worker_threads(WORKERS)
            .max_cached_files(Some(MAX_OPEN_FILES))
            .open()?;
        let mut keyspaces = Vec::new();
        for keyspace in Keyspace::ALL {
            keyspaces.push(database.keyspace(keyspace.name(), || keyspace.options())?);
        }
        Ok(State { database, keyspaces: keyspaces.into() })
    }));
    match opened {
        Ok(Ok(state)) => Ok(state),
        Ok(Err(fjall::Error::Locked)) => Err(StateError::Locked { dir: dir.to_owned() }),
        Ok(Err(fjall::Error::Io(source) | fjall::Error::Storage(fjall::LsmError::Io(source))))
            if !is_damage(&source) =>
        {
            Err(StateError::Io { doing: "open", dir: dir.to_owned(), source })
        }
        Ok(Err(error)) => Err(StateError::Unusable { dir: dir.to_owned(), why: error.to_string() }),
        Err(_) => Err(StateError::Unusable {
            dir: dir.to_owned(),
            why: "it made the store panic".to_owned(),
        }),
    }
}

/// A missing or shortened file is damage, which a rebuild heals; a full disk or a missing permission is not.
fn is_damage(error: &io::Error) -> bool {
    match error.kind() {
        ErrorKind::NotFound
        | ErrorKind::UnexpectedEof
        | ErrorKind::InvalidData
        | ErrorKind::InvalidInput => true,
        ErrorKind::AlreadyExists | ErrorKind::IsADirectory | ErrorKind::NotADirectory => true,
        // EIO has no kind of its own; the medium is bad there, and other blocks may be good.
        _ => error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()),
    }
}
