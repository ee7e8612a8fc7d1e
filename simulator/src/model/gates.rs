//! The gates, in the order of the contract. The first that refuses is the reason.

use engine::decision::GateName;
use engine::outreach::content::{Content, OutreachType};
use engine::outreach::definition::{Cap, CapScope, Definition, Frequency, Span};
use engine::project::Status;

use super::clock::{self, Ms};
use super::history::Grant;
use super::scene::{Scene, bucket, kind};
use super::timing;
use super::values;
use super::verdict::Skip;

/// What is asked of the gates.
pub struct Question<'a> {
    /// The outreach's id.
    pub outreach: &'a str,
    /// Where it stands.
    pub status: Status,
    /// The version that decides.
    pub definition: &'a Definition,
    /// Who and when.
    pub scene: Scene<'a>,
    /// At which of the two moments of a delayed outreach.
    pub stage: Stage,
    /// The number of the launch.
    pub launch: Option<u32>,
}

/// An outreach with a delay is judged twice.
#[derive(Clone, Copy, PartialEq)]
pub enum Stage {
    /// At the trigger, and the message would go now.
    Now,
    /// At the trigger, and the message would go after a delay.
    Early,
    /// When the delay is over.
    Late {
        /// Ask the audience again.
        audience: bool,
    },
}

