//! From what a client says to facts about customers: who is meant, who turns out to be whom, and
//! whether it was said before.

use engine::customer::Customer;
use engine::delivery::{Delivery, DeliveryState};
use engine::fact::{Event, Fact, Names};
use engine::ids::{CustomerId, DeliveryId, EventId, ProjectNo};
use engine::project::Project;
use engine::time::Timestamp;
use store::state::StateError;

use crate::command::{Command, Refused, Track};
use crate::limits::FACT_BYTES;
use crate::note::{nominal, partition_of, receipt_partition};
use crate::seen;
use crate::shared::Shared;

/// What a command comes to.
pub(crate) enum Plan {
    /// It was accepted before.
    Duplicate(CustomerId),
    /// These facts, in this order and together; the answer is about this customer.
    Facts(CustomerId, Vec<(CustomerId, Fact)>),
}

/// Why a command does not become facts.
pub(crate) enum Stop {
    /// The client's fault.
    Refused(Refused),
    /// The state cannot be read: ours.
    State(StateError),
}

impl From<Refused> for Stop {
    fn from(refused: Refused) -> Stop {
        Stop::Refused(refused)
    }
}

impl From<StateError> for Stop {
    fn from(error: StateError) -> Stop {
        Stop::State(error)
    }
}

/// Resolves the commands of one project at one moment.
pub(crate) struct Resolver<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) project: &'a Project,
    pub(crate) now: Timestamp,
}

