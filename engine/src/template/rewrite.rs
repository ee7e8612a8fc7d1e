//! Small changes to the source before it is compiled, and the way back from an error in the changed text.

pub(super) struct Edit {
    pub(super) range: std::ops::Range<usize>,
    pub(super) text: String,
}

pub(super) struct Rewritten {
    pub(super) text: String,
    /// (offset in the new text, offset in the source) at the end of every edit.
    anchors: Vec<(usize, usize)>,
}

pub(super) fn rewrite(source: &str, mut edits: Vec<Edit>) -> Rewritten {
    // Stable, and insertions before a replacement that starts at the same place.
    edits.sort_by_key(|edit| (edit.range.start, edit.range.end));
    let mut text = String::with_capacity(source.len() + edits.len() * 8);
    let mut anchors = Vec::with_capacity(edits.len());
    let mut copied = 0;
    for edit in edits {
        text.push_str(source.get(copied..edit.range.start).unwrap_or_default());
        text.push_str(&edit.text);
        copied = edit.range.end;
        anchors.push((text.len(), copied));
    }
    text.push_str(source.get(copied..).unwrap_or_default());
    Rewritten { text, anchors }
}

impl Rewritten {
    pub(super) fn source_offset(&self, at: usize) -> usize {
        let before = self.anchors.partition_point(|(new, _)| *new <= at);
        match before.checked_sub(1).and_then(|index| self.anchors.get(index)) {
            Some((new, old)) => old + (at - new),
            None => at,
        }
    }
}
