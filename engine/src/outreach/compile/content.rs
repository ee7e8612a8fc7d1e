//! Content with its templates compiled.

/// Content whose texts are compiled templates.
#[derive(Debug)]
pub struct CompiledContent {}

impl CompiledContent {
    /// Whether rendering can fail or be stopped by the template.
    pub fn can_refuse(&self) -> bool {
        false
    }

    /// Whether the templates speak of the event.
    pub fn needs_event(&self) -> bool {
        false
    }

    /// The content with its templates rendered.
    ///
    /// # Errors
    /// The template stopped or failed.
    pub fn render(
        &self,
        _context: &serde_json::Value,
    ) -> Result<serde_json::Value, crate::template::Refusal> {
        Ok(serde_json::Value::Null)
    }
}
