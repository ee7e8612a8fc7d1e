//! Message templates: text with `{{ customer.first_name | default("there") }}` in it.
//!
//! The language is Jinja as `minijinja` reads it. Authors are trusted with words, not with the process, and values
//! come from anywhere, so this module stands between: a template is measured before it is parsed (`scan`, `limits`),
//! may only use names we chose (`shape`, `expression`, `filters`, `functions`), writes its values escaped for the
//! place they go to (`output`), and ends when its fuel or its room is spent.
//!
//! A missing value is empty and never an error, since one customer without a first name must not stop a campaign.
//! What does stop a message is the template's own `{% abort "reason" %}`, or a rule that makes no sense for this
//! customer, such as arithmetic with text. Both are a [`Refusal`], so that the ledger can say why.
//!
//! Deliberately not here: including other templates (a template stands alone, so what was reviewed is what is sent),
//! and the stack. The caller renders on a thread with at least 2 MiB.

mod expression;
mod filters;
mod functions;
mod limits;
mod output;
mod rewrite;
mod scan;
mod shape;
#[cfg(test)]
mod tests;

use minijinja::{Environment, ErrorKind};
use std::sync::Arc;

/// Where the text goes, which decides how values are escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// `<`, `>`, `&` and quotes become entities.
    Html,
    /// Nothing is escaped.
    Text,
    /// Values are percent-encoded.
    Url,
    /// Values become JSON values, and inside quotes the inside of a JSON string. The result is always valid JSON.
    Json,
}

/// A compiled template. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Template {
    compiled: Arc<Compiled>,
}

#[derive(Debug)]
struct Compiled {
    environment: Environment<'static>,
    source: String,
    target: Target,
    variables: Vec<Variable>,
    can_refuse: bool,
}

/// A value that the template takes from its context.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Variable {
    /// As in `customer.first_name`; list positions and quoted keys are joined by dots as well.
    pub path: String,
    /// Every use has something to fall back on: `default`, `or`, or an `if` about this value.
    pub has_fallback: bool,
}

/// Why a template cannot be used, where, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct TemplateError {
    pub message: String,
    pub line: usize,
    pub column: usize,
}

/// Why there is no message for this context.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the template aborted: {reason}")]
    Aborted { reason: String },
    #[error("the template failed: {reason}")]
    Failed { reason: String },
    #[error("the text grew to {bytes} bytes, and {} are allowed", limits::OUTPUT_BYTES)]
    TooLong { bytes: usize },
    #[error("the template does too much work, so shorten its loops")]
    OutOfFuel,
}

impl Template {
    pub fn compile(source: &str, target: Target) -> Result<Template, TemplateError> {
        let blocks = scan::scan(source)?;
        let shape = shape::shape(source, &blocks, target)?;
        let rewritten = rewrite::rewrite(source, shape.edits);
        let mut environment = environment(target);
        if let Err(error) = environment.add_template_owned(NAME, rewritten.text.clone()) {
            let at = error.range().map_or(0, |range| rewritten.source_offset(range.start));
            let detail = error.detail().unwrap_or("this cannot be read");
            let message = format!("{detail}, so check the spelling and the brackets here");
            return Err(TemplateError::at(source, at, message));
        }
        let compiled = Compiled {
            environment,
            source: source.to_owned(),
            target,
            variables: shape.variables,
            can_refuse: !shape.plain,
        };
        let template = Template { compiled: Arc::new(compiled) };
        template.check_plain_json()?;
        Ok(template)
    }

    pub fn render(&self, context: &serde_json::Value) -> Result<String, Refusal> {
        let compiled = &self.compiled;
        let mut written = output::Capped::default();
        let result = compiled.environment.get_template(NAME).and_then(|template| {
            template.render_captured_to(output::context(context), &mut written).map(drop)
        });
        if let Some(bytes) = written.refused_at {
            return Err(Refusal::TooLong { bytes });
        }
        result.map_err(|error| refusal(&error))?;
        let text = String::from_utf8(written.bytes)
            .map_err(|error| Refusal::Failed { reason: error.to_string() })?;
        if compiled.target == Target::Json {
            check_json(&text).map_err(|error| Refusal::Failed {
                reason: format!("the result is no JSON: {error}"),
            })?;
        }
        Ok(text)
    }

    /// What the template takes from its context, sorted, each path once.
    pub fn variables(&self) -> &[Variable] {
        &self.compiled.variables
    }

    /// False only when no value can make this template abort or fail. Sheer size is the one exception: values of
    /// half a megabyte still end in [`Refusal::TooLong`], whatever the template says.
    pub fn can_refuse(&self) -> bool {
        self.compiled.can_refuse
    }

    pub fn source(&self) -> &str {
        &self.compiled.source
    }

    pub fn target(&self) -> Target {
        self.compiled.target
    }

    /// Without branches the text around the values is always the same, so one try finds every mistake in it.
    fn check_plain_json(&self) -> Result<(), TemplateError> {
        if self.compiled.target != Target::Json || self.compiled.can_refuse {
            return Ok(());
        }
        let problem = match self.render(&serde_json::json!({})) {
            Ok(_) => return Ok(()),
            Err(Refusal::Failed { reason } | Refusal::Aborted { reason }) => reason,
            Err(other @ (Refusal::TooLong { .. } | Refusal::OutOfFuel)) => other.to_string(),
        };
        Err(TemplateError {
            message: format!("{problem}, so check commas, quotes and braces"),
            line: 1,
            column: 1,
        })
    }
}

impl TemplateError {
    fn at(source: &str, offset: usize, message: impl Into<String>) -> TemplateError {
        let before = source.get(..offset).unwrap_or(source);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        TemplateError { message: message.into(), line, column }
    }
}

const NAME: &str = "template";

fn environment(target: Target) -> Environment<'static> {
    let mut environment = Environment::empty();
    let mut syntax = minijinja::syntax::SyntaxConfig::builder();
    if let Ok(syntax) = syntax.keep_trailing_newline(true).build() {
        environment.set_syntax(syntax);
    }
    environment.set_debug(false);
    environment.set_fuel(Some(limits::FUEL));
    environment.set_recursion_limit(limits::RECURSION);
    environment.set_undefined_behavior(minijinja::UndefinedBehavior::Chainable);
    environment.set_auto_escape_callback(move |_| match target {
        Target::Html => minijinja::AutoEscape::Html,
        Target::Text | Target::Url | Target::Json => minijinja::AutoEscape::None,
    });
    environment.set_formatter(move |out, _, value| output::write(out, value, target));
    filters::add(&mut environment, target);
    functions::add(&mut environment);
    environment
}

fn refusal(error: &minijinja::Error) -> Refusal {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = cause {
        if let Some(abort) = current.downcast_ref::<functions::Abort>() {
            return Refusal::Aborted { reason: abort.reason.clone() };
        }
        if current
            .downcast_ref::<minijinja::Error>()
            .is_some_and(|error| error.kind() == ErrorKind::OutOfFuel)
        {
            return Refusal::OutOfFuel;
        }
        cause = current.source();
    }
    let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    let reason = match error.line() {
        Some(line) => format!("{detail} in line {line}"),
        None => detail,
    };
    Refusal::Failed { reason }
}

fn check_json(text: &str) -> Result<(), serde_json::Error> {
    serde_json::from_str::<serde::de::IgnoredAny>(text).map(drop)
}
