//! The disk as the trace tells it: what is safe, what was only written, and what would be left if the power went now.
//!
//! Safe is what POSIX promises and no more: the bytes of a file after its sync, a name after the sync of its folder.
//! Of the rest a real disk keeps what it likes, so it is asked in several ways (`Keep`). A failed sync leaves its
//! bytes in doubt for ever: the kernel marks the pages clean, and later syncs do not write them again.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::rc::Rc;

use anyhow::Context as _;

use super::trace::{Event, Name, Node, Step};
use crate::dice::Dice;

const PAGE: u64 = 4096;
const SECTOR: usize = 512;

/// What of the unsynced survives.
pub(super) enum Keep<'a> {
    Nothing,
    /// Each page by the toss of a coin; of the names of a folder the changes up to some moment.
    Some(&'a mut Dice),
    /// Of the last write some sectors, of all else nothing.
    Torn(&'a mut Dice),
    /// As if only the process had died.
    #[cfg(test)]
    All,
}

#[derive(Default)]
pub(super) struct Disk {
    root: Option<Node>,
    files: HashMap<Node, FileOn>,
    folders: HashMap<Node, FolderOn>,
    last_write: Option<Node>,
}

#[derive(Clone, Default)]
struct FileOn {
    safe: Content,
    pending: Vec<Change>,
    doubtful: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Write(u64, Rc<[u8]>),
    Truncate(u64),
}

#[derive(Clone, Default)]
struct FolderOn {
    safe: BTreeMap<String, Node>,
    /// Changes that come to be together.
    pending: Vec<Vec<(String, Option<Node>)>>,
}

#[derive(Clone, Default)]
struct Content {
    size: u64,
    pages: BTreeMap<u64, Rc<[u8]>>,
}

impl Disk {
    /// The disk before the first step: the folder that the process found, all of it safe. `copy` holds what it held.
    pub(super) fn found(steps: &[Step], copy: &Path) -> anyhow::Result<Disk> {
        let mut disk = Disk::default();
        let mut held = HashMap::new();
        for step in steps {
            match &step.event {
                Event::Root(node) => disk.root = Some(*node),
                Event::Held(folder, names) => drop(held.insert(*folder, names.as_slice())),
                _ => {}
            }
        }
        let root = disk.root.context("the trace does not say what it watched")?;
        disk.read_folder(root, copy, &held)?;
        Ok(disk)
    }

    fn read_folder(
        &mut self,
        folder: Node,
        path: &Path,
        held: &HashMap<Node, &[Name]>,
    ) -> anyhow::Result<()> {
        let names = held.get(&folder).copied().unwrap_or_default();
        self.sync_folder(folder, names);
        for name in names {
            let below = path.join(&name.name);
            if name.is_folder {
                self.read_folder(name.node, &below, held)?;
            } else if below.exists() {
                // What is not in the copy came to be while the process was being started.
                self.files.entry(name.node).or_default().safe = Content::read(&below)?;
            }
        }
        Ok(())
    }

    pub(super) fn apply(&mut self, step: &Step) {
        if step.failed {
            if let Event::Sync { file, .. } = &step.event {
                let file = self.files.entry(*file).or_default();
                file.doubtful.append(&mut file.pending);
            }
            return;
        }
        self.last_write = None;
        match &step.event {
            Event::Root(_) | Event::Held(..) | Event::Said { .. } => {}
            Event::Write { file, offset, bytes } => {
                self.last_write = Some(*file);
                self.change(*file, Change::Write(*offset, bytes.as_slice().into()));
            }
            Event::Truncate { file, size } => self.change(*file, Change::Truncate(*size)),
            Event::Sync { file, size } => {
                let file = self.files.entry(*file).or_default();
                for change in file.pending.drain(..) {
                    file.safe.apply(&change);
                }
                file.safe.truncate(*size);
            }
            Event::SyncFolder { folder, names } => self.sync_folder(*folder, names),
            Event::Create { folder, name } => {
                self.know(name);
                self.rename(*folder, vec![(name.name.clone(), Some(name.node))]);
            }
            Event::Rename { from, to, node, old, new } => {
                if from == to {
                    let both = vec![(old.clone(), None), (new.clone(), Some(*node))];
                    self.rename(*from, both);
                } else {
                    self.rename(*to, vec![(new.clone(), Some(*node))]);
                    self.rename(*from, vec![(old.clone(), None)]);
                }
            }
            Event::Remove { folder, name } => self.rename(*folder, vec![(name.clone(), None)]),
        }
    }

    /// Writes what would be left.
    pub(super) fn leave(&self, mut keep: Keep<'_>, to: &Path) -> anyhow::Result<()> {
        match fs::remove_dir_all(to) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            Ok(()) | Err(_) => {}
        }
        let root = self.root.context("the trace does not say what it watched")?;
        self.leave_folder(root, &mut keep, to).with_context(|| format!("writing {}", to.display()))
    }

    fn leave_folder(&self, node: Node, keep: &mut Keep<'_>, to: &Path) -> anyhow::Result<()> {
        fs::create_dir(to)?;
        let Some(folder) = self.folders.get(&node) else { return Ok(()) };
        let kept = match keep {
            Keep::Nothing | Keep::Torn(_) => 0,
            Keep::Some(dice) => dice.below(folder.pending.len() as u64 + 1) as usize,
            #[cfg(test)]
            Keep::All => folder.pending.len(),
        };
        let mut names = folder.safe.clone();
        for (name, node) in folder.pending.iter().take(kept).flatten() {
            match node {
                Some(node) => names.insert(name.clone(), *node),
                None => names.remove(name),
            };
        }
        for (name, node) in names {
            let below = to.join(name);
            if self.folders.contains_key(&node) {
                self.leave_folder(node, keep, &below)?;
            } else if let Some(file) = self.files.get(&node) {
                file.left(keep, self.last_write == Some(node)).write(&below)?;
            }
        }
        Ok(())
    }

    fn change(&mut self, file: Node, change: Change) {
        self.files.entry(file).or_default().pending.push(change);
    }

    fn rename(&mut self, folder: Node, names: Vec<(String, Option<Node>)>) {
        self.folders.entry(folder).or_default().pending.push(names);
    }

    fn sync_folder(&mut self, folder: Node, names: &[Name]) {
        let safe = names.iter().map(|name| (name.name.clone(), name.node)).collect();
        self.folders.insert(folder, FolderOn { safe, pending: Vec::new() });
        names.iter().for_each(|name| self.know(name));
    }

    fn know(&mut self, name: &Name) {
        if name.is_folder {
            self.folders.entry(name.node).or_default();
        } else {
            self.files.entry(name.node).or_default();
        }
    }
}

