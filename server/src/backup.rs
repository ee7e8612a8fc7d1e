//! Backups: one file with everything that a server knows, as of one position of its log.
//!
//! The file is a line with its format, a line with the manifest (JSON), the parts one after the
//! other, a line with the hash of each part (JSON), and a last line with the hash of all before it.
//! So it can be written while it is made, to a file or a connection, and any change of it is found.
//!
//! In it are the log up to the position, the keys (as their hashes) and the secret that signs the
//! links in mails, without which those that were sent would lead nowhere. Not in it: the state,
//! which is computed from the log, the outbox, and `tidings.toml`, which lives elsewhere.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use store::log::Cut;

use crate::keys::write_private;

const FORMAT_PREFIX: &str = "tidings backup, format ";
const FORMAT: u32 = 1;
/// The last line: a hash in hexadecimal digits and a line feed.
const SEAL_BYTES: u64 = 65;
/// The longest line that is read; a manifest has one short entry per segment.
const LINE_BYTES: u64 = 16 * 1024 * 1024;
/// Files of the data folder that are no log.
const BESIDE_THE_LOG: [&str; 2] = ["keys.json", "link.secret"];
const LOG: &str = "log";

/// What is in a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// When it was made.
    pub made_at: String,
    /// By which version of Tidings.
    pub version: String,
    /// The first position of the log in it.
    pub begin: u64,
    /// Behind the last record in it.
    pub end: u64,
    /// The parts, in their order.
    pub parts: Vec<Part>,
}

/// A file of the data folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its path below the data folder.
    pub name: String,
    /// So many bytes of it.
    pub bytes: u64,
}

/// A backup that is to be written.
pub(crate) struct Plan {
    manifest: Manifest,
    sources: Vec<Source>,
}

enum Source {
    Beginning(PathBuf, u64),
    Whole(Vec<u8>),
}

impl Plan {
    /// Of a data folder, up to a cut through its log.
    pub(crate) fn new(folder: &Path, cut: &Cut, made_at: String) -> anyhow::Result<Plan> {
        let (mut parts, mut sources) = (Vec::new(), Vec::new());
        for name in BESIDE_THE_LOG {
            let path = folder.join(name);
            let bytes = match fs::read(&path) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error).context(format!("reading {}", path.display())),
            };
            parts.push(Part { name: name.to_owned(), bytes: bytes.len() as u64 });
            sources.push(Source::Whole(bytes));
        }
        for piece in &cut.pieces {
            parts.push(Part { name: format!("{LOG}/{}", piece.name), bytes: piece.bytes });
            sources.push(Source::Beginning(piece.path.clone(), piece.bytes));
        }
        let (begin, end, version) = (cut.begin, cut.end, env!("CARGO_PKG_VERSION").to_owned());
        Ok(Plan { manifest: Manifest { made_at, version, begin, end, parts }, sources })
    }

    /// Write all of it.
    ///
    /// # Errors
    /// A file cannot be read, or the output does not take it.
    pub(crate) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut out = Hashed { inner: out, hasher: blake3::Hasher::new() };
        writeln!(out, "{FORMAT_PREFIX}{FORMAT}")?;
        writeln!(out, "{}", serde_json::to_string(&self.manifest)?)?;
        let mut hashes = BTreeMap::new();
        for (part, source) in self.manifest.parts.iter().zip(&self.sources) {
            let mut bytes: Box<dyn Read> = match source {
                Source::Beginning(path, bytes) => Box::new(File::open(path)?.take(*bytes)),
                Source::Whole(bytes) => Box::new(bytes.as_slice()),
            };
            let mut copy = Hashed { inner: &mut out, hasher: blake3::Hasher::new() };
            if io::copy(&mut bytes, &mut copy)? != part.bytes {
                return Err(io::Error::other(format!("{} has become shorter", part.name)));
            }
            hashes.insert(part.name.clone(), copy.hasher.finalize().to_hex().to_string());
        }
        writeln!(out, "{}", serde_json::to_string(&hashes)?)?;
        let Hashed { inner, hasher } = out;
        writeln!(inner, "{}", hasher.finalize().to_hex())?;
        inner.flush()
    }
}

/// Hashes what passes.
struct Hashed<T> {
    inner: T,
    hasher: blake3::Hasher,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hasher.update(bytes.get(..count).unwrap_or_default());
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}

/// Read a backup from its first byte to its last, and say what is in it.
///
/// # Errors
/// It is no backup, of another format, or damaged.
pub fn verify(path: &Path) -> anyhow::Result<Manifest> {
    walk(path, |_, bytes| {
        io::copy(bytes, &mut io::sink())?;
        Ok(())
    })
}

