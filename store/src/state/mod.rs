//! The state: what the log adds up to, kept for speed in a rented store (fjall), and never the truth.
//!
//! It runs in buffered mode: a batch is atomic and survives the death of the process, but a power cut may take the
//! newest batches away, always from the end. So a batch that carries its applied log position can be trusted, and
//! start-up applies the log again from there. Whoever writes it must not run ahead of the log: only what is durable
//! there belongs in a batch.
//!
//! That order is checked, because damage can break it: a journal that is cut loses batches of which one keyspace has
//! written a table and another has not. Each batch leaves its number in every keyspace (`MARK`), and at the start they
//! must all agree.
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
use std::sync::{Arc, Mutex, PoisonError};
use std::{fs, mem};

use fjall::{Database, PersistMode};

/// A change to the shape of any row or to the tuning of a keyspace is a new number: old states are rebuilt.
const STATE_FORMAT: &str = "tidings state, format 3\n";
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

/// In every keyspace: the number of the newest batch. Above all other keys, and not among the rows that readers see.
const MARK: &[u8] = b"\xff\xff\xff\xffbatch";

/// The state, opened. Clones are cheap and share it.
#[derive(Clone)]
pub struct State {
    database: Database,
    /// In the order of `Keyspace::ALL`.
    keyspaces: Arc<[fjall::Keyspace]>,
    /// The number of the newest batch; held while one is committed, so that numbers and batches have one order.
    newest: Arc<Mutex<u64>>,
}

/// Changes that come to be all or not at all.
pub struct Batch {
    changes: fjall::OwnedWriteBatch,
    keyspaces: Arc<[fjall::Keyspace]>,
    newest: Arc<Mutex<u64>>,
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
        let state = open_database(dir, &dir.join(DATABASE), MakeKeyspaces::No)?;
        state.check_marks(dir)?;
        Ok(state)
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
        Batch {
            changes: self.database.batch(),
            keyspaces: self.keyspaces.clone(),
            newest: self.newest.clone(),
            bad_key: None,
        }
    }

    /// Brings everything to the disk; for shutdown, so that the next start has nothing to apply again.
    pub fn sync(&self) -> Result<(), StateError> {
        self.database.persist(PersistMode::SyncAll).map_err(|source| StateError::Sync { source })
    }

    /// Bytes on the disk, journals included.
    pub fn disk_bytes(&self) -> Result<u64, StateError> {
        self.database.disk_space().map_err(|source| StateError::Sync { source })
    }

    /// All keyspaces must be as of the same batch.
    fn check_marks(&self, dir: &Path) -> Result<(), StateError> {
        let mut newest = None;
        for keyspace in Keyspace::ALL {
            // A row that cannot be read is damage too, and a state without one is where it began.
            let mark =
                self.get(keyspace, MARK).map_err(|error| unusable(dir, &error.to_string()))?;
            let mark = mark.map_or(0, |mark| {
                let mut number = [0; 8];
                let bytes = mark.len().min(8);
                number[..bytes].copy_from_slice(&mark[..bytes]);
                u64::from_be_bytes(number)
            });
            if newest.is_some_and(|newest| newest != mark) {
                let name = keyspace.name();
                return Err(unusable(
                    dir,
                    &format!("keyspace {name} is of another moment than the others"),
                ));
            }
            newest = Some(mark);
        }
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner) = newest.unwrap_or(0);
        Ok(())
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
    pub fn commit(mut self) -> Result<(), StateError> {
        if let Some(bytes) = self.bad_key {
            return Err(StateError::BadKey { bytes, limit: MAX_KEY_BYTES });
        }
        let operations = self.changes.len();
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let number = *newest + 1;
        for keyspace in self.keyspaces.iter() {
            self.changes.insert(keyspace, MARK, number.to_be_bytes());
        }
        self.changes.commit().map_err(|source| StateError::Write { operations, source })?;
        *newest = number;
        Ok(())
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
        loop {
            let row = match order {
                Order::Forward => rows.next(),
                Order::Reverse => rows.next_back(),
            };
            match row?.into_inner() {
                Ok((key, _)) if key == MARK => {}
                Ok(row) => return Some(Ok(row)),
                Err(error) => return Some(Err(read_error(keyspace)(error))),
            }
        }
    })
}