impl Resolver<'_> {
    /// The facts of a command. Changes of the project do not come here.
    pub(crate) fn plan(&self, command: Command) -> Result<Plan, Stop> {
        match command {
            Command::Track(track) => self.track(track),
            Command::Identify { names, message_id, changes, historical } => {
                let id = self.event_id(&message_id)?;
                let nominal = self.meant(&names)?;
                if self.is_seen(&names, nominal, id)? {
                    return Ok(Plan::Duplicate(self.home(nominal)?));
                }
                let home = self.home(nominal)?;
                let mut facts = self.merge(home, &names)?;
                facts.push((home, Fact::Attributes { id, changes, names, historical }));
                Ok(Plan::Facts(home, facts))
            }
            Command::Alias { previous, names, message_id: _ } => self.alias(&previous, &names),
            Command::Receipt { delivery, customer, kind, receipt_id, at, detail } => {
                let row = self.delivery(delivery)?;
                let home = self.owner(row.customer)?;
                if let Some(customer) = customer
                    && self.home(customer)? != home
                {
                    return Err(not_found("delivery", &delivery).into());
                }
                // With its position: whoever was erased and came back may be sent the same
                // delivery again, and ids that were seen outlive them.
                let position = row.position;
                let id = self.event_id(&format!("receipt {delivery} {position} {receipt_id}"))?;
                if self.shared.layers.is_seen(seen::name((receipt_partition(delivery), id)))? {
                    return Ok(Plan::Duplicate(home));
                }
                let at = at.unwrap_or(self.now).min(self.now);
                let outreach = row.delivery.outreach;
                let fact = Fact::Receipt { id, delivery, outreach, kind, at, detail };
                Ok(Plan::Facts(home, vec![(home, fact)]))
            }
            Command::Consent { customer, channel, topic, allowed } => {
                self.about(customer, Fact::Consent { channel, topic, allowed })
            }
            Command::Started { customer, delivery } => self.started(customer, delivery),
            Command::Attempted { customer, delivery, outcome } => {
                self.about_delivery(customer, delivery, |found| Fact::Attempted {
                    delivery,
                    outreach: found.outreach,
                    outcome,
                })
            }
            Command::Settle { delivery, by } => {
                let customer = self.delivery(delivery)?.customer;
                self.about_delivery(customer, delivery, |_| Fact::Settled { delivery, by })
            }
            Command::AllowAgain { customer, outreach } => {
                let Some(no) = self.project.numbers.get(&outreach) else {
                    return Err(not_found("outreach", &outreach).into());
                };
                self.about(customer, Fact::AllowedAgain { outreach: *no })
            }
            Command::Erase { customer } => self.erase(customer),
            Command::SaveOutreach { .. } | Command::Change(_) => {
                Err(Refused::Invalid("a change of the project is no fact".to_owned()).into())
            }
        }
    }

    fn track(&self, track: Track) -> Result<Plan, Stop> {
        let Track { names, message_id, name, at, properties, changes, historical, page } = track;
        let name = name.trim().to_owned();
        if name.is_empty() {
            return Err(Refused::Invalid("an event needs a name".to_owned()).into());
        }
        if properties.len() > FACT_BYTES {
            return Err(Refused::Invalid(format!(
                "the properties have {} bytes, more than {FACT_BYTES}",
                properties.len()
            ))
            .into());
        }
        let id = self.event_id(&message_id)?;
        let nominal = self.meant(&names)?;
        let home = self.home(nominal)?;
        if self.is_seen(&names, nominal, id)? {
            return Ok(Plan::Duplicate(home));
        }
        let mut facts = self.merge(home, &names)?;
        if !changes.is_empty() {
            // Under an id of its own, or the event would look like its repetition.
            let id = self.event_id(&format!("attributes of {message_id}"))?;
            let names = names.clone();
            facts.push((home, Fact::Attributes { id, changes, names, historical }));
        }
        let at = at.min(self.now);
        let event = Event { id, name, at, properties, historical, names, page, hops: 0 };
        facts.push((home, Fact::Event(event)));
        Ok(Plan::Facts(home, facts))
    }

    fn alias(&self, previous: &Names, names: &Names) -> Result<Plan, Stop> {
        let Some(user_id) = &names.user_id else {
            return Err(Refused::Invalid("an alias needs the new user id".to_owned()).into());
        };
        let home = self.home(CustomerId::of_user(self.project.no, user_id))?;
        let before = self.meant(previous)?;
        // A guest that a device is known by may also be what `previous` calls a user.
        let before = match self.shared.follow_held(self.project.no, before)? {
            Some(found) => Some(found),
            None => match &previous.user_id {
                Some(name) => {
                    let guest = CustomerId::of_guest(self.project.no, name);
                    self.shared.follow_held(self.project.no, guest)?
                }
                None => None,
            },
        };
        match before {
            Some(before) if before != home => {
                Ok(Plan::Facts(home, self.merge_facts(before, home, names)?))
            }
            Some(_) => Ok(Plan::Duplicate(home)),
            None => {
                let name = previous.user_id.as_ref().or(previous.anonymous_id.as_ref());
                Err(not_found("customer", &name.map_or("", String::as_str)).into())
            }
        }
    }

    /// Both names were sent and the guest is nobody else's yet: the guest becomes the user.
    fn merge(&self, home: CustomerId, names: &Names) -> Result<Vec<(CustomerId, Fact)>, Stop> {
        let (Some(_), Some(anonymous_id)) = (&names.user_id, &names.anonymous_id) else {
            return Ok(Vec::new());
        };
        let guest = CustomerId::of_guest(self.project.no, anonymous_id);
        let is_free = |customer: &Customer| customer.merged_into.is_none() && customer.is_guest();
        match self.shared.hold((self.project.no, guest), is_free)? {
            Some(true) if guest != home => self.merge_facts(guest, home, names),
            Some(_) | None => Ok(Vec::new()),
        }
    }

    fn merge_facts(
        &self,
        guest: CustomerId,
        home: CustomerId,
        names: &Names,
    ) -> Result<Vec<(CustomerId, Fact)>, Stop> {
        let key = (self.project.no, guest);
        let Some(mut snapshot) = self.shared.hold(key, Customer::clone)? else {
            return Ok(Vec::new());
        };
        // The user remembers under which ids the older facts lie.
        if !snapshot.merged.contains(&guest) {
            snapshot.merged.push(guest);
        }
        let merged = Fact::Merged { guest: Box::new(snapshot), names: names.clone() };
        Ok(vec![(guest, Fact::MergedInto { customer: home }), (home, merged)])
    }

    /// The customer and every guest that became part of them.
    fn erase(&self, customer: CustomerId) -> Result<Plan, Stop> {
        let home = self.owner(customer)?;
        let key = (self.project.no, home);
        let merged = self.shared.hold(key, |customer| customer.merged.clone())?;
        let mut facts = vec![(home, Fact::Erased)];
        for guest in merged.unwrap_or_default() {
            facts.push((guest, Fact::Erased));
        }
        Ok(Plan::Facts(home, facts))
    }

    fn about(&self, customer: CustomerId, fact: Fact) -> Result<Plan, Stop> {
        let home = self.owner(customer)?;
        Ok(Plan::Facts(home, vec![(home, fact)]))
    }

    fn about_delivery(
        &self,
        customer: CustomerId,
        delivery: DeliveryId,
        fact: impl FnOnce(&Delivery) -> Fact,
    ) -> Result<Plan, Stop> {
        let home = self.owner(customer)?;
        let key = (self.project.no, home);
        let fact =
            self.shared.hold(key, |customer| customer.deliveries.get(&delivery).map(fact))?;
        match fact.flatten() {
            Some(fact) => Ok(Plan::Facts(home, vec![(home, fact)])),
            None => Err(not_found("delivery", &delivery).into()),
        }
    }

    /// An attempt may begin only on what is still due: whoever took it may have waited long, and a
    /// claim that was given back meanwhile must not be used all the same.
    fn started(&self, customer: CustomerId, delivery: DeliveryId) -> Result<Plan, Stop> {
        let mut is_due = false;
        let plan = self.about_delivery(customer, delivery, |found| {
            is_due = found.state == DeliveryState::Due;
            Fact::Started { delivery }
        })?;
        if is_due {
            return Ok(plan);
        }
        Err(Refused::Conflict(format!("the delivery {delivery} is not due any more")).into())
    }

    fn delivery(&self, id: DeliveryId) -> Result<crate::rows::DeliveryRow, Stop> {
        let row = self.shared.layers.delivery(self.project.no, id)?;
        row.ok_or_else(|| not_found("delivery", &id).into())
    }

    fn owner(&self, customer: CustomerId) -> Result<CustomerId, Stop> {
        let found = self.shared.follow_held(self.project.no, customer)?;
        found.ok_or_else(|| not_found("customer", &customer).into())
    }

    fn home(&self, id: CustomerId) -> Result<CustomerId, Stop> {
        Ok(self.shared.home_held(self.project.no, id)?)
    }

    fn meant(&self, names: &Names) -> Result<CustomerId, Stop> {
        let has_name = |name: &Option<String>| name.as_ref().is_none_or(|name| !name.is_empty());
        let named = has_name(&names.user_id) && has_name(&names.anonymous_id);
        nominal(self.project.no, names).filter(|_| named).ok_or_else(|| {
            Refused::Invalid("a user id or an anonymous id is needed, not empty".to_owned()).into()
        })
    }

    fn event_id(&self, message_id: &str) -> Result<EventId, Stop> {
        if message_id.is_empty() {
            return Err(Refused::Invalid("a message id is needed".to_owned()).into());
        }
        Ok(EventId::of(self.project.no, message_id))
    }

    fn is_seen(&self, names: &Names, customer: CustomerId, id: EventId) -> Result<bool, Stop> {
        let partition = partition_of(self.project.no, names, customer);
        Ok(self.shared.layers.is_seen(seen::name((partition, id)))?)
    }
}

/// Find a customer by what a person types: a `cus_` id, a user id or an anonymous id.
pub(crate) fn by_text(
    shared: &Shared,
    project: ProjectNo,
    text: &str,
) -> Result<Option<CustomerId>, StateError> {
    let text = text.trim();
    let by_id = text.parse().ok();
    let user = Some(CustomerId::of_user(project, text));
    let guest = Some(CustomerId::of_guest(project, text));
    for id in [by_id, user, guest].into_iter().flatten() {
        if let Some(found) = shared.follow(project, id)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

pub(crate) fn not_found(kind: &'static str, id: &impl ToString) -> Refused {
    Refused::NotFound { kind, id: id.to_string() }
}
