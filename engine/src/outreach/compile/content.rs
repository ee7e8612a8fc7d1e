//! Content with its templates compiled.

/// Content whose texts are compiled templates.
#[derive(Debug)]
pub struct CompiledContent {}