impl FileOn {
    fn left(&self, keep: &mut Keep<'_>, is_last_write: bool) -> Content {
        let mut left = self.safe.clone();
        match keep {
            Keep::Nothing => {}
            #[cfg(test)]
            Keep::All => {
                self.doubtful.iter().chain(&self.pending).for_each(|change| left.apply(change));
            }
            Keep::Some(dice) => {
                for change in self.doubtful.iter().chain(&self.pending) {
                    left.apply_some(change, PAGE as usize, dice);
                }
            }
            Keep::Torn(dice) => {
                if let Some(change) = self.pending.last().filter(|_| is_last_write) {
                    left.apply_some(change, SECTOR, dice);
                }
            }
        }
        left
    }
}

impl Content {
    fn read(path: &Path) -> anyhow::Result<Content> {
        let file = File::open(path).with_context(|| format!("reading {}", path.display()))?;
        let mut content = Content::default();
        let size = file.metadata()?.len();
        let mut at = 0;
        // Most of a reserved file is a hole.
        while let Some(next) = data_from(&file, at)?.filter(|next| *next < size) {
            let offset = next / PAGE * PAGE;
            let mut page = [0; PAGE as usize];
            let count = file.read_at(&mut page, offset)?;
            if page.iter().any(|byte| *byte != 0) {
                content.write_at(offset, &page[..count]);
            }
            at = offset + PAGE;
        }
        content.size = size;
        Ok(content)
    }

    fn apply(&mut self, change: &Change) {
        match change {
            Change::Write(offset, bytes) => self.write_at(*offset, bytes),
            Change::Truncate(size) => self.truncate(*size),
        }
    }

    /// Pieces as the disk has them, each by the toss of a coin.
    fn apply_some(&mut self, change: &Change, piece: usize, dice: &mut Dice) {
        match change {
            Change::Truncate(size) => {
                if dice.percent(50) {
                    self.truncate(*size);
                }
            }
            Change::Write(offset, bytes) => {
                let mut done = 0;
                while done < bytes.len() {
                    let at = offset + done as u64;
                    let more = (piece - (at as usize % piece)).min(bytes.len() - done);
                    if dice.percent(50) {
                        self.write_at(at, &bytes[done..done + more]);
                    }
                    done += more;
                }
            }
        }
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) {
        let mut done = 0;
        while done < bytes.len() {
            let at = offset + done as u64;
            let within = (at % PAGE) as usize;
            let more = (PAGE as usize - within).min(bytes.len() - done);
            let page = self.pages.entry(at / PAGE).or_insert_with(|| Rc::from([0; PAGE as usize]));
            Rc::make_mut(page)[within..within + more].copy_from_slice(&bytes[done..done + more]);
            done += more;
        }
        self.size = self.size.max(offset + bytes.len() as u64);
    }

