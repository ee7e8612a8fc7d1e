//! Ten thousand worlds, and whether they asked everything that can be asked.
//!
//! A generator that never makes an operator true, or never meets a refusal, checks nothing about
//! it, and nobody would notice. Here somebody does.

use simulator::model::coverage::Coverage;
use simulator::model::verdict::Skip;
use simulator::worlds;

/// Enough that even the rarest refusal occurs some times.
const WORLDS: u64 = 10_000;

const TESTS: &str = "is_set is_not_set is is_not is_any_of is_none_of contains does_not_contain \
    starts_with does_not_start_with ends_with matches_regex is_empty equals not_equals \
    greater_than at_least less_than at_most between is_true is_false before on after \
    between_dates more_than_ago less_than_ago exactly_ago in_next anniversary list_contains \
    list_contains_any_of list_contains_all_of list_contains_none_of list_size";
const EVENT_TESTS: &str = "performed not_performed count first last";
const WINDOWS: &str = "ever last between since_first_seen";
const STEPS: &str = "sent displayed clicked answered dismissed converted";
const FREQUENCIES: &str = "once once_per_key at_most_once_per at_most until_answered";
const GATES: &str = "status schedule audience frequency holdout guardrails reach";
const CONTENTS: &str = "email webhook message banner modal survey push sms whatsapp";
const OTHERS: &[&str] = &[
    "group all",
    "group any",
    "group none",
    "segment negate=false",
    "segment negate=true",
    "random_bucket",
    "trigger event",
    "trigger user_property",
    "trigger one_off",
    "property trigger excluded",
    "clock turns a date true",
    "cancel event",
    "delay ends in a send",
    "decision sends",
    "send is held by the hour",
    "send waits for a delay",
];

/// What must be answered both ways.
fn both_ways() -> Vec<String> {
    let mut questions: Vec<String> = OTHERS.iter().map(|other| (*other).to_owned()).collect();
    questions.extend(TESTS.split_whitespace().map(|test| format!("test {test}")));
    questions.extend(STEPS.split_whitespace().map(|step| format!("outreach {step}")));
    questions.extend(FREQUENCIES.split_whitespace().map(|kind| format!("frequency {kind}")));
    questions.extend(GATES.split_whitespace().map(|gate| format!("gate {gate}")));
    for test in EVENT_TESTS.split_whitespace() {
        questions.extend(WINDOWS.split_whitespace().map(|window| format!("event {test} {window}")));
    }
    questions
}

/// What only ever has one answer.
fn one_way() -> Vec<String> {
    let mut questions = vec!["expired".to_owned(), "frequency every_time".to_owned()];
    questions.extend(CONTENTS.split_whitespace().map(|kind| format!("sends by {kind}")));
    for skip in Skip::ALL {
        if skip == Skip::CancelledByEvent {
            questions.push(format!("cancelled {}", skip.code()));
        } else {
            questions.push(format!("refused {}", skip.code()));
        }
    }
    // What a message that waits can still meet.
    for skip in [Skip::NotLive, Skip::NotInAudience, Skip::Capped, Skip::QuietHours] {
        questions.push(format!("cancelled {}", skip.code()));
    }
    for skip in [Skip::Shadow, Skip::HeldOut, Skip::NoAddress, Skip::NoConsent, Skip::Suppressed] {
        questions.push(format!("cancelled {}", skip.code()));
    }
    questions
}

#[test]
fn worlds_ask_everything_both_ways() {
    let threads = [0, 1].map(|half| {
        std::thread::spawn(move || {
            let mut coverage = Coverage::default();
            for seed in (0..WORLDS).filter(|seed| seed % 2 == half) {
                coverage.add(&worlds::play(&worlds::world(seed)).coverage);
            }
            coverage
        })
    });
    let mut coverage = Coverage::default();
    for thread in threads {
        coverage.add(&thread.join().expect("no world panics"));
    }
    println!("{coverage}");
    let seen = |question: &str| coverage.seen.get(question).copied().unwrap_or_default();
    let mut missing = Vec::new();
    for question in both_ways() {
        let seen = seen(&question);
        if seen.yes == 0 || seen.no == 0 {
            missing.push(format!("{question}: {} yes, {} no", seen.yes, seen.no));
        }
    }
    for question in one_way() {
        if seen(&question).yes == 0 {
            missing.push(format!("{question}: never"));
        }
    }
    assert!(missing.is_empty(), "not asked:\n{}", missing.join("\n"));
}