/// Make a data folder of a backup, in a place where nothing is yet.
///
/// # Errors
/// The backup is damaged, the place is taken, or the disk fails; then no folder is there.
pub fn restore(path: &Path, folder: &Path, with_keys: bool) -> anyhow::Result<Manifest> {
    let taken =
        folder.exists() && fs::read_dir(folder).map_or(true, |mut all| all.next().is_some());
    if taken {
        bail!("{} is not empty; a backup is restored into a new folder", folder.display());
    }
    // Whole, before anything of it is believed.
    verify(path)?;
    let mut building = folder.as_os_str().to_owned();
    building.push(".restoring");
    let building = PathBuf::from(building);
    let log = building.join(LOG);
    fs::create_dir(&building).with_context(|| {
        let place = building.display();
        format!("making {place}; when an earlier restore has left it there, remove it")
    })?;
    let manifest = unpack(path, &building, with_keys).and_then(|manifest| {
        store::log::assemble(&log, manifest.end)?;
        Ok(manifest)
    });
    let manifest = match manifest {
        Ok(manifest) => manifest,
        Err(error) => {
            // What is in it is all of our making.
            fs::remove_dir_all(&building).ok();
            return Err(error);
        }
    };
    if folder.exists() {
        fs::remove_dir(folder).with_context(|| format!("replacing {}", folder.display()))?;
    }
    fs::rename(&building, folder).with_context(|| format!("naming {}", folder.display()))?;
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(manifest)
}

fn unpack(path: &Path, building: &Path, with_keys: bool) -> anyhow::Result<Manifest> {
    fs::create_dir(building.join(LOG))?;
    walk(path, |part, bytes| {
        let segment = part.name.strip_prefix("log/").and_then(|name| name.strip_suffix(".seg"));
        let is_segment =
            segment.is_some_and(|base| base.len() == 20 && base.parse::<u64>().is_ok());
        if is_segment {
            let mut file = File::create_new(building.join(&part.name))?;
            io::copy(bytes, &mut file)?;
            file.sync_all()?;
        } else if BESIDE_THE_LOG.contains(&part.name.as_str()) {
            let mut content = Vec::new();
            bytes.read_to_end(&mut content)?;
            if with_keys {
                write_private(&building.join(&part.name), &content)?;
            }
        } else {
            bail!("{} holds {:?}, which is no part of a data folder", path.display(), part.name);
        }
        Ok(())
    })
}

/// Read everything, part by part, and check every hash.
fn walk(
    path: &Path,
    mut each: impl FnMut(&Part, &mut dyn Read) -> anyhow::Result<()>,
) -> anyhow::Result<Manifest> {
    let damaged = |what: &str| {
        anyhow::anyhow!("the backup {} is damaged: {what}; use another one", path.display())
    };
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let length = file.metadata()?.len();
    let mut seal = [0; SEAL_BYTES as usize];
    let Some(body) = length.checked_sub(SEAL_BYTES) else {
        bail!("{} is no backup of Tidings: it is too short", path.display());
    };
    file.read_exact_at(&mut seal, body)?;
    let all = Hashed { inner: file.take(body), hasher: blake3::Hasher::new() };
    let mut input = BufReader::new(all);
    let format = line(&mut input)?;
    match format.strip_prefix(FORMAT_PREFIX) {
        Some(found) if found == FORMAT.to_string() => {}
        Some(found) => bail!(
            "the backup {} has format {found:?}, this binary reads {FORMAT}; use the version of \
             Tidings that wrote it, unless the file is damaged",
            path.display()
        ),
        None => bail!("{} is no backup of Tidings, or its beginning is damaged", path.display()),
    }
    let manifest: Manifest = serde_json::from_str(&line(&mut input)?)
        .map_err(|_| damaged("its manifest cannot be read"))?;
    let mut hashes = BTreeMap::new();
    for part in &manifest.parts {
        let mut bytes =
            Hashed { inner: (&mut input).take(part.bytes), hasher: blake3::Hasher::new() };
        each(part, &mut bytes)?;
        if bytes.inner.limit() > 0 {
            return Err(damaged(&format!("it ends within {}", part.name)));
        }
        hashes.insert(part.name.clone(), bytes.hasher.finalize().to_hex().to_string());
    }
    let stated: BTreeMap<String, String> = serde_json::from_str(&line(&mut input)?)
        .map_err(|_| damaged("the hashes of its parts cannot be read"))?;
    if let Some((name, _)) = hashes.iter().find(|(name, hash)| stated.get(*name) != Some(hash)) {
        return Err(damaged(&format!("{name} does not match its hash")));
    }
    if hashes.len() != stated.len() || !input.fill_buf()?.is_empty() {
        return Err(damaged("it holds more than its manifest says"));
    }
    let hash = input.into_inner().hasher.finalize().to_hex().to_string() + "\n";
    if hash.as_bytes() != seal {
        return Err(damaged("it does not match its hash"));
    }
    Ok(manifest)
}

fn line(input: &mut impl io::BufRead) -> io::Result<String> {
    let mut bytes = Vec::new();
    input.take(LINE_BYTES).read_until(b'\n', &mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).trim_end_matches('\n').to_owned())
}