    fn truncate(&mut self, size: u64) {
        if size < self.size {
            drop(self.pages.split_off(&size.div_ceil(PAGE)));
            if let Some(page) = self.pages.get_mut(&(size / PAGE)) {
                Rc::make_mut(page)[(size % PAGE) as usize..].fill(0);
            }
        }
        self.size = size;
    }

    fn write(&self, path: &Path) -> anyhow::Result<()> {
        let file = File::create(path)?;
        for (number, page) in &self.pages {
            let offset = number * PAGE;
            let length = (self.size.saturating_sub(offset)).min(PAGE) as usize;
            file.write_all_at(&page[..length], offset)?;
        }
        file.set_len(self.size)?;
        Ok(())
    }
}

/// Copies a file and leaves its holes as they are.
pub(super) fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    Content::read(from)?.write(to)
}

/// Where the next bytes that are not in a hole begin.
fn data_from(file: &File, at: u64) -> anyhow::Result<Option<u64>> {
    match rustix::fs::seek(file, rustix::fs::SeekFrom::Data(at)) {
        Ok(next) => Ok(Some(next)),
        Err(rustix::io::Errno::NXIO) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Behind the last byte of a file that is not zero.
pub(super) fn used_bytes(path: &Path) -> anyhow::Result<u64> {
    let content = Content::read(path)?;
    let used = |(number, page): (&u64, &Rc<[u8]>)| {
        let last = page.iter().rposition(|byte| *byte != 0)?;
        Some(number * PAGE + last as u64 + 1)
    };
    Ok(content.pages.iter().rev().find_map(used).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: Node = Node(1);
    const FILE: Node = Node(2);

    fn step(event: Event) -> Step {
        Step { event, failed: false, is_operation: true }
    }

    fn name() -> Name {
        Name { node: FILE, is_folder: false, name: "a".to_owned() }
    }

    fn write(text: &str, offset: u64) -> Step {
        step(Event::Write { file: FILE, offset, bytes: text.into() })
    }

    fn left(disk: &Disk, keep: Keep<'_>) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        disk.leave(keep, &folder.path().join("left")).unwrap();
        fs::read_to_string(folder.path().join("left/a")).ok()
    }

    fn disk(steps: &[Step]) -> Disk {
        let mut disk = Disk { root: Some(ROOT), ..Disk::default() };
        steps.iter().for_each(|step| disk.apply(step));
        disk
    }

    #[test]
    fn only_what_was_synced_is_left_and_only_under_a_synced_name() {
        let create = step(Event::Create { folder: ROOT, name: name() });
        let sync = step(Event::Sync { file: FILE, size: 3 });
        let named = step(Event::SyncFolder { folder: ROOT, names: vec![name()] });
        let mut done = disk(&[create, write("one", 0), sync]);
        assert_eq!(left(&done, Keep::Nothing), None);
        assert_eq!(left(&done, Keep::All).unwrap(), "one");
        done.apply(&named);
        done.apply(&write("two", 3));
        assert_eq!(left(&done, Keep::Nothing).unwrap(), "one");
        assert_eq!(left(&done, Keep::All).unwrap(), "onetwo");
    }

    #[test]
    fn what_a_failed_sync_was_to_bring_is_not_brought_by_the_next() {
        let named = step(Event::SyncFolder { folder: ROOT, names: vec![name()] });
        let failed = Step { failed: true, ..step(Event::Sync { file: FILE, size: 3 }) };
        let sync = step(Event::Sync { file: FILE, size: 6 });
        let done = disk(&[named, write("one", 0), failed, write("two", 3), sync]);
        assert_eq!(left(&done, Keep::Nothing).unwrap(), "\0\0\0two");
        assert_eq!(left(&done, Keep::All).unwrap(), "onetwo");
    }

    #[test]
    fn a_torn_write_leaves_whole_sectors() {
        let named = step(Event::SyncFolder { folder: ROOT, names: vec![name()] });
        let done = disk(&[named, write(&"x".repeat(4 * SECTOR), 0)]);
        let mut torn = 0;
        for seed in 0..32 {
            let text = left(&done, Keep::Torn(&mut Dice::new(seed))).unwrap();
            for sector in text.as_bytes().chunks(SECTOR) {
                assert!(sector.iter().all(|byte| *byte == sector[0]));
            }
            torn += u32::from(!text.is_empty() && text.contains('\0'));
        }
        assert!(torn > 0);
    }
}
