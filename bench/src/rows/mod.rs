//! The rows: one file for each subject, each runs alone and cleans up after itself.

pub(crate) mod ingest;
pub(crate) mod inside;
pub(crate) mod disk;
pub(crate) mod webhook;
pub(crate) mod open;
pub(crate) mod one_off;
pub(crate) mod million;
pub(crate) mod growth;