impl Question<'_> {
    /// When the message may leave, or the reason why it must not.
    pub fn answer(&self) -> Result<Ms, Skip> {
        let late = matches!(self.stage, Stage::Late { .. });
        self.passes(GateName::Status, self.status_gate())?;
        if !late {
            self.passes(GateName::Schedule, self.schedule_gate())?;
        }
        // The snapshot was taken at the launch; who is in it stays in it.
        if self.launch.is_none() && self.stage != (Stage::Late { audience: false }) {
            self.passes(GateName::Audience, self.audience_gate())?;
        }
        if !late {
            let question = format!("frequency {}", kind(&self.definition.frequency));
            let answer = self.frequency_gate();
            if self.launch.is_none() {
                self.scene.model.note(&question, answer.is_ok());
            }
            self.passes(GateName::Frequency, answer)?;
        }
        self.passes(GateName::Holdout, self.holdout_gate())?;
        let leaves = self.passes(GateName::Guardrails, self.guardrails_gate())?;
        self.passes(GateName::Reach, self.reach_gate())?;
        if self.status == Status::Shadow {
            return self.passes(GateName::Status, Err(Skip::Shadow));
        }
        Ok(leaves)
    }

    /// Count what a gate said.
    fn passes<T>(&self, gate: GateName, answer: Result<T, Skip>) -> Result<T, Skip> {
        self.scene.model.note(&format!("gate {}", gate.name()), answer.is_ok());
        answer
    }

    fn status_gate(&self) -> Result<(), Skip> {
        match self.status {
            Status::Live | Status::Shadow => Ok(()),
            Status::Draft | Status::Paused | Status::Ended => Err(Skip::NotLive),
        }
    }

    fn schedule_gate(&self) -> Result<(), Skip> {
        let moment = |text: &Option<String>| {
            let when = text.as_deref().and_then(|text| clock::read(text, &self.scene.zone));
            when.map(|when| when.start(&self.scene.zone))
        };
        let schedule = &self.definition.schedule;
        if moment(&schedule.start).is_some_and(|start| self.scene.now < start) {
            return Err(Skip::NotStarted);
        }
        if moment(&schedule.stop).is_some_and(|stop| self.scene.now >= stop) {
            return Err(Skip::Stopped);
        }
        Ok(())
    }

    fn audience_gate(&self) -> Result<(), Skip> {
        let admitted = self.scene.admits(self.definition.audience.filter());
        if admitted { Ok(()) } else { Err(Skip::NotInAudience) }
    }

    /// The key of the claim, where the rule has one.
    pub fn key(&self) -> Option<String> {
        if let Some(launch) = self.launch {
            return Some(format!("launch {launch}"));
        }
        let Frequency::OncePerKey { property } = &self.definition.frequency else {
            return None;
        };
        let event = self.scene.model.history.event(self.scene.trigger?)?;
        let text = values::at_path(&event.properties, property).as_ref().and_then(values::text)?;
        let key = text.trim();
        (!key.is_empty()).then(|| key.to_owned())
    }

    fn frequency_gate(&self) -> Result<(), Skip> {
        let scene = &self.scene;
        let grants: Vec<&Grant> = scene
            .model
            .history
            .grants_of(scene.customer)
            .filter(|(_, grant)| grant.outreach == self.outreach && grant.in_force())
            .map(|(_, grant)| grant)
            .collect();
        let refuse = |refused: bool, skip: Skip| if refused { Err(skip) } else { Ok(()) };
        let too_soon = |span: Span| {
            let since = clock::span_before(scene.now, span, &scene.zone);
            refuse(grants.iter().any(|grant| grant.at > since), Skip::TooSoon)
        };
        let key = self.key();
        let key_used = key.is_some() && grants.iter().any(|grant| grant.key == key);
        match &self.definition.frequency {
            Frequency::EveryTime => Ok(()),
            Frequency::Once => refuse(!grants.is_empty(), Skip::AlreadySent),
            Frequency::OncePerKey { .. } if key.is_none() => Err(Skip::NoKey),
            Frequency::OncePerKey { .. } => refuse(key_used, Skip::KeyUsed),
            Frequency::AtMostOncePer { amount, unit } => {
                too_soon(Span { amount: *amount, unit: *unit })
            }
            Frequency::AtMost { times } => {
                refuse(grants.len() as u64 >= u64::from(*times), Skip::AlreadySent)
            }
            Frequency::UntilAnswered { at_most_once_per } => {
                let step = engine::outreach::definition::OutreachStep::Answered;
                let answers = scene.model.history.receipts(scene.customer, self.outreach, step);
                refuse(!answers.is_empty(), Skip::Answered)?;
                at_most_once_per.map_or(Ok(()), too_soon)
            }
        }
    }

    fn holdout_gate(&self) -> Result<(), Skip> {
        let percent = self.definition.guardrails.holdout_percent;
        let customer = self.scene.customer.to_bytes();
        let place = bucket(&[b"holdout", self.outreach.as_bytes(), &customer]);
        if place < percent * 100.0 { Err(Skip::HeldOut) } else { Ok(()) }
    }

    fn guardrails_gate(&self) -> Result<Ms, Skip> {
        let settings = &self.scene.model.settings;
        let own = &self.definition.guardrails;
        for cap in &own.caps {
            self.under(cap, false)?;
        }
        if !own.ignore_project_limits {
            for cap in &settings.caps {
                self.under(cap, true)?;
            }
        }
        match self.stage {
            // The hour of the day matters when the message would leave.
            Stage::Early => Ok(self.scene.now),
            Stage::Now | Stage::Late { .. } => {
                timing::allowed(self.definition, settings, &self.scene.zone, self.scene.now)
            }
        }
    }

    /// A cap speaks only about outreaches that it counts.
    fn under(&self, cap: &Cap, of_project: bool) -> Result<(), Skip> {
        if !counted(&cap.over, self.definition) {
            return Ok(());
        }
        let scene = &self.scene;
        let since = clock::span_before(scene.now, cap.per, &scene.zone);
        // An outreach is counted as what it is now, whichever version sent.
        let sent = scene.model.history.grants_of(scene.customer).filter(|(place, grant)| {
            Some(*place) != scene.own
                && grant.in_force()
                && grant.at > since
                && scene.model.published(&grant.outreach).is_some_and(|definition| {
                    counted(&cap.over, definition)
                        && !(of_project && definition.guardrails.ignore_project_limits)
                })
        });
        if sent.count() as u64 >= u64::from(cap.times) { Err(Skip::Capped) } else { Ok(()) }
    }

    fn reach_gate(&self) -> Result<(), Skip> {
        let outreach_type = self.definition.content.outreach_type();
        let Some(attribute) = address_attribute(outreach_type) else {
            return Ok(());
        };
        let history = &self.scene.model.history;
        let customer = self.scene.customer;
        let address = history.text(customer, attribute).ok_or(Skip::NoAddress)?;
        if outreach_type == OutreachType::Email && !address.contains('@') {
            return Err(Skip::NoAddress);
        }
        if history.suppressed(customer, outreach_type.name(), &address) {
            return Err(Skip::Suppressed);
        }
        if !self.consents(outreach_type) {
            return Err(Skip::NoConsent);
        }
        Ok(())
    }

    /// A no to the channel or to the topic is a no; then a yes to either is a yes.
    fn consents(&self, outreach_type: OutreachType) -> bool {
        let (topic, transactional) = match &self.definition.content {
            Content::Email { topic, transactional, .. } => (topic.as_str(), *transactional),
            _ => ("", false),
        };
        if transactional {
            return true;
        }
        let channel = outreach_type.name();
        let ask = |key: &str| self.scene.model.history.consent(self.scene.customer, key);
        let answers = if topic.is_empty() {
            vec![ask(channel)]
        } else {
            vec![ask(channel), ask(&format!("{channel}/{topic}"))]
        };
        if answers.contains(&Some(false)) {
            return false;
        }
        answers.contains(&Some(true)) || self.scene.model.settings.consent_by_default
    }
}

/// The attribute that holds the address of a channel; `None` when it needs none.
pub fn address_attribute(outreach_type: OutreachType) -> Option<&'static str> {
    match outreach_type {
        OutreachType::Email => Some("email"),
        OutreachType::Sms | OutreachType::Whatsapp => Some("phone"),
        OutreachType::Push => Some("push_token"),
        OutreachType::Webhook
        | OutreachType::Message
        | OutreachType::Survey
        | OutreachType::Tour
        | OutreachType::Checklist
        | OutreachType::Banner
        | OutreachType::Modal
        | OutreachType::Tooltip
        | OutreachType::News => None,
    }
}

fn counted(scope: &CapScope, definition: &Definition) -> bool {
    match scope {
        CapScope::Everything => true,
        CapScope::Channel { channel } => *channel == definition.content.outreach_type(),
        CapScope::Tag { tag } => definition.tags.contains(tag),
    }
}
