//! What the shop says: one outreach of every type, as the files a team would keep.

/// (id, definition as JSON), in the order in which they are created.
pub const OUTREACHES: &[(&str, &str)] = &[
    ("welcome-email", include_str!("../../../fixtures/demo/welcome-email.json")),
    ("abandoned-cart", include_str!("../../../fixtures/demo/abandoned-cart.json")),
    ("checkout-survey", include_str!("../../../fixtures/demo/checkout-survey.json")),
    ("order-webhook", include_str!("../../../fixtures/demo/order-webhook.json")),
    ("upgrade-banner", include_str!("../../../fixtures/demo/upgrade-banner.json")),
    ("pro-modal", include_str!("../../../fixtures/demo/pro-modal.json")),
    ("first-order-tour", include_str!("../../../fixtures/demo/first-order-tour.json")),
    ("getting-started", include_str!("../../../fixtures/demo/getting-started.json")),
    ("wishlist-tooltip", include_str!("../../../fixtures/demo/wishlist-tooltip.json")),
    ("vip-message", include_str!("../../../fixtures/demo/vip-message.json")),
    ("review-request", include_str!("../../../fixtures/demo/review-request.json")),
    ("delivery-sms", include_str!("../../../fixtures/demo/delivery-sms.json")),
    ("delivery-push", include_str!("../../../fixtures/demo/delivery-push.json")),
    ("birthday", include_str!("../../../fixtures/demo/birthday.json")),
    ("winback-whatsapp", include_str!("../../../fixtures/demo/winback-whatsapp.json")),
    ("autumn-news", include_str!("../../../fixtures/demo/autumn-news.json")),
];

/// The one outreach that is launched rather than set live.
pub const ONE_OFF: &str = "autumn-news";

/// (id, name, filter as JSON): the segment that the outreaches speak of.
pub const SEGMENTS: &[(&str, &str, &str)] = &[(
    "vip",
    "Best customers",
    r#"{ "kind": "event", "event": "checkout_completed",
         "test": { "kind": "count", "count": { "kind": "at_least", "n": 3 } },
         "window": { "kind": "last", "amount": 60, "unit": "days" } }"#,
)];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use engine::ids::ProjectNo;
    use engine::outreach::content::OutreachType;
    use engine::project::{Project, ProjectChange};
    use engine::time::Timestamp;

    use super::*;

    #[test]
    fn every_type_is_there_and_every_definition_is_sound() {
        let mut project = Project::new(ProjectNo(1), "demo");
        for (id, name, filter) in SEGMENTS {
            let change = ProjectChange::SegmentSaved {
                id: (*id).to_owned(),
                name: (*name).to_owned(),
                filter: (*filter).to_owned(),
            };
            project = project.changed(&change, Timestamp(0)).unwrap();
        }
        let mut types = BTreeSet::new();
        for (id, definition) in OUTREACHES {
            let change = ProjectChange::OutreachSaved {
                id: (*id).to_owned(),
                definition: (*definition).to_owned(),
                author: "demo".to_owned(),
            };
            project = project.changed(&change, Timestamp(0)).unwrap();
            let latest = &project.outreach(id).unwrap().latest;
            types.insert(
                latest
                    .as_ref()
                    .unwrap_or_else(|problems| panic!("{id}: {problems:?}"))
                    .outreach_type,
            );
        }
        assert_eq!(types, OutreachType::ALL.into_iter().collect());
    }
}
