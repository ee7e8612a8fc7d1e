//! Content with its templates compiled.
//!
//! One tree for all types: content is JSON whose strings are templates, each escaped for the place
//! it goes to. So a new type or field needs nothing here, unless its text goes to a new place or
//! must not be a template at all.

use serde_json::{Map, Value as Json};

use crate::outreach::content::{Content, OutreachType};
use crate::outreach::problem::Problem;
use crate::template::{Refusal, Target, Template, Variable};

/// Content whose texts are compiled templates.
#[derive(Clone, Debug)]
pub struct CompiledContent {
    root: Node,
}

/// A part of the content.
#[derive(Clone, Debug)]
enum Node {
    /// The same for everyone.
    Fixed(Json),
    /// Rendered for each customer.
    Template(Template),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
}

/// The body of a webhook that says nothing of its own. `event` is null where nothing happened.
pub const DEFAULT_WEBHOOK_BODY: &str = r#"{
  "delivery_id": {{ delivery_id }},
  "outreach": {{ outreach }},
  "customer": {{ customer }},
  "event": {{ event }},
  "sent_at": {{ sent_at }}
}"#;

/// Fields that name things rather than say them.
const NO_TEMPLATES: [&str; 12] = [
    "kind", "id", "name", "method", "position", "target", "event", "outreach", "done_on", "path",
    "topic", "template",
];

impl CompiledContent {
    /// Compile every template; what cannot be read becomes a problem with its pointer.
    pub fn compile(content: &Content, problems: &mut Vec<Problem>) -> CompiledContent {
        let mut json = serde_json::to_value(content).unwrap_or_default();
        let webhook = content.outreach_type() == OutreachType::Webhook;
        if webhook && let Some(fields) = json.as_object_mut() {
            let empty = |body: &Json| body.as_str().is_none_or(|body| body.trim().is_empty());
            if fields.get("body").is_none_or(empty) {
                fields.insert("body".to_owned(), Json::from(DEFAULT_WEBHOOK_BODY));
            }
        }
        let mut compiler = Compiler { webhook, problems };
        CompiledContent { root: compiler.node(json, "", "/content") }
    }

    /// The content for one customer: JSON of the same shape, its texts rendered.
    ///
    /// # Errors
    /// The template aborted or failed.
    pub fn render(&self, context: &Json) -> Result<Json, Refusal> {
        render(&self.root, context)
    }

    /// False only when every customer gets a message: no template can abort or fail.
    pub fn can_refuse(&self) -> bool {
        self.templates().iter().any(|template| template.can_refuse())
    }

    /// What the templates take from their context, sorted, each path once; it has a fallback when
    /// all of its uses have one.
    pub fn variables(&self) -> Vec<Variable> {
        let mut all: Vec<Variable> = Vec::new();
        for variable in self.templates().iter().flat_map(|template| template.variables()) {
            match all.iter_mut().find(|known| known.path == variable.path) {
                Some(known) => known.has_fallback &= variable.has_fallback,
                None => all.push(variable.clone()),
            }
        }
        all.sort();
        all
    }

    /// Does a text use the triggering event without a fallback?
    pub fn needs_event(&self) -> bool {
        let of_event = |variable: &&Variable| variable.path.starts_with("event.");
        self.variables().iter().filter(of_event).any(|variable| !variable.has_fallback)
    }

    fn templates(&self) -> Vec<&Template> {
        let mut found = Vec::new();
        collect(&self.root, &mut found);
        found
    }
}

fn collect<'n>(node: &'n Node, found: &mut Vec<&'n Template>) {
    match node {
        Node::Fixed(_) => {}
        Node::Template(template) => found.push(template),
        Node::List(items) => items.iter().for_each(|item| collect(item, found)),
        Node::Object(fields) => fields.iter().for_each(|(_, field)| collect(field, found)),
    }
}

fn render(node: &Node, context: &Json) -> Result<Json, Refusal> {
    match node {
        Node::Fixed(json) => Ok(json.clone()),
        Node::Template(template) => template.render(context).map(Json::String),
        Node::List(items) => items
            .iter()
            .map(|item| render(item, context))
            .collect::<Result<_, _>>()
            .map(Json::Array),
        Node::Object(fields) => {
            let mut rendered = Map::new();
            for (name, field) in fields {
                rendered.insert(name.clone(), render(field, context)?);
            }
            Ok(Json::Object(rendered))
        }
    }
}

struct Compiler<'p> {
    webhook: bool,
    problems: &'p mut Vec<Problem>,
}

impl Compiler<'_> {
    /// `field` is the nearest name above: the elements of a list are what the list is.
    fn node(&mut self, json: Json, field: &str, pointer: &str) -> Node {
        match json {
            Json::Null | Json::Bool(_) | Json::Number(_) => Node::Fixed(json),
            Json::String(text) => self.text(text, field, pointer),
            Json::Array(items) => {
                let items = items.into_iter().enumerate();
                let node = |(place, item)| self.node(item, field, &format!("{pointer}/{place}"));
                Node::List(items.map(node).collect())
            }
            Json::Object(fields) => {
                let fields = fields.into_iter().map(|(name, value)| {
                    let node = self.node(value, &name, &format!("{pointer}/{name}"));
                    (name, node)
                });
                Node::Object(fields.collect())
            }
        }
    }

    fn text(&mut self, text: String, field: &str, pointer: &str) -> Node {
        if NO_TEMPLATES.contains(&field) {
            return Node::Fixed(Json::String(text));
        }
        let target = match field {
            "html" => Target::Html,
            "url" | "cover" | "icon" => Target::Url,
            "body" if self.webhook => Target::Json,
            _ => Target::Text,
        };
        let plain = !["{{", "{%", "{#"].iter().any(|mark| text.contains(mark));
        if plain && target != Target::Json {
            return Node::Fixed(Json::String(text));
        }
        match Template::compile(&text, target) {
            Ok(template) => Node::Template(template),
            Err(error) => {
                let message = format!(
                    "The template cannot be used (line {}, column {}): {}.",
                    error.line,
                    error.column,
                    error.message.trim_end_matches('.')
                );
                self.problems.push(Problem::new(pointer, "invalid_template", message));
                Node::Fixed(Json::String(text))
            }
        }
    }
}
