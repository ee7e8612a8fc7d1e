//! The control: a log as one writes it in an afternoon, with one well-known flaw at a time.
//!
//! It exists to be found guilty. A checker that lets it pass proves nothing about the real log, so each trial runs it
//! under the same faults and fails when it is not caught.
//!
//! One file: a block of 512 bytes with a magic word, then frames of length, CRC over the frame before and the payload,
//! payload.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::Context as _;

use super::subject::Refusal;

const MAGIC: &[u8] = b"naivelog";
const BLOCK: usize = 512;
pub(super) const FRAME_HEAD: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// Acknowledges what lies in its own buffer.
    Buffered,
    /// Acknowledges without a sync.
    NoSync,
    /// Asks again after a failed sync, and believes the answer.
    SyncsAgain,
    /// Goes on behind what a failed write has left.
    NoCutBack,
    NoChecksum,
    /// Each record has a checksum of its own, and nothing ties it to its place.
    NoChain,
    /// Is made in its place; opens only when it is whole.
    MadeInPlace,
}

impl Flaw {
    pub(super) const ALL: [Flaw; 7] = [
        Flaw::Buffered,
        Flaw::NoSync,
        Flaw::SyncsAgain,
        Flaw::NoCutBack,
        Flaw::NoChecksum,
        Flaw::NoChain,
        Flaw::MadeInPlace,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Flaw::Buffered => "buffered",
            Flaw::NoSync => "no-sync",
            Flaw::SyncsAgain => "syncs-again",
            Flaw::NoCutBack => "no-cut-back",
            Flaw::NoChecksum => "no-checksum",
            Flaw::NoChain => "no-chain",
            Flaw::MadeInPlace => "made-in-place",
        }
    }
}

pub(super) struct Naive {
    file: File,
    flaw: Flaw,
    /// Behind the last good frame.
    end: u64,
    chain: u32,
    /// Behind the last good frame once what is staged is written, and the chain then.
    staged: Vec<u8>,
    staged_chain: u32,
    stopped: bool,
}

impl Naive {
    pub(super) fn open(dir: &Path, flaw: Flaw) -> anyhow::Result<(Naive, Vec<Vec<u8>>)> {
        let path = dir.join("naive.log");
        if !path.exists() {
            create(dir, &path, flaw).context("making the log")?;
        }
        let bytes = fs::read(&path)?;
        anyhow::ensure!(bytes.len() >= BLOCK && bytes.starts_with(MAGIC), "this is not a log");
        let (mut at, mut chain, mut payloads) = (BLOCK, 0, Vec::new());
        while let Some((payload, sum)) = frame(&bytes[at..], chain, flaw) {
            at += FRAME_HEAD + payload.len();
            chain = sum;
            payloads.push(payload.to_vec());
        }
        let file = File::options().read(true).write(true).open(&path)?;
        file.set_len(at as u64)?;
        if flaw != Flaw::NoSync {
            file.sync_all()?;
        }
        let naive = Naive {
            file,
            flaw,
            end: at as u64,
            chain,
            staged: Vec::new(),
            staged_chain: chain,
            stopped: false,
        };
        Ok((naive, payloads))
    }

    pub(super) fn append(&mut self, payload: &[u8]) {
        let sum = checksum(self.staged_chain, payload, self.flaw);
        self.staged.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        self.staged.extend_from_slice(&sum.to_le_bytes());
        self.staged.extend_from_slice(payload);
        self.staged_chain = sum;
    }

    pub(super) fn commit(&mut self) -> Result<(), Refusal> {
        if self.stopped {
            return Err(Refusal::Stopped("the disk failed before".to_owned()));
        }
        if self.flaw == Flaw::Buffered && self.staged.len() < 4096 {
            return Ok(());
        }
        if let Err(error) = self.write() {
            return Err(self.not_written(&error));
        }
        if let Err(error) = self.sync() {
            self.stopped = self.flaw != Flaw::SyncsAgain;
            return Err(Refusal::Stopped(error.to_string()));
        }
        self.end += self.staged.len() as u64;
        self.chain = self.staged_chain;
        self.staged.clear();
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        match self.flaw {
            Flaw::NoSync => Ok(()),
            Flaw::SyncsAgain => self.file.sync_data().or_else(|_| self.file.sync_data()),
            _ => self.file.sync_data(),
        }
    }

    fn write(&mut self) -> io::Result<()> {
        if self.flaw == Flaw::NoCutBack {
            use std::io::Seek as _;
            self.file.seek(io::SeekFrom::End(0))?;
            return self.file.write_all(&self.staged);
        }
        self.file.write_all_at(&self.staged, self.end)
    }

    /// What was staged is forgotten: the caller will bring it again.
    fn not_written(&mut self, error: &io::Error) -> Refusal {
        self.staged.clear();
        self.staged_chain = self.chain;
        if self.flaw != Flaw::NoCutBack {
            self.stopped = self.file.set_len(self.end).is_err();
        }
        // With this flaw every error is one that passes.
        if error.kind() == ErrorKind::StorageFull || self.flaw == Flaw::NoCutBack {
            return Refusal::Full;
        }
        self.stopped = true;
        Refusal::Stopped(error.to_string())
    }
}

fn create(dir: &Path, path: &Path, flaw: Flaw) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let mut block = [0; BLOCK];
    block[..MAGIC.len()].copy_from_slice(MAGIC);
    let building = if flaw == Flaw::MadeInPlace { path.to_owned() } else { dir.join("new.tmp") };
    let mut file = File::create(&building)?;
    file.write_all(&block)?;
    file.sync_all()?;
    if building != path {
        fs::rename(&building, path)?;
    }
    File::open(dir)?.sync_all()?;
    File::open(dir.parent().unwrap_or(dir))?.sync_all()
}

/// The first frame of these bytes and its checksum; none where the good ones end.
fn frame(bytes: &[u8], chain: u32, flaw: Flaw) -> Option<(&[u8], u32)> {
    let (head, rest) = bytes.split_first_chunk::<FRAME_HEAD>()?;
    let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
    let sum = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
    let payload = rest.get(..length as usize)?;
    let agrees = flaw == Flaw::NoChecksum || checksum(chain, payload, flaw) == sum;
    (length > 0 && agrees).then_some((payload, sum))
}

fn checksum(chain: u32, payload: &[u8], flaw: Flaw) -> u32 {
    let chain = if flaw == Flaw::NoChain { 0 } else { chain };
    // FNV-1a is checksum enough for a control.
    let start = 0x811c_9dc5 ^ chain;
    payload.iter().fold(start, |sum, byte| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}
