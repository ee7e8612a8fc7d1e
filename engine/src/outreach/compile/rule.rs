//! The rule: trigger, audience, frequency and schedule, and whether they fit each other.

use std::sync::Arc;

use super::Draft;
use super::conditions::Place;
use super::content::CompiledContent;
use crate::fact::event_key;
use crate::ids::OutreachNo;
use crate::outreach::compiled::{Ask, Condition, Frequency, Goal, Outreach, Trigger, Wait};
use crate::outreach::content::OutreachType;
use crate::outreach::definition::{
    self, Audience, CancelEvent, Definition, PageRule, Schedule, Span,
};
use crate::time::Timestamp;

const NAME: usize = 200;
const TAGS: usize = 20;
const TAG: usize = 50;
const PAGES: usize = 50;
const PAGE: usize = 2_000;
const CANCEL_EVENTS: usize = 20;

pub(super) fn compile(
    draft: &mut Draft<'_>,
    no: OutreachNo,
    id: &str,
    version: u32,
    definition: &Definition,
) -> Outreach {
    let outreach_type = definition.content.outreach_type();
    draft.check_name(&definition.name, NAME, "/name");
    draft.check_tags(&definition.tags);
    draft.check_one_off(definition, outreach_type);
    let (start, stop) = draft.schedule(&definition.schedule);
    draft.check_pages(&definition.pages, outreach_type);
    if let Some(span) = definition.expires_after {
        draft.check_span(span, "/expires_after");
    }
    draft.check_content(&definition.content);
    Outreach {
        no,
        id: id.to_owned(),
        version,
        definition: definition.clone(),
        outreach_type,
        trigger: draft.trigger(&definition.trigger),
        audience: definition
            .audience
            .filter()
            .and_then(|filter| draft.tree(filter, Place::Filter, "/audience/filter")),
        frequency: draft.frequency(&definition.frequency, &definition.trigger),
        start,
        stop,
        pages: definition.pages.clone(),
        guardrails: draft.guardrails(&definition.guardrails),
        goal: draft.goal(definition.goal.as_ref()),
        tags: definition.tags.iter().map(|tag| tag.trim().to_owned()).collect(),
        expires_after: definition.expires_after,
        content: CompiledContent::compile(&definition.content, &mut draft.problems),
    }
}

