//! A data folder as it is kept in the repository: every file packed by itself, under its own path.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

const ENDING: &str = ".gz";
/// An empty folder would not be kept.
const KEEP: &str = ".keep";

pub(super) fn pack(data: &Path, into: &Path) {
    fs::create_dir_all(into).unwrap();
    let paths: Vec<_> = fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path()).collect();
    if paths.is_empty() {
        fs::write(into.join(KEEP), "").unwrap();
    }
    for path in paths {
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            pack(&path, &into.join(name));
            continue;
        }
        write(&into.join(name), &fs::read(&path).unwrap());
    }
}

pub(super) fn unpack(packed: &Path, into: &Path) {
    fs::create_dir_all(into).unwrap();
    for entry in fs::read_dir(packed).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            unpack(&path, &into.join(name));
        } else if let Some(name) = name.strip_suffix(ENDING) {
            fs::write(into.join(name), read(&packed.join(name))).unwrap();
        }
    }
}

/// One file, by its name without the ending.
pub(super) fn write(path: &Path, bytes: &[u8]) {
    let file = fs::File::create(with_ending(path)).unwrap();
    let mut packed = GzEncoder::new(file, Compression::best());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap();
}

pub(super) fn read(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    GzDecoder::new(fs::File::open(with_ending(path)).unwrap()).read_to_end(&mut bytes).unwrap();
    bytes
}

fn with_ending(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ENDING);
    name.into()
}
