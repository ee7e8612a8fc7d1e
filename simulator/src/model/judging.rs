//! What triggers, what withdraws, and what is written down about it.

use engine::ids::CustomerId;
use engine::outreach::content::OutreachType;
use engine::outreach::definition::{Frequency, Trigger};
use engine::project::Status;
use serde_json::json;

use super::clock::{self, Ms};
use super::gates::{self, Question, Stage};
use super::history::{Event, Grant, GrantState, Source, What};
use super::reading::{answered, asks_of_events, cancel_events, delay_of, life_of};
use super::scene::{Scene, kind};
use super::verdict::{Outcome, Skip, Verdict};
use super::{Model, ReceiptKind, event_name};

/// A claim as a merge compares it: its place, its outreach, its key, whether it can be withdrawn.
type Claim = (usize, String, Option<String>, bool);

/// Why an outreach is asked.
#[derive(Clone, Copy, Default)]
struct Occasion {
    /// The place of the event.
    event: Option<usize>,
    /// When the trigger happened, when not now.
    at: Option<Ms>,
    /// The number of the launch.
    launch: Option<u32>,
}

impl Model {
    /// The customer at a moment, with nothing triggering.
    pub(super) fn scene(&self, customer: CustomerId, now: Ms) -> Scene<'_> {
        let zone = self.zone_of(customer);
        Scene {
            model: self,
            customer,
            now,
            zone,
            trigger: None,
            this: None,
            own: None,
            event: None,
        }
    }

    /// Something a client says the customer did; a session may begin with it.
    pub(super) fn take_track(
        &mut self,
        customer: CustomerId,
        now: Ms,
        event: &Event,
    ) -> Vec<Verdict> {
        let timeout = Ms::from(self.settings.session_timeout_minutes) * 60_000;
        let last = self.history.last_seen(customer);
        let mut events = Vec::new();
        if !event.historical && last.is_none_or(|last| event.at - last >= timeout) {
            events.push(Event {
                name: event_name("sessionStarted"),
                at: event.at,
                properties: json!({}),
                historical: false,
                source: Source::Session,
            });
        }
        events.push(event.clone());
        let mut verdicts = self.happen(customer, now, events);
        if !event.historical && !self.is_late(event, now) {
            for index in self.in_order() {
                let line = self.outreaches.get(index);
                let condition = line.and_then(|line| line.property_trigger());
                if condition.is_some_and(|(condition, _)| asks_of_events(condition)) {
                    verdicts.extend(self.judge_property(index, customer, now));
                }
            }
        }
        verdicts
    }

    fn is_late(&self, event: &Event, now: Ms) -> bool {
        event.at < now - Ms::from(self.settings.late_after_hours) * 3_600_000
    }

    /// Something came back; it counts as an event of the customer.
    pub(super) fn take_receipt(
        &mut self,
        customer: CustomerId,
        now: Ms,
        outreach: &str,
        kind: ReceiptKind,
        at: Ms,
    ) -> Vec<Verdict> {
        let sent = self.history.grants_of(customer).filter(|(_, grant)| {
            let shown = matches!(grant.state, GrantState::Standing | GrantState::Expired);
            grant.outreach == outreach && shown && grant.due_at <= now
        });
        let Some((place, grant)) = sent.last() else {
            return Vec::new();
        };
        if kind == ReceiptKind::Displayed && self.history.was_seen(place) {
            // A second tab, or a second opening: seen once is seen.
            return Vec::new();
        }
        if kind.step().is_none() && grant.outreach_type().is_in_app() {
            // What is shown in the browser does not bounce.
            return Vec::new();
        }
        let expired = grant.state == GrantState::Expired;
        let outreach_type = grant.outreach_type();
        let topic = match &grant.definition.content {
            engine::outreach::content::Content::Email { topic, .. } => topic.clone(),
            _ => String::new(),
        };
        let what = What::Receipt { outreach: outreach.to_owned(), grant: place, kind, at };
        self.history.push(customer, now, what);
        self.note("seen after it expired", expired);
        if expired && let Some(grant) = self.history.grants.get_mut(place) {
            // A browser that was offline: the claim is used up after all.
            grant.state = GrantState::Standing;
        }
        let channel = outreach_type.name();
        let name = match kind {
            ReceiptKind::Displayed if outreach_type == OutreachType::Email => "email.opened",
            ReceiptKind::Displayed => "outreach.displayed",
            ReceiptKind::Clicked => "outreach.clicked",
            ReceiptKind::Dismissed => "outreach.dismissed",
            ReceiptKind::Answered => answered(outreach_type),
            ReceiptKind::Bounced | ReceiptKind::Complained => {
                let attribute = gates::address_attribute(outreach_type);
                let address = attribute.and_then(|key| self.history.text(customer, key));
                if let Some(address) = address {
                    self.history.push(customer, now, What::Suppress { channel, address });
                }
                return Vec::new();
            }
            ReceiptKind::Unsubscribed => {
                let key = if topic.is_empty() {
                    channel.to_owned()
                } else {
                    format!("{channel}/{topic}")
                };
                self.history.push(customer, now, What::Consent { key, allowed: false });
                return Vec::new();
            }
        };
        let event = Event {
            name: event_name(name),
            at,
            properties: json!({ "outreach": outreach }),
            historical: false,
            source: Source::Delivery(outreach.to_owned()),
        };
        self.happen(customer, now, vec![event])
    }

    /// What happens at one moment is written down first; then it withdraws, then it reaches goals,
    /// then it triggers.
    fn happen(&mut self, customer: CustomerId, now: Ms, events: Vec<Event>) -> Vec<Verdict> {
        let mut places = Vec::new();
        for event in &events {
            places.push(self.history.push(customer, now, What::Event(event.clone())));
        }
        let mut verdicts = Vec::new();
        for event in &events {
            verdicts.extend(self.withdraw(customer, now, event));
        }
        for event in &events {
            self.reach_goals(customer, now, event);
        }
        for (event, place) in events.iter().zip(places) {
            verdicts.extend(self.trigger(customer, now, event, place));
        }
        verdicts
    }

    /// Goals that follow a delivery within their time; imported events reach them too.
    fn reach_goals(&mut self, customer: CustomerId, now: Ms, event: &Event) {
        for index in self.in_order() {
            let Some(line) = self.outreaches.get(index) else { continue };
            let Some(goal) =
                line.published.as_ref().and_then(|definition| definition.goal.as_ref())
            else {
                continue;
            };
            if event_name(&goal.event) != event.name {
                continue;
            }
            let scene = self.scene(customer, now);
            let in_time = self.history.grants_of(customer).any(|(_, grant)| {
                let end = clock::span_after(grant.due_at, goal.within, &scene.zone);
                let sent = grant.outreach == line.id && grant.state == GrantState::Standing;
                sent && grant.due_at < event.at && event.at <= end
            });
            let reached = in_time && scene.event_meets(event, goal.conditions.as_ref());
            self.note("goal reached", reached);
            if reached {
                let outreach = line.id.clone();
                self.history.push(customer, now, What::Convert { outreach, at: event.at });
            }
        }
    }

    /// Each outreach that waits for this event is judged.
    fn trigger(
        &mut self,
        customer: CustomerId,
        now: Ms,
        event: &Event,
        place: usize,
    ) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        if event.historical || self.is_late(event, now) {
            return verdicts;
        }
        for index in self.in_order() {
            let Some(line) = self.outreaches.get(index) else { continue };
            let Some(definition) = &line.published else { continue };
            let Trigger::Event { event: name, conditions, .. } = &definition.trigger else {
                continue;
            };
            let caused =
                matches!(&event.source, Source::Delivery(outreach) if *outreach == line.id);
            let since_live = line.live_since.is_some_and(|since| event.at >= since);
            if !line.is_judged() || caused || !since_live || event_name(name) != event.name {
                continue;
            }
            let scene = self.scene(customer, now);
            let fires = scene.event_meets(event, conditions.as_ref());
            self.note("trigger event", fires);
            if fires {
                let occasion = Occasion { event: Some(place), at: Some(event.at), launch: None };
                verdicts.extend(self.decide(index, customer, now, occasion));
            }
        }
        verdicts
    }

    /// What waits and names this event is withdrawn, when the event happened after the trigger.
    fn withdraw(&mut self, customer: CustomerId, now: Ms, event: &Event) -> Vec<Verdict> {
        let mut waiting: Vec<(usize, Grant)> = Vec::new();
        for index in self.in_order() {
            let Some(line) = self.outreaches.get(index) else { continue };
            let grants = self.history.grants_of(customer).filter(|(_, grant)| {
                grant.outreach == line.id && grant.state == GrantState::Waiting
            });
            waiting.extend(grants.map(|(place, grant)| (place, grant.clone())));
        }
        let mut verdicts = Vec::new();
        for (place, grant) in waiting {
            let scene = self.scene(customer, now);
            let cancels = cancel_events(&grant.definition).iter().any(|cancel| {
                event_name(&cancel.event) == event.name
                    && event.at >= grant.triggered_at
                    && scene.event_meets(event, cancel.conditions.as_ref())
            });
            self.note("cancel event", cancels);
            if cancels {
                verdicts.extend(self.cancel(place, customer, now, Skip::CancelledByEvent));
                if matches!(grant.definition.trigger, Trigger::UserProperty { .. }) {
                    // The property still holds; the next write must not bring it back.
                    self.history.push(customer, now, What::Exclude { outreach: grant.outreach });
                }
            }
        }
        verdicts
    }

    /// Take a waiting message and its claim back.
    pub(super) fn cancel(
        &mut self,
        place: usize,
        customer: CustomerId,
        now: Ms,
        skip: Skip,
    ) -> Option<Verdict> {
        self.note(&format!("cancelled {}", skip.code()), true);
        let outreach = self.release(place)?;
        Some(Verdict { outreach, customer, at: now, outcome: Outcome::Cancelled(skip) })
    }

    /// A claim is no longer in force; the answer is its outreach.
    pub(super) fn release(&mut self, place: usize) -> Option<String> {
        let grant = self.history.grants.get_mut(place)?;
        grant.state = GrantState::Released;
        Some(grant.outreach.clone())
    }

    /// Attributes were written: every property trigger is asked.
    pub(super) fn judge_properties(&mut self, customer: CustomerId, now: Ms) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        for index in self.in_order() {
            verdicts.extend(self.judge_property(index, customer, now));
        }
        verdicts
    }

    /// Does a property trigger want this customer now?
    pub(super) fn judge_property(
        &mut self,
        index: usize,
        customer: CustomerId,
        now: Ms,
    ) -> Option<Verdict> {
        let line = self.outreaches.get(index)?;
        let (condition, _) = line.property_trigger()?;
        if !line.is_judged() {
            return None;
        }
        let matches = self.scene(customer, now).admits(Some(condition));
        self.note("trigger user_property", matches);
        let outreach = line.id.clone();
        let excluded = self.history.excluded(customer, &outreach);
        self.readmit(customer, now);
        if !matches {
            return None;
        }
        self.note("property trigger excluded", excluded);
        if excluded || self.holds_claim(customer, &outreach) {
            return None;
        }
        self.decide(index, customer, now, Occasion::default())
    }

    fn holds_claim(&self, customer: CustomerId, outreach: &str) -> bool {
        let mut grants = self.history.grants_of(customer);
        grants.any(|(_, grant)| grant.outreach == outreach && grant.in_force())
    }

    /// Whoever was passed over comes into question again when the property stops holding. Nobody
    /// looks while a claim is held.
    pub(super) fn readmit(&mut self, customer: CustomerId, now: Ms) {
        for index in self.in_order() {
            let Some(line) = self.outreaches.get(index) else { continue };
            let Some((condition, _)) = line.property_trigger() else { continue };
            let outreach = line.id.clone();
            let passed_over = line.is_judged()
                && self.history.excluded(customer, &outreach)
                && !self.holds_claim(customer, &outreach);
            if passed_over && !self.scene(customer, now).admits(Some(condition)) {
                self.history.push(customer, now, What::Readmit { outreach });
            }
        }
    }

    /// A property trigger begins: those who already match are due, or passed over.
    pub(super) fn go_live(&mut self, index: usize, now: Ms) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        for customer in self.history.customers() {
            let Some(line) = self.outreaches.get(index) else { break };
            let Some((condition, include_current)) = line.property_trigger() else { break };
            let outreach = line.id.clone();
            let claimed = self.holds_claim(customer, &outreach);
            if !include_current && !claimed && self.scene(customer, now).admits(Some(condition)) {
                self.history.push(customer, now, What::Exclude { outreach });
                continue;
            }
            verdicts.extend(self.judge_property(index, customer, now));
        }
        verdicts
    }

    /// One snapshot of those who match, and each of them is asked once.
    pub(super) fn launch_one_off(&mut self, index: usize, now: Ms) -> Vec<Verdict> {
        let Some(line) = self.outreaches.get_mut(index) else { return Vec::new() };
        let definition = line.latest.clone();
        let one_off = matches!(definition.trigger, Trigger::OneOff { .. });
        if !one_off || line.launches > 0 || line.status == Status::Ended {
            return Vec::new();
        }
        line.published = Some(definition.clone());
        line.status = Status::Live;
        line.live_since = Some(now);
        line.launches += 1;
        let launch = Some(line.launches);
        let id = line.id.clone();
        let mut snapshot = self.history.customers();
        snapshot.retain(|customer| {
            let scene = Scene { this: Some(&id), ..self.scene(*customer, now) };
            let member = scene.admits(definition.audience.filter());
            self.note("trigger one_off", member);
            member
        });
        let occasion = Occasion { event: None, at: None, launch };
        let asked = snapshot.into_iter();
        asked.filter_map(|customer| self.decide(index, customer, now, occasion)).collect()
    }

    /// All gates; a send gives the claim.
    fn decide(
        &mut self,
        index: usize,
        customer: CustomerId,
        now: Ms,
        occasion: Occasion,
    ) -> Option<Verdict> {
        let line = self.outreaches.get(index)?;
        let definition = line.published.clone()?;
        let outreach = line.id.clone();
        let delay = delay_of(&definition);
        let scene = self.scene(customer, now);
        let zone = scene.zone.clone();
        let question = Question {
            outreach: &line.id,
            status: line.status,
            definition: &definition,
            scene: Scene { trigger: occasion.event, this: Some(&line.id), ..scene },
            stage: if delay.is_some() { Stage::Early } else { Stage::Now },
            launch: occasion.launch,
        };
        let answer = question.answer();
        let key = match definition.frequency {
            Frequency::EveryTime if occasion.launch.is_none() => {
                occasion.event.map(|place| format!("event {place}"))
            }
            _ => question.key(),
        };
        self.note("decision sends", answer.is_ok());
        let outcome = match answer {
            Err(skip) => {
                self.note(&format!("refused {}", skip.code()), true);
                Outcome::Skip(skip)
            }
            Ok(leaves) => {
                let wanted = delay.map_or(now, |delay| clock::span_after(now, delay, &zone));
                let due_at = if delay.is_some() { wanted } else { leaves };
                self.note(&format!("sends by {}", kind(&definition.content)), true);
                self.note("send is held by the hour", due_at != wanted);
                self.note("send waits for a delay", delay.is_some());
                let waiting = due_at > now;
                let life = life_of(&definition, self.settings.in_app_expiry_days);
                self.history.grants.push(Grant {
                    outreach: outreach.clone(),
                    customer,
                    at: now,
                    key,
                    trigger: occasion.event,
                    triggered_at: occasion.at.unwrap_or(now),
                    due_at,
                    expires_at: life.map(|life| clock::span_after(wanted, life, &zone)),
                    state: if waiting { GrantState::Waiting } else { GrantState::Standing },
                    definition,
                });
                Outcome::Send { due_at, waiting }
            }
        };
        Some(Verdict { outreach, customer, at: now, outcome })
    }

    /// The claims in force of one customer that only one of two merged people may keep.
    pub(super) fn open_claims(&self, customer: CustomerId) -> Vec<Claim> {
        let grants = self.history.grants_of(customer).filter(|(_, grant)| {
            let single = grant.key.is_some() || grant.definition.frequency == Frequency::Once;
            grant.in_force() && single
        });
        grants
            .map(|(place, grant)| {
                let waits = grant.state == GrantState::Waiting;
                let unseen = grant.outreach_type().is_in_app() && !self.history.was_seen(place);
                (place, grant.outreach.clone(), grant.key.clone(), waits || unseen)
            })
            .collect()
    }
}
