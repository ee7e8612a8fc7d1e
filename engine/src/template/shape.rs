//! What a template consists of: which tags, filters and variables it uses, and whether it could ever refuse.
//!
//! Works on the scanner's tokens, because the template engine keeps its syntax tree to itself. It also closes the one
//! door its fuel does not watch: comparing or printing lists that hold lists that hold lists is charged for the
//! outermost only, so a list written in a template may not contain one the template made before.

use super::expression::{self, Expression};
use super::filters::NIL;
use super::limits::{ELIFS, NESTING, PLAIN_TOKENS};
use super::rewrite::Edit;
use super::scan::{Block, BlockKind, Kind, Token};
use super::{Target, TemplateError, Variable};
use std::collections::{BTreeMap, HashMap, HashSet};

pub(super) struct Shape {
    pub(super) variables: Vec<Variable>,
    /// Only outputs and conditions that cannot fail.
    pub(super) plain: bool,
    pub(super) edits: Vec<Edit>,
}

pub(super) fn shape(
    source: &str,
    blocks: &[Block<'_>],
    target: Target,
) -> Result<Shape, TemplateError> {
    let mut walk = Walk {
        source,
        target,
        open: Vec::new(),
        scopes: vec![HashMap::new()],
        macros: HashSet::new(),
        uses: Vec::new(),
        plain: blocks.iter().map(|block| block.tokens.len()).sum::<usize>() <= PLAIN_TOKENS,
        edits: Vec::new(),
    };
    for block in blocks {
        match block.kind {
            BlockKind::Output => walk.output(block)?,
            BlockKind::Tag => walk.tag(block)?,
        }
    }
    if let Some(open) = walk.open.last() {
        let name = open.tag.name();
        let message = format!("this `{name}` is never closed, so add `{{% end{name} %}}`");
        return Err(TemplateError::at(source, open.at, message));
    }
    Ok(Shape { variables: unique(&walk.uses), plain: walk.plain, edits: walk.edits })
}

fn unique(uses: &[Use]) -> Vec<Variable> {
    let mut seen: BTreeMap<&str, bool> = BTreeMap::new();
    for one in uses {
        let all = seen.entry(&one.path).or_insert(true);
        *all = *all && one.fallback;
    }
    seen.into_iter()
        .map(|(path, has_fallback)| Variable { path: path.to_owned(), has_fallback })
        .collect()
}

struct Use {
    path: String,
    fallback: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Tag {
    If,
    For,
    Set,
    With,
    Macro,
}

impl Tag {
    fn name(self) -> &'static str {
        match self {
            Tag::If => "if",
            Tag::For => "for",
            Tag::Set => "set",
            Tag::With => "with",
            Tag::Macro => "macro",
        }
    }
}

struct Open {
    tag: Tag,
    at: usize,
    elifs: usize,
    /// Paths the conditions of this `if` asked about.
    guards: Vec<String>,
    /// Uses that an `{% else %}` makes safe: the list of a `for`.
    awaiting_else: std::ops::Range<usize>,
}

pub(super) struct Walk<'s> {
    source: &'s str,
    target: Target,
    open: Vec<Open>,
    /// Names the template gave, and whether they may hold a list it made.
    scopes: Vec<HashMap<String, bool>>,
    macros: HashSet<String>,
    uses: Vec<Use>,
    plain: bool,
    edits: Vec<Edit>,
}

