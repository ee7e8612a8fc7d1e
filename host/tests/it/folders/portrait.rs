//! What a host holds, in words that outlive its types: what people would notice if it were gone.
//!
//! Written field by field and never by a derived serializer, so that memory and records may change
//! their shape and the portrait of an old folder stays.

use std::collections::BTreeMap;

use engine::customer::{Customer, Tally};
use engine::decision::{Decision, Outcome, Ruling};
use engine::fact::{AttemptOutcome, Fact};
use engine::ids::{CustomerId, ProjectNo};
use engine::project::Project;
use engine::time::Timestamp;
use host::Host;
use host::query::decisions::DecisionFilter;
use host::query::deliveries::DeliveryFilter;
use host::query::timeline::{Moment, TimelineEntry};
use serde_json::{Value as Json, json};

/// More than any of the folders has.
const ALL: usize = 1_000;

pub(super) fn of(host: &Host) -> Json {
    let projects = host.projects().into_iter().map(|own| (own.id.clone(), project(host, &own)));
    projects.collect::<serde_json::Map<_, _>>().into()
}

fn project(host: &Host, own: &Project) -> Json {
    let no = own.no;
    let customers = host.customers(no, None, None, None, ALL).unwrap();
    let lives = customers.iter().map(|(id, one)| (id.to_string(), customer(host, no, *id, one)));
    let catalogue = host.catalogue(no);
    let seen: BTreeMap<String, u64> =
        catalogue.events.values().map(|entry| (entry.name.clone(), entry.count)).collect();
    json!({
        "no": no.0,
        "settings": [own.settings.name, own.settings.timezone],
        "outreaches": own.outreaches.values().map(|line| json!({
            "no": line.no.0,
            "id": line.id,
            "status": line.status.name(),
            "live_since": ms(line.live_since),
            "versions": line.versions.iter().map(|version| json!({
                "name": version.definition.name,
                "author": version.author,
                "saved_at": version.saved_at.0,
            })).collect::<Vec<_>>(),
            "live_version": line.live.as_ref().map(|live| live.version),
            "launches": line.launches,
            "archived": line.archived,
            "scheduled": ms(host.scheduled_launch(no, &line.id)),
            "progress": host.launch_progress(no, line.no).map(|progress| json!({
                "total": progress.total, "done": progress.done, "at": ms(progress.at),
            })),
            "counts": host.counts(no).get(&line.no).map(|counts| json!({
                "sends": counts.sends, "skips": counts.skips, "latest": ms(counts.latest),
            })),
        })).collect::<Vec<_>>(),
        "segments": own.segments.values().map(|segment| json!({
            "id": segment.id, "name": segment.name, "filtered": segment.filter.is_some(),
        })).collect::<Vec<_>>(),
        "events": seen,
        "customers": lives.collect::<serde_json::Map<_, _>>(),
        "deliveries": deliveries(host, no),
        "decisions": decisions(host, no),
    })
}

fn customer(host: &Host, no: ProjectNo, id: CustomerId, one: &Customer) -> Json {
    let attributes = one.attributes.iter().map(|(key, attribute)| {
        (key.to_string(), json!([attribute.value.to_json(), attribute.changed.0]))
    });
    let consent = one.consent.iter().map(|(key, consent)| {
        (key.clone(), json!({"allowed": consent.allowed, "at": consent.at.0}))
    });
    let series = one.series.iter().map(|(key, series)| {
        let all = series.within(Timestamp(i64::MIN), Timestamp(i64::MAX));
        (format!("{key:016x}"), json!(all.iter().map(|one| one.at.0).collect::<Vec<_>>()))
    });
    let tallies = one.tallies.iter().map(|(no, tally)| (no.0.to_string(), tally_of(tally)));
    let open = one.deliveries.values().map(|one| (one.id.to_string(), json!(one.state.name())));
    let wakes = one
        .wakes
        .iter()
        .map(|(no, wake)| (no.0.to_string(), json!({"at": ms(wake.at), "held": wake.held})));
    json!({
        "user_id": one.user_id,
        "anonymous_ids": one.anonymous_ids,
        "merged": one.merged.iter().map(CustomerId::to_string).collect::<Vec<_>>(),
        "first_seen": ms(one.first_seen),
        "last_seen": ms(one.last_seen),
        "session": one.session.map(|session| json!({
            "started": session.started.0, "latest": session.latest.0, "count": session.count,
        })),
        "attributes": attributes.collect::<serde_json::Map<_, _>>(),
        "consent": consent.collect::<serde_json::Map<_, _>>(),
        "suppressed": one.suppressed,
        "happened": series.collect::<serde_json::Map<_, _>>(),
        "outreaches": tallies.collect::<serde_json::Map<_, _>>(),
        "deliveries": open.collect::<serde_json::Map<_, _>>(),
        "page": one.page,
        "wakes": wakes.collect::<serde_json::Map<_, _>>(),
        "inbox": host.inbox(no, id).unwrap().iter().map(|one| one.id.to_string()).collect::<Vec<_>>(),
        "timeline": timeline(host, no, id),
    })
}