impl Draft<'_> {
    fn check_tags(&mut self, tags: &[String]) {
        self.check_length(tags, TAGS, "/tags");
        for (place, tag) in tags.iter().enumerate() {
            self.check_name(tag, TAG, &format!("/tags/{place}"));
        }
    }

    fn check_one_off(&mut self, definition: &Definition, outreach_type: OutreachType) {
        let trigger = match definition.trigger {
            definition::Trigger::OneOff { .. } => true,
            definition::Trigger::Event { .. } | definition::Trigger::UserProperty { .. } => false,
        };
        let audience = match definition.audience {
            Audience::OneOff { .. } => true,
            Audience::Dynamic { .. } => false,
        };
        if trigger && !audience {
            let message = "A one-off goes to a snapshot of its audience: set the audience's kind to \
                           `one_off`, or choose an event or a user property as trigger.";
            self.add("/audience/kind", "one_off_needs_one_off_audience", message);
        }
        if audience && !trigger {
            let message = "A one-off audience has no trigger: set the trigger's kind to `one_off`, \
                           or the audience's kind to `dynamic`.";
            self.add("/trigger/kind", "one_off_needs_one_off_trigger", message);
        }
        if (trigger || audience) && !outreach_type.allows_one_off() {
            let message = format!(
                "A {} is seen only by people who are on your pages, so it cannot be sent once to \
                 everyone; use an event such as `sessionStarted` as trigger with a dynamic audience, \
                 or a type that reaches people who are away (email, push, message, news, webhook, \
                 sms, whatsapp).",
                outreach_type.name()
            );
            let at = if trigger { "/trigger/kind" } else { "/audience/kind" };
            self.add(at, "one_off_not_for_type", message);
        }
    }

    fn schedule(&mut self, schedule: &Schedule) -> (Option<Timestamp>, Option<Timestamp>) {
        let start = self.moment(schedule.start.as_deref(), "/schedule/start");
        let stop = self.moment(schedule.stop.as_deref(), "/schedule/stop");
        if let (Some(start), Some(stop)) = (start, stop)
            && stop <= start
        {
            let message = "The stop is not after the start; move one of them.";
            self.add("/schedule/stop", "stop_not_after_start", message);
        }
        (start, stop)
    }

    fn moment(&mut self, text: Option<&str>, pointer: &str) -> Option<Timestamp> {
        let text = text?;
        let moment = Timestamp::parse(text);
        if moment.is_none() {
            let message = format!(
                "{text:?} is not a moment; write one with its offset, like 2026-01-31T09:00:00Z."
            );
            self.add(pointer, "unreadable_date", message);
        }
        moment
    }

    fn check_pages(&mut self, pages: &[PageRule], outreach_type: OutreachType) {
        if !pages.is_empty() && !outreach_type.is_in_app() {
            let message = format!(
                "A {} is not shown on a page, so page rules cannot hold; remove them.",
                outreach_type.name()
            );
            self.add("/pages", "pages_only_in_app", message);
        }
        self.check_length(pages, PAGES, "/pages");
        for (place, page) in pages.iter().enumerate() {
            let (PageRule::Is { value }
            | PageRule::IsNot { value }
            | PageRule::Contains { value }
            | PageRule::DoesNotContain { value }
            | PageRule::StartsWith { value }
            | PageRule::EndsWith { value }
            | PageRule::Matches { value }) = page;
            self.check_text(value, PAGE, &format!("/pages/{place}/value"));
        }
    }

    fn trigger(&mut self, trigger: &definition::Trigger) -> Trigger {
        match trigger {
            definition::Trigger::Event {
                event,
                conditions,
                delay,
                cancel_on,
                recheck_audience,
            } => {
                self.check_event_name(event, "/trigger/event");
                Trigger::Event {
                    event: event_key(event),
                    conditions: self.conditions(conditions.as_ref(), "/trigger"),
                    wait: self.wait(*delay, cancel_on, *recheck_audience),
                }
            }
            definition::Trigger::UserProperty {
                condition,
                include_current,
                delay,
                cancel_on,
                recheck_audience,
            } => Trigger::UserProperty {
                condition: self.property_condition(condition),
                include_current: *include_current,
                wait: self.wait(*delay, cancel_on, *recheck_audience),
            },
            definition::Trigger::OneOff { at } => {
                Trigger::OneOff { at: self.moment(at.as_deref(), "/trigger/at") }
            }
        }
    }

    /// At least one attribute must be asked, else everyone would be due at once.
    fn property_condition(&mut self, condition: &definition::Condition) -> Condition {
        let before = self.problems.len();
        let made = self.tree(condition, Place::PropertyTrigger, "/trigger/where");
        let asks = made.as_ref().is_some_and(asks_something);
        if !asks && self.problems.len() == before {
            let message = "The trigger asks nothing, so everyone would get this at once; add a \
                           condition on an attribute.";
            self.add("/trigger/where", "no_condition", message);
        }
        made.unwrap_or_else(|| Condition {
            pointer: Arc::from("/trigger/where"),
            ask: Ask::All(Vec::new()),
        })
    }

    fn wait(
        &mut self,
        delay: Option<Span>,
        cancel_on: &[CancelEvent],
        recheck_audience: bool,
    ) -> Wait {
        if let Some(delay) = delay {
            self.check_span(delay, "/trigger/delay");
        }
        self.check_length(cancel_on, CANCEL_EVENTS, "/trigger/cancel_on");
        let mut cancels = Vec::with_capacity(cancel_on.len());
        for (place, cancel) in cancel_on.iter().enumerate() {
            let at = format!("/trigger/cancel_on/{place}");
            self.check_event_name(&cancel.event, &format!("{at}/event"));
            let conditions = self.conditions(cancel.conditions.as_ref(), &at);
            cancels.push((event_key(&cancel.event), conditions));
        }
        Wait { delay, cancel_on: cancels, recheck_audience }
    }

    fn frequency(
        &mut self,
        frequency: &definition::Frequency,
        trigger: &definition::Trigger,
    ) -> Frequency {
        let (made, name) = match frequency {
            definition::Frequency::Once => return Frequency::Once,
            definition::Frequency::EveryTime => (Frequency::EveryTime, "every_time"),
            definition::Frequency::OncePerKey { property } => {
                self.check_name(property, 200, "/frequency/property");
                (Frequency::OncePerKey(property.trim().to_owned()), "once_per_key")
            }
            definition::Frequency::AtMostOncePer { amount, unit } => {
                self.check_amount(*amount, 1, "/frequency/amount");
                let span = Span { amount: *amount, unit: *unit };
                (Frequency::AtMostOncePer(span), "at_most_once_per")
            }
            definition::Frequency::AtMost { times } => {
                self.check_times(*times, "/frequency/times");
                (Frequency::AtMost(*times), "at_most")
            }
            definition::Frequency::UntilAnswered { at_most_once_per } => {
                if let Some(span) = at_most_once_per {
                    self.check_span(*span, "/frequency/at_most_once_per");
                }
                (Frequency::UntilAnswered(*at_most_once_per), "until_answered")
            }
        };
        match trigger {
            definition::Trigger::Event { .. } => {}
            definition::Trigger::UserProperty { .. } => {
                let message = format!(
                    "`{name}` is not possible with a user property as trigger: a property holds, it \
                     does not happen again; choose `once`, or use an event such as `sessionStarted` \
                     as trigger and move the property into the audience."
                );
                self.add("/frequency/kind", "property_trigger_only_once", message);
            }
            definition::Trigger::OneOff { .. } => {
                let message = format!(
                    "`{name}` is not possible with a one-off, which is sent once; choose `once`."
                );
                self.add("/frequency/kind", "one_off_only_once", message);
            }
        }
        made
    }

    fn goal(&mut self, goal: Option<&definition::Goal>) -> Option<Goal> {
        let goal = goal?;
        self.check_event_name(&goal.event, "/goal/event");
        self.check_span(goal.within, "/goal/within");
        Some(Goal {
            event: event_key(&goal.event),
            conditions: self.conditions(goal.conditions.as_ref(), "/goal"),
            within: goal.within,
        })
    }
}

fn asks_something(condition: &Condition) -> bool {
    match &condition.ask {
        Ask::All(children) | Ask::Any(children) | Ask::None(children) => {
            children.iter().any(asks_something)
        }
        Ask::Attribute { .. }
        | Ask::Property { .. }
        | Ask::Event { .. }
        | Ask::Outreach { .. }
        | Ask::Segment { .. }
        | Ask::RandomBucket { .. } => true,
    }
}