impl Walk<'_> {
    fn fail<T>(&self, at: usize, message: impl Into<String>) -> Result<T, TemplateError> {
        Err(TemplateError::at(self.source, at, message))
    }

    fn output(&mut self, block: &Block<'_>) -> Result<(), TemplateError> {
        self.expression(block, &block.tokens, false, false)?;
        self.plain = self.plain && expression::cannot_fail(&block.tokens);
        let captured = self.open.iter().any(|open| matches!(open.tag, Tag::Set | Tag::Macro));
        let filter = match self.target {
            Target::Html | Target::Text => return Ok(()),
            Target::Url | Target::Json if captured => "_plain",
            Target::Json if block.in_json_string => "_inside",
            Target::Url | Target::Json => return Ok(()),
        };
        self.edits.push(Edit { range: block.inner.start..block.inner.start, text: "(".to_owned() });
        self.edits
            .push(Edit { range: block.inner.end..block.inner.end, text: format!(")|{filter}") });
        Ok(())
    }

    fn tag(&mut self, block: &Block<'_>) -> Result<(), TemplateError> {
        let Some((first, rest)) = block.tokens.split_first() else {
            return self.fail(block.start, "this tag is empty, so remove it");
        };
        let simple_branch =
            matches!(first.text, "if" | "elif" | "else" | "endif") && self.target != Target::Json;
        self.plain = self.plain && simple_branch && expression::condition_cannot_fail(rest);
        match first.text {
            "if" => {
                let guards = self.expression(block, rest, true, false)?.paths();
                self.push(block, Tag::If, guards)
            }
            "elif" => {
                let guards = self.expression(block, rest, true, false)?.paths();
                self.elif(block, guards)
            }
            "else" => self.otherwise(block),
            "for" => self.for_loop(block, rest),
            "set" => self.set(block, rest),
            "with" => self.with(block, rest),
            "macro" => self.macro_block(block, rest),
            "abort" => self.abort(block, first, rest),
            "endif" => self.close(block, Tag::If),
            "endfor" => self.close(block, Tag::For),
            "endset" => self.close(block, Tag::Set),
            "endwith" => self.close(block, Tag::With),
            "endmacro" => self.close(block, Tag::Macro),
            other => self.fail(block.start, unknown_tag(other)),
        }
    }

    fn push(
        &mut self,
        block: &Block<'_>,
        tag: Tag,
        guards: Vec<String>,
    ) -> Result<(), TemplateError> {
        self.open.push(Open { tag, at: block.start, elifs: 0, guards, awaiting_else: 0..0 });
        if self.open.len() > NESTING {
            let message =
                format!("more than {NESTING} blocks are open here, so flatten the template");
            return self.fail(block.start, message);
        }
        Ok(())
    }

    fn elif(&mut self, block: &Block<'_>, guards: Vec<String>) -> Result<(), TemplateError> {
        match self.open.last_mut() {
            Some(open) if open.tag == Tag::If => {
                open.elifs += 1;
                open.guards.extend(guards);
            }
            Some(_) | None => {
                return self.fail(block.start, "this `elif` belongs to no `if`, so remove it");
            }
        }
        if self.open.iter().map(|open| open.elifs).sum::<usize>() > ELIFS {
            let message = format!(
                "more than {ELIFS} `elif`s follow each other, so look the value up in data instead"
            );
            return self.fail(block.start, message);
        }
        Ok(())
    }

    fn otherwise(&mut self, block: &Block<'_>) -> Result<(), TemplateError> {
        match self.open.last() {
            Some(open) if matches!(open.tag, Tag::If | Tag::For) => {
                let safe = open.awaiting_else.clone();
                self.uses
                    .iter_mut()
                    .take(safe.end)
                    .skip(safe.start)
                    .for_each(|one| one.fallback = true);
                Ok(())
            }
            Some(_) | None => {
                self.fail(block.start, "this `else` belongs to no `if` or `for`, so remove it")
            }
        }
    }

    fn close(&mut self, block: &Block<'_>, tag: Tag) -> Result<(), TemplateError> {
        let name = tag.name();
        match self.open.pop() {
            Some(open) if open.tag == tag => {}
            Some(open) => {
                let open = open.tag.name();
                let message = format!(
                    "`end{name}` comes before the `{open}` is closed, so add `{{% end{open} %}}`"
                );
                return self.fail(block.start, message);
            }
            None => {
                return self
                    .fail(block.start, format!("this `end{name}` closes nothing, so remove it"));
            }
        }
        if matches!(tag, Tag::For | Tag::With | Tag::Macro) {
            self.scopes.pop();
        }
        Ok(())
    }

    fn for_loop(&mut self, block: &Block<'_>, rest: &[Token<'_>]) -> Result<(), TemplateError> {
        let Some(split) = rest.iter().position(|token| token.is_word("in")) else {
            return self.fail(
                block.start,
                "a `for` reads `{% for item in list %}`, so add `in` and the list",
            );
        };
        let (targets, list) = rest.split_at(split);
        let list = list.get(1..).unwrap_or_default();
        if let Some(token) = list.iter().find(|token| token.is_word("recursive")) {
            return self.fail(token.at, "a loop cannot call itself, so remove `recursive`");
        }
        let condition = list.iter().position(|token| token.is_word("if")).unwrap_or(list.len());
        let (list, condition) = list.split_at(condition);
        let first_use = self.uses.len();
        let found = self.expression(block, list, false, false)?;
        let uses = first_use..self.uses.len();
        self.push(block, Tag::For, Vec::new())?;
        if let Some(open) = self.open.last_mut() {
            open.awaiting_else = uses;
        }
        self.scopes.push(HashMap::new());
        self.declare(targets, found.mentions_made || found.nested_lists)?;
        self.expression(block, condition, true, false)?;
        Ok(())
    }

    fn set(&mut self, block: &Block<'_>, rest: &[Token<'_>]) -> Result<(), TemplateError> {
        let assign = rest.iter().position(|token| token.is_symbol("="));
        let pipe = rest.iter().position(|token| token.is_symbol("|"));
        let targets = rest.get(..assign.or(pipe).unwrap_or(rest.len())).unwrap_or_default();
        if let Some(dot) = targets.iter().find(|token| token.is_symbol(".")) {
            return self
                .fail(dot.at, "only a plain name can be set, so write `{% set name = … %}`");
        }
        let Some(assign) = assign else {
            // `{% set name %}…{% endset %}`, perhaps with filters.
            self.expression(block, rest.get(targets.len()..).unwrap_or_default(), false, false)?;
            self.declare(targets, false)?;
            return self.push(block, Tag::Set, Vec::new());
        };
        let found =
            self.expression(block, rest.get(assign + 1..).unwrap_or_default(), false, true)?;
        self.declare(targets, found.makes_lists())
    }

    fn with(&mut self, block: &Block<'_>, rest: &[Token<'_>]) -> Result<(), TemplateError> {
        let found = self.expression(block, rest, false, false)?;
        let names: Vec<Token<'_>> = expression::assigned(rest);
        self.scopes.push(HashMap::new());
        self.declare(&names, found.makes_lists())?;
        self.push(block, Tag::With, Vec::new())
    }

    fn macro_block(&mut self, block: &Block<'_>, rest: &[Token<'_>]) -> Result<(), TemplateError> {
        let Some((name, parameters)) = rest.split_first() else {
            return self
                .fail(block.start, "a macro needs a name, as in `{% macro price(amount) %}`");
        };
        if self.open.iter().any(|open| open.tag == Tag::Macro) {
            return self.fail(block.start, "a macro cannot stand inside a macro, so move it out");
        }
        self.scopes.push(HashMap::new());
        self.declare(&expression::parameters(parameters), true)?;
        let defaults = parameters.get(1..).unwrap_or_default();
        self.expression(block, defaults, false, false)?;
        self.macros.insert(name.text.to_owned());
        self.push(block, Tag::Macro, Vec::new())
    }

    /// `{% abort "reason" %}` becomes a call of the function with that name.
    fn abort(
        &mut self,
        block: &Block<'_>,
        first: &Token<'_>,
        rest: &[Token<'_>],
    ) -> Result<(), TemplateError> {
        self.expression(block, rest, false, false)?;
        let after = first.at + first.text.len();
        let closing =
            self.source.get(block.inner.end..).and_then(|rest| rest.find("%}")).unwrap_or_default();
        let closing = block.inner.end + closing;
        self.edits.push(Edit { range: block.start..block.start + 2, text: "{{".to_owned() });
        self.edits.push(Edit { range: after..after, text: "(".to_owned() });
        self.edits.push(Edit { range: block.inner.end..block.inner.end, text: ")".to_owned() });
        self.edits.push(Edit { range: closing..closing + 2, text: "}}".to_owned() });
        Ok(())
    }

    fn declare(&mut self, names: &[Token<'_>], made: bool) -> Result<(), TemplateError> {
        for name in names.iter().filter(|token| token.kind == Kind::Word) {
            // The engine would take `or` for a name where it expects one; we would lose sight of what it holds.
            if expression::is_keyword(name.text) || name.text == NIL {
                return self.fail(
                    name.at,
                    format!("`{}` is a word of the language, so choose another name", name.text),
                );
            }
            if let Some(scope) = self.scopes.last_mut() {
                scope.insert(name.text.to_owned(), made);
            }
        }
        Ok(())
    }

    fn expression(
        &mut self,
        block: &Block<'_>,
        tokens: &[Token<'_>],
        condition: bool,
        bare_commas: bool,
    ) -> Result<Expression, TemplateError> {
        let in_macro = self.open.iter().any(|open| open.tag == Tag::Macro);
        let known = expression::Known { target: self.target, macros: &self.macros, in_macro };
        let mut found = match expression::read(tokens, &known, bare_commas) {
            Ok(found) => found,
            Err((at, message)) => return self.fail(at, message),
        };
        found.mentions_made = found.found.iter().any(|one| self.local(one.root()) == Some(true));
        if found.lists > 0 && (found.ranges || found.mentions_made) {
            let message =
                "a list written here may not hold a list made before, so write its values out";
            return self.fail(block.start, message);
        }
        self.edits.append(&mut found.edits);
        found.found.retain(|one| self.local(one.root()).is_none());
        for one in &found.found {
            let guarded = |guard: &String| expression::covers(guard, &one.path);
            let fallback = condition
                || one.fallback
                || self.open.iter().any(|open| open.guards.iter().any(guarded));
            self.uses.push(Use { path: one.path.clone(), fallback });
        }
        Ok(found)
    }

    fn local(&self, name: &str) -> Option<bool> {
        self.scopes.iter().rev().find_map(|scope| scope.get(name).copied())
    }
}

fn unknown_tag(name: &str) -> String {
    match name {
        "include" | "import" | "from" | "extends" | "block" => {
            format!("a template stands alone, so replace `{name}` by the text itself")
        }
        "autoescape" => {
            "values are always escaped, so remove `autoescape` and mark trusted HTML with `| safe`"
                .into()
        }
        "filter" => "there is no `filter` block, so write `{{ value | upper }}`".into(),
        "endraw" => "this `endraw` closes nothing, so remove it".into(),
        other => format!(
            "there is no tag `{other}`, so use `if`, `for`, `set`, `with`, `macro`, `raw` or `abort`"
        ),
    }
}