fn tally_of(tally: &Tally) -> Json {
    let times = |times: &[Timestamp]| times.iter().map(|at| at.0).collect::<Vec<_>>();
    json!({
        "granted": times(&tally.granted),
        "keys": tally.keys.iter().map(|(key, at)| json!([format!("{key:032x}"), at.0]))
            .collect::<Vec<_>>(),
        "displayed": times(&tally.displayed),
        "clicked": times(&tally.clicked),
        "answered": times(&tally.answered),
        "dismissed": times(&tally.dismissed),
        "converted": times(&tally.converted),
        "generation": tally.generation,
        "allowed_again": ms(tally.allowed_again),
        "excluded": tally.excluded,
        "held_out": ms(tally.held_out),
    })
}

fn timeline(host: &Host, no: ProjectNo, id: CustomerId) -> Vec<Json> {
    let page = host.timeline(no, id, None, ALL).unwrap();
    assert!(page.next.is_none());
    page.items.iter().map(|entry| line(host, no, id, entry)).collect()
}

fn line(host: &Host, no: ProjectNo, id: CustomerId, entry: &TimelineEntry) -> Json {
    let TimelineEntry { position, at, customer, fact, ruling } = entry;
    let asked = ruling.decisions.iter().map(|decision| {
        let outreach = &host.project(no).unwrap().outreaches[&decision.outreach].id;
        let why = host.explain(no, id, outreach, Some(Moment::Position(*position))).unwrap();
        why.map(|why| {
            let gates = why.gates.iter().map(|gate| format!("{} {}", gate.gate, gate.verdict));
            json!([outreach, why.sends, gates.collect::<Vec<_>>()])
        })
    });
    json!({
        "position": position,
        "at": at.0,
        "customer": customer.to_string(),
        "fact": fact_of(fact),
        "ruling": ruling_of(ruling),
        "explained": asked.collect::<Vec<_>>(),
    })
}

fn fact_of(fact: &Fact) -> Json {
    match fact {
        Fact::Event(event) => json!([
            "event",
            event.name,
            event.at.0,
            event.properties,
            event.historical,
            event.hops,
            event.page
        ]),
        Fact::Attributes { changes, historical, .. } => {
            let changes = changes.iter().map(|(key, value)| {
                (key.clone(), value.as_ref().map_or(Json::Null, |value| value.to_json()))
            });
            json!(["attributes", changes.collect::<serde_json::Map<_, _>>(), historical])
        }
        Fact::Merged { guest, .. } => json!(["merged", guest.anonymous_ids, guest.user_id]),
        Fact::MergedInto { customer } => json!(["merged_into", customer.to_string()]),
        Fact::Receipt { delivery, kind, at, detail, .. } => {
            json!(["receipt", delivery.to_string(), format!("{kind:?}"), at.0, detail])
        }
        Fact::Started { delivery } => json!(["started", delivery.to_string()]),
        Fact::Attempted { delivery, outcome, .. } => {
            json!(["attempted", delivery.to_string(), outcome_of(outcome)])
        }
        Fact::Consent { channel, topic, allowed } => json!(["consent", channel, topic, allowed]),
        Fact::Settled { delivery, by } => {
            json!(["settled", delivery.to_string(), format!("{by:?}")])
        }
        Fact::AllowedAgain { outreach } => json!(["allowed_again", outreach.0]),
        Fact::ClockStruck => json!(["clock_struck"]),
        Fact::WentLive { outreach } => json!(["went_live", outreach.0]),
        Fact::Launched { outreach, launch } => json!(["launched", outreach.0, launch]),
        Fact::Erased => json!(["erased"]),
    }
}

