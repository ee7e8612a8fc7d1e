//! What a process did to its folder and what it said, in order, as the shim wrote it down.

use std::collections::HashSet;
use std::path::Path;

use anyhow::{Context as _, bail};

/// A file or a folder, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Node(pub(super) u64);

/// A name in a folder.
#[derive(Clone, Debug)]
pub(super) struct Name {
    pub(super) node: Node,
    pub(super) is_folder: bool,
    pub(super) name: String,
}

#[derive(Clone, Debug)]
pub(super) enum Event {
    /// The watched folder.
    Root(Node),
    /// What a folder held when the process began.
    Held(Node, Vec<Name>),
    Write {
        file: Node,
        offset: u64,
        bytes: Vec<u8>,
    },
    Truncate {
        file: Node,
        size: u64,
    },
    Sync {
        file: Node,
        size: u64,
    },
    /// The names that the folder had at this moment.
    SyncFolder {
        folder: Node,
        names: Vec<Name>,
    },
    Create {
        folder: Node,
        name: Name,
    },
    Rename {
        from: Node,
        to: Node,
        node: Node,
        old: String,
        new: String,
    },
    Remove {
        folder: Node,
        name: String,
    },
    /// The beginning of what went to standard output or into a socket.
    Said {
        to: u64,
        text: Vec<u8>,
    },
}

#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) event: Event,
    /// It was answered with an error, or was said to be done and was not.
    pub(super) failed: bool,
    /// It has a number among the operations.
    pub(super) is_operation: bool,
}

const HEAD: usize = 32;

/// Reads a trace. Its last record may be cut off: the process was killed.
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<Step>> {
    let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let mut steps = Vec::new();
    let mut rest = bytes.as_slice();
    while let Some((head, behind)) = rest.split_first_chunk::<HEAD>() {
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let Some((data, behind)) = behind.split_at_checked(length) else { break };
        let [a, b, c] = [8, 16, 24].map(|at| word(head, at));
        let event = event(head[0], [a, b, c], data)?;
        steps.push(Step { event, failed: head[1] != 0, is_operation: head[2] != 0 });
        rest = behind;
    }
    Ok(steps)
}

fn event(kind: u8, [a, b, c]: [u64; 3], data: &[u8]) -> anyhow::Result<Event> {
    let text = || String::from_utf8_lossy(data).into_owned();
    let named = |is_folder| Name { node: Node(b), is_folder, name: text() };
    Ok(match kind {
        b'B' => Event::Root(Node(a)),
        b'L' => Event::Held(Node(a), names(data)?),
        b'W' => Event::Write { file: Node(a), offset: b, bytes: data.to_vec() },
        b'T' => Event::Truncate { file: Node(a), size: b },
        b'S' => Event::Sync { file: Node(a), size: b },
        b'D' => Event::SyncFolder { folder: Node(a), names: names(data)? },
        b'C' => Event::Create { folder: Node(a), name: named(false) },
        b'M' => Event::Create { folder: Node(a), name: named(true) },
        b'R' => {
            let both = text();
            let (old, new) = both.split_once('/').context("a renaming without two names")?;
            let (old, new) = (old.to_owned(), new.to_owned());
            Event::Rename { from: Node(a), to: Node(b), node: Node(c), old, new }
        }
        b'U' => Event::Remove { folder: Node(a), name: text() },
        b'A' => Event::Said { to: a, text: data.to_vec() },
        other => bail!("the trace holds an unknown record {other}"),
    })
}

fn names(mut data: &[u8]) -> anyhow::Result<Vec<Name>> {
    let mut names = Vec::new();
    while let Some((head, behind)) = data.split_first_chunk::<11>() {
        let length = usize::from(u16::from_le_bytes([head[9], head[10]]));
        let (name, behind) = behind.split_at_checked(length).context("a name is cut off")?;
        names.push(Name {
            node: Node(word(head, 0)),
            is_folder: head[8] != 0,
            name: String::from_utf8_lossy(name).into_owned(),
        });
        data = behind;
    }
    Ok(names)
}

fn word(bytes: &[u8], at: usize) -> u64 {
    let mut eight = [0; 8];
    eight.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(eight)
}

/// How many operations there are.
pub(super) fn operations(steps: &[Step]) -> u64 {
    steps.iter().filter(|step| step.is_operation).count() as u64
}

pub(super) fn syncs(steps: &[Step]) -> u64 {
    let sync = |step: &&Step| matches!(step.event, Event::Sync { .. } | Event::SyncFolder { .. });
    steps.iter().filter(sync).count() as u64
}

pub(super) fn writes(steps: &[Step]) -> u64 {
    let write = |step: &&Step| matches!(step.event, Event::Write { .. } | Event::Truncate { .. });
    steps.iter().filter(write).count() as u64
}

/// Whether a file or folder lies, or lay, below a folder of the root with this name (or is it).
pub(super) fn below(steps: &[Step], name: &str) -> HashSet<Node> {
    let mut found = HashSet::new();
    let mut note = |folder: Node, node: Node, known: &str| {
        if known == name || found.contains(&folder) {
            found.insert(node);
        }
    };
    for step in steps {
        match &step.event {
            Event::Held(folder, names) | Event::SyncFolder { folder, names } => {
                names.iter().for_each(|one| note(*folder, one.node, &one.name));
            }
            Event::Create { folder, name } => note(*folder, name.node, &name.name),
            Event::Rename { to, node, new, .. } => note(*to, *node, new),
            _ => {}
        }
    }
    found
}
