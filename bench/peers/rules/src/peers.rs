//! The others: an expression per rule, compiled once, asked one after the other.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::anyhow;
use serde_json::json;
use zen_expression::expression::{Expression, Standard};
use zen_expression::{Isolate, variable::Variable};

use crate::Judge;
use crate::world::{Event, Rule};

/// The expression language of the GoRules rules engine.
pub(crate) struct Zen {
    by_name: HashMap<String, Vec<(u32, Expression<Standard>)>>,
    isolate: Isolate,
}

/// The Common Expression Language.
pub(crate) struct Cel {
    by_name: HashMap<String, Vec<(u32, cel::Program)>>,
    env: Arc<cel::Env>,
}

/// The part of a rule beyond the name. Equality first, as somebody would write it who knows that
/// `and` stops at the first no.
fn expression(rule: &Rule, and: &str) -> String {
    let mut parts = Vec::new();
    parts.extend(rule.article.iter().map(|article| format!("properties.article == '{article}'")));
    parts.push(format!("properties.amount >= {}", rule.amount_at_least));
    parts.push(format!("attributes.plan == '{}'", rule.plan));
    parts.extend(rule.country.iter().map(|country| format!("attributes.country == '{country}'")));
    parts.join(&format!(" {and} "))
}

impl Zen {
    pub(crate) fn new(rules: &[Rule]) -> anyhow::Result<Zen> {
        let mut isolate = Isolate::new();
        let mut by_name: HashMap<String, Vec<_>> = HashMap::new();
        for (place, rule) in rules.iter().enumerate() {
            let compiled = isolate
                .compile_standard(&expression(rule, "and"))
                .map_err(|error| anyhow!("{error}"))?;
            by_name.entry(rule.event.clone()).or_default().push((u32::try_from(place)?, compiled));
        }
        Ok(Zen { by_name, isolate: Isolate::new() })
    }
}

impl Judge for Zen {
    fn prepare(&mut self, _: &[Event]) {}

    fn judge(&mut self, _: usize, event: &Event, met: &mut Vec<u32>) {
        let Some(rules) = self.by_name.get(&event.name) else { return };
        let context = json!({"properties": event.properties, "attributes": event.attributes});
        self.isolate.set_environment(Variable::from(context));
        for (place, rule) in rules {
            let answer = self.isolate.run_compiled(rule.bytecode());
            if matches!(answer, Ok(Variable::Bool(true))) {
                met.push(*place);
            }
        }
    }
}

impl Cel {
    pub(crate) fn new(rules: &[Rule]) -> anyhow::Result<Cel> {
        let env = Arc::new(cel::Env::stdlib());
        let mut by_name: HashMap<String, Vec<_>> = HashMap::new();
        for (place, rule) in rules.iter().enumerate() {
            let compiled = env
                .compile(&expression(rule, "&&"))
                .map_err(|error| anyhow!("{error}"))?;
            by_name.entry(rule.event.clone()).or_default().push((u32::try_from(place)?, compiled));
        }
        Ok(Cel { by_name, env })
    }
}

impl Judge for Cel {
    fn prepare(&mut self, _: &[Event]) {}

    fn judge(&mut self, _: usize, event: &Event, met: &mut Vec<u32>) {
        let Some(rules) = self.by_name.get(&event.name) else { return };
        let mut context = cel::Context::with_env(Arc::clone(&self.env));
        context.add_variable("properties", &event.properties).expect("JSON is a value");
        context.add_variable("attributes", &event.attributes).expect("JSON is a value");
        for (place, rule) in rules {
            if rule.execute(&context).is_ok_and(|answer| answer == true.into()) {
                met.push(*place);
            }
        }
    }
}