fn outcome_of(outcome: &AttemptOutcome) -> Json {
    match outcome {
        AttemptOutcome::Accepted { provider_id } => json!(["accepted", provider_id]),
        AttemptOutcome::Retry { reason, at } => json!(["retry", reason, at.0]),
        AttemptOutcome::RetryInDoubt { reason, at } => json!(["retry_in_doubt", reason, at.0]),
        AttemptOutcome::Rejected { reason } => json!(["rejected", reason]),
        AttemptOutcome::AddressGone { reason } => json!(["address_gone", reason]),
        AttemptOutcome::Unknown { reason } => json!(["unknown", reason]),
        AttemptOutcome::Refused { reason } => json!(["refused", reason.code()]),
        AttemptOutcome::NotNow { at } => json!(["not_now", at.0]),
    }
}

fn ruling_of(ruling: &Ruling) -> Json {
    json!({
        "decisions": ruling.decisions.iter().map(decision).collect::<Vec<_>>(),
        "transitions": ruling.transitions.iter().map(|step| json!([
            step.delivery.to_string(), step.state.name(), ms(step.due_at),
            step.reason.as_ref().map(|reason| reason.code()),
        ])).collect::<Vec<_>>(),
        "exclusions": ruling.exclusions.iter().map(|(no, is)| json!([no.0, is]))
            .collect::<Vec<_>>(),
        "conversions": ruling.conversions.iter().map(|no| no.0).collect::<Vec<_>>(),
    })
}

fn decision(decision: &Decision) -> Json {
    let outcome = match &decision.outcome {
        Outcome::Send { delivery, due_at, expires_at, waiting, .. } => {
            json!(["send", delivery.to_string(), due_at.0, ms(*expires_at), waiting])
        }
        Outcome::Skip(reason) => json!(["skip", reason.gate().name(), reason.code()]),
    };
    json!({"outreach": decision.outreach.0, "version": decision.version, "outcome": outcome})
}

fn deliveries(host: &Host, no: ProjectNo) -> Vec<Json> {
    let page = host.deliveries(no, &DeliveryFilter::default(), None, ALL).unwrap();
    assert!(page.next.is_none());
    let rows = page.items.iter().map(|row| {
        let whole = host.delivery(no, row.delivery.id).unwrap().unwrap();
        json!({
            "id": row.delivery.id.to_string(),
            "customer": row.customer.to_string(),
            "outreach": row.delivery.outreach.0,
            "version": row.delivery.version,
            "type": row.delivery.outreach_type.name(),
            "state": row.delivery.state.name(),
            "due_at": row.delivery.due_at.0,
            "last_error": row.delivery.last_error,
            "provider_id": row.delivery.provider_id,
            "steps": whole.steps.iter().map(|step| json!([
                step.position, step.at.0, step.state.name(), step.error,
            ])).collect::<Vec<_>>(),
        })
    });
    rows.collect()
}

fn decisions(host: &Host, no: ProjectNo) -> Vec<Json> {
    let page = host.decisions(no, &DecisionFilter::default(), None, ALL).unwrap();
    assert!(page.next.is_none());
    let lines = page.items.iter();
    lines.map(|line| json!([line.position, line.at.0, decision(&line.decision)])).collect()
}

fn ms(at: Option<Timestamp>) -> Option<i64> {
    at.map(|at| at.0)
}