fn read_error(keyspace: Keyspace) -> impl FnOnce(fjall::Error) -> StateError {
    move |source| StateError::Read { keyspace: keyspace.name(), source }
}

fn unusable(dir: &Path, why: &str) -> StateError {
    StateError::Unusable { dir: dir.to_owned(), why: why.to_owned() }
}

fn check_format(dir: &Path) -> Result<(), StateError> {
    let unusable = |why| unusable(dir, why);
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
    let state = open_database(dir, &building.join(DATABASE), MakeKeyspaces::Yes)?;
    state.sync()?;
    mem::drop(state);
    let format = building.join(FORMAT);
    fs::write(&format, STATE_FORMAT)
        .and_then(|()| fs::File::open(&format)?.sync_all())
        .and_then(|()| sync_folders(&building))
        .and_then(|()| fs::rename(&building, dir))
        .map_err(failed("create"))?;
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
    fs::File::open(parent.unwrap_or(Path::new(".")))
        .and_then(|parent| parent.sync_all())
        .map_err(failed("create"))
}

/// The rented store does not sync the names of its keyspaces' folders, and after a power cut one of them could be
/// gone. They are made here and never again.
fn sync_folders(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_folders(&entry.path())?;
        }
    }
    fs::File::open(folder)?.sync_all()
}

/// Whether missing keyspaces are made: in a state that was there before, one that is missing is damage.
#[derive(Clone, Copy, PartialEq, Eq)]
enum MakeKeyspaces {
    Yes,
    No,
}

/// `dir` is for the error's words.
fn open_database(dir: &Path, database: &Path, make: MakeKeyspaces) -> Result<State, StateError> {
    // A store that is damaged in a way that its authors did not foresee panics; for us that is one more way of being
    // unusable, not a reason to die.
    let opened = catch_unwind(AssertUnwindSafe(|| -> fjall::Result<Option<State>> {
        let database = Database::builder(database)
            .cache_size(BLOCK_CACHE_BYTES)
            .max_journaling_size(JOURNAL_BYTES)
            .worker_threads(WORKERS)
            .max_cached_files(Some(MAX_OPEN_FILES))
            .open()?;
        let mut keyspaces = Vec::new();
        for keyspace in Keyspace::ALL {
            if make == MakeKeyspaces::No && !database.keyspace_exists(keyspace.name()) {
                return Ok(None);
            }
            keyspaces.push(database.keyspace(keyspace.name(), || keyspace.options())?);
        }
        Ok(Some(State { database, keyspaces: keyspaces.into(), newest: Arc::default() }))
    }));
    match opened {
        Ok(Ok(Some(state))) => Ok(state),
        Ok(Ok(None)) => Err(unusable(dir, "a keyspace is missing")),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left when one keyspace has its newest rows in a table and the others have lost theirs with a journal.
    #[test]
    fn keyspaces_of_different_moments_make_the_state_unusable() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("state");
        let state = State::open(&dir).unwrap();
        for number in 0..3_u8 {
            let mut batch = state.batch();
            batch.put(Keyspace::Customers, &[number], b"row");
            batch.commit().unwrap();
        }
        drop(state);
        let state = State::open(&dir).unwrap();
        assert_eq!(*state.newest.lock().unwrap(), 3);
        let timeline = &state.keyspaces[Keyspace::Timeline as usize];
        timeline.insert(MARK, 4_u64.to_be_bytes()).unwrap();
        drop(state);
        let error = State::open(&dir).map(|_| ()).unwrap_err();
        assert!(matches!(error, StateError::Unusable { .. }), "{error}");
        assert!(error.to_string().contains("timeline is of another moment"), "{error}");
    }

    #[test]
    fn a_missing_keyspace_makes_the_state_unusable() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("state");
        let state = State::open(&dir).unwrap();
        let mut batch = state.batch();
        batch.put(Keyspace::Seen, b"key", b"row");
        batch.commit().unwrap();
        let seen = state.keyspace(Keyspace::Seen).clone();
        state.database.delete_keyspace(seen).unwrap();
        drop(state);
        let error = State::open(&dir).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("a keyspace is missing"), "{error}");
    }
}
