//! What lives in a folder that is treated badly: four outreaches, and a receiver that fails.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::client::Client;
use crate::dice::Dice;
use crate::receiver::{Answer, Receiver};

/// A webhook, once per customer who came.
pub(super) const HOOK_ONCE: &str = "hook-once";
/// A webhook for each purchase.
pub(super) const HOOK_EACH: &str = "hook-each";
/// A mail, once: its receiver cannot drop a repetition, so it may be held.
pub(super) const MAIL_ONCE: &str = "mail-once";
/// A banner, once: it waits for a browser and goes nowhere.
pub(super) const BANNER_ONCE: &str = "banner-once";

/// Which outreaches are `once`.
pub(super) const ONCE: [&str; 3] = [HOOK_ONCE, MAIL_ONCE, BANNER_ONCE];

/// The event of the `once` outreaches.
pub(super) const CAME: &str = "came";
/// The event of the `every time` outreach.
pub(super) const BOUGHT: &str = "bought";

/// Make the outreaches and go live with them.
pub(super) fn set_up(client: &mut Client, receiver: &Receiver) -> anyhow::Result<()> {
    let hook = |event: &str, frequency: &str, path: &str| {
        json!({
            "name": event,
            "trigger": {"kind": "event", "event": event},
            "frequency": {"kind": frequency},
            "content": {"kind": "webhook", "url": receiver.url(path)},
        })
    };
    let once = |content: Json| {
        json!({
            "name": "once",
            "trigger": {"kind": "event", "event": CAME},
            "frequency": {"kind": "once"},
            "content": content,
        })
    };
    client.go_live(HOOK_ONCE, &hook(CAME, "once", "/once/{{ customer.user_id }}"))?;
    let each = "/each/{{ event.properties.order }}";
    client.go_live(HOOK_EACH, &hook(BOUGHT, "every_time", each))?;
    let mail = json!({"kind": "email", "subject": "Hello", "html": "<p>You came.</p>"});
    client.go_live(MAIL_ONCE, &once(mail))?;
    client.go_live(BANNER_ONCE, &once(json!({"kind": "banner", "text": "You came."})))
}

/// A quarter of the deliveries goes wrong at the first call, each in one of three ways. A second
/// failure would only make the end wait longer: the pauses grow.
pub(super) fn be_unreliable(receiver: &Receiver, seed: u64) {
    let mut dice = Dice::new(seed ^ 0x5eed);
    let mut failed = BTreeSet::new();
    receiver.answer_by(Box::new(move |id, _, _| {
        let answer = match dice.below(100) {
            0..=8 => Answer::Status(500),
            9..=16 => Answer::HangUp,
            17..=24 => return Answer::Slowly(Duration::from_millis(30)),
            _ => return Answer::Status(200),
        };
        if failed.insert(id.to_owned()) { answer } else { Answer::Status(200) }
    }));
}
