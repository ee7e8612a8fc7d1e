//! One comparison: texts folded, patterns compiled, dates and ranges checked.

use super::Draft;
use crate::condition::test::fold;
use crate::outreach::compiled::{DateTest, ListOp, NumberOp, Test, TextOp};
use crate::outreach::definition::{self, Count, Scalar, Unit};
use crate::value::number_text;

/// The longest text to compare with.
const TEXT: usize = 1_000;
/// Texts in one comparison.
const VALUES: usize = 1_000;
/// The longest pattern.
const PATTERN: usize = 1_000;
/// Room for a compiled pattern: counted repetitions can blow up a short one.
const PATTERN_BYTES: usize = 1 << 20;

impl Draft<'_> {
    /// A comparison; `pointer` is where it stands.
    pub(super) fn comparison(&mut self, test: &definition::Test, at: &str) -> Test {
        use definition::Test as T;
        match test {
            T::IsSet => Test::IsSet,
            T::IsNotSet => Test::IsNotSet,
            T::IsEmpty => Test::IsEmpty,
            T::IsTrue => Test::Boolean(true),
            T::IsFalse => Test::Boolean(false),
            T::Is { value, match_case } => self.text(TextOp::Is, value, *match_case, at),
            T::IsNot { value, match_case } => self.text(TextOp::IsNot, value, *match_case, at),
            T::IsAnyOf { values, match_case } => {
                self.texts(TextOp::IsAnyOf, values, *match_case, at)
            }
            T::IsNoneOf { values, match_case } => {
                self.texts(TextOp::IsNoneOf, values, *match_case, at)
            }
            T::Contains { value, match_case } => {
                self.part(TextOp::Contains, value, *match_case, at)
            }
            T::DoesNotContain { value, match_case } => {
                self.part(TextOp::DoesNotContain, value, *match_case, at)
            }
            T::StartsWith { value, match_case } => {
                self.part(TextOp::StartsWith, value, *match_case, at)
            }
            T::DoesNotStartWith { value, match_case } => {
                self.part(TextOp::DoesNotStartWith, value, *match_case, at)
            }
            T::EndsWith { value, match_case } => {
                self.part(TextOp::EndsWith, value, *match_case, at)
            }
            T::MatchesRegex { pattern, match_case } => self.pattern(pattern, *match_case, at),
            T::Equals { value } => number(NumberOp::Equals, *value),
            T::NotEquals { value } => number(NumberOp::NotEquals, *value),
            T::GreaterThan { value } => number(NumberOp::GreaterThan, *value),
            T::AtLeast { value } => number(NumberOp::AtLeast, *value),
            T::LessThan { value } => number(NumberOp::LessThan, *value),
            T::AtMost { value } => number(NumberOp::AtMost, *value),
            T::Between { min, max } => self.between(*min, *max, at),
            T::Before { date } => self.day(DateTest::Before, date, at),
            T::On { date } => self.whole_day(date, at),
            T::After { date } => self.day(DateTest::After, date, at),
            T::BetweenDates { from, to } => self.between_dates(from, to, at),
            T::MoreThanAgo { amount, unit } => self.ago(DateTest::MoreThanAgo, *amount, *unit, at),
            T::LessThanAgo { amount, unit } => self.ago(DateTest::LessThanAgo, *amount, *unit, at),
            T::ExactlyAgo { amount, unit } => self.exactly_ago(*amount, *unit, at),
            T::InNext { amount, unit } => self.ago(DateTest::InNext, *amount, *unit, at),
            T::Anniversary => Test::Date(DateTest::Anniversary),
            T::ListContains { value } => self.element(value, at),
            T::ListContainsAnyOf { values } => self.elements(ListOp::AnyOf, values, at),
            T::ListContainsAllOf { values } => self.elements(ListOp::AllOf, values, at),
            T::ListContainsNoneOf { values } => self.elements(ListOp::NoneOf, values, at),
            T::ListSize { count } => self.list_size(count, at),
        }
    }

    pub(super) fn check_count(&mut self, count: &Count, pointer: &str) {
        match count {
            Count::Between { min, max } if min > max => {
                self.min_above_max(&format!("{pointer}/max"));
            }
            Count::Between { .. }
            | Count::Exactly { .. }
            | Count::AtLeast { .. }
            | Count::AtMost { .. } => {}
        }
    }

    fn min_above_max(&mut self, pointer: &str) {
        let message =
            "The upper end is below the lower end, so nothing lies between; exchange them.";
        self.add(pointer, "min_above_max", message);
    }

    fn text(&mut self, op: TextOp, value: &Scalar, match_case: bool, at: &str) -> Test {
        let text = self.scalar(value, &format!("{at}/value"));
        text_test(op, vec![text], match_case)
    }

    fn texts(&mut self, op: TextOp, values: &[Scalar], match_case: bool, at: &str) -> Test {
        let texts = self.scalars(values, at);
        text_test(op, texts, match_case)
    }

    /// A piece of a text; every text has the empty piece.
    fn part(&mut self, op: TextOp, value: &Scalar, match_case: bool, at: &str) -> Test {
        let here = format!("{at}/value");
        let text = self.scalar(value, &here);
        if text.is_empty() {
            let message = "Every text contains the empty text; enter one, or use `is_empty`.";
            self.add(&here, "empty_text", message);
        }
        text_test(op, vec![text], match_case)
    }

    fn element(&mut self, value: &Scalar, at: &str) -> Test {
        let text = self.scalar(value, &format!("{at}/value"));
        Test::List { op: ListOp::Contains, values: vec![fold(&text)] }
    }

    fn elements(&mut self, op: ListOp, values: &[Scalar], at: &str) -> Test {
        let texts = self.scalars(values, at);
        Test::List { op, values: texts.iter().map(|text| fold(text)).collect() }
    }

    fn list_size(&mut self, count: &Count, at: &str) -> Test {
        self.check_count(count, &format!("{at}/count"));
        Test::ListSize(count.clone())
    }

    fn between(&mut self, min: f64, max: f64, at: &str) -> Test {
        if min > max {
            self.min_above_max(&format!("{at}/max"));
        }
        Test::NumberBetween { min, max }
    }

    fn scalars(&mut self, scalars: &[Scalar], at: &str) -> Vec<String> {
        let here = format!("{at}/values");
        if scalars.is_empty() {
            self.add(&here, "empty_list", "The list is empty; add at least one value.");
        }
        self.check_length(scalars, VALUES, &here);
        let places = scalars.iter().enumerate();
        places.map(|(place, scalar)| self.scalar(scalar, &format!("{here}/{place}"))).collect()
    }

    fn scalar(&mut self, scalar: &Scalar, pointer: &str) -> String {
        let text = self.scalar_text(scalar, pointer);
        if text.chars().count() > TEXT {
            let message = format!("The text has more than {TEXT} characters; shorten it.");
            self.add(pointer, "text_too_long", message);
        }
        text
    }

    fn scalar_text(&mut self, scalar: &Scalar, pointer: &str) -> String {
        match scalar {
            Scalar::Text(text) => text.clone(),
            Scalar::Bool(value) => value.to_string(),
            Scalar::Number(number) => {
                if number.abs() >= 9_007_199_254_740_992.0 {
                    let message = format!("{number} is too large to be exact; put it in quotes.");
                    self.add(pointer, "number_out_of_range", message);
                }
                number_text(*number)
            }
        }
    }

    fn pattern(&mut self, pattern: &str, match_case: bool, pointer: &str) -> Test {
        let here = format!("{pointer}/pattern");
        if pattern.chars().count() > PATTERN {
            let message = format!("The pattern has more than {PATTERN} characters; shorten it.");
            self.add(&here, "pattern_too_long", message);
            return Test::IsSet;
        }
        let built = regex::RegexBuilder::new(pattern)
            .case_insensitive(!match_case)
            .size_limit(PATTERN_BYTES)
            .dfa_size_limit(PATTERN_BYTES)
            .build();
        match built {
            Ok(regex) => Test::Regex(regex),
            Err(error) => {
                let text = error.to_string();
                let reason = text.lines().last().unwrap_or("").trim_start_matches("error: ");
                let message = format!(
                    "The pattern cannot be used ({reason}); correct it (look-around and back \
                     references do not exist here)."
                );
                self.add(&here, "invalid_pattern", message);
                Test::IsSet
            }
        }
    }

    fn day(&mut self, make: fn(String) -> DateTest, date: &str, at: &str) -> Test {
        self.check_date(date, &format!("{at}/date"));
        Test::Date(make(date.to_owned()))
    }

    fn whole_day(&mut self, date: &str, at: &str) -> Test {
        let here = format!("{at}/date");
        if self.check_date(date, &here).is_some() && date.trim().len() > 10 {
            let message = format!("`on` compares whole days; write {:.10}.", date.trim());
            self.add(&here, "unreadable_date", message);
        }
        Test::Date(DateTest::On(date.to_owned()))
    }

    fn between_dates(&mut self, from: &str, to: &str, at: &str) -> Test {
        self.check_dates(from, to, at);
        Test::Date(DateTest::Between(from.to_owned(), to.to_owned()))
    }

    fn ago(&mut self, make: fn(u32, Unit) -> DateTest, amount: u32, unit: Unit, at: &str) -> Test {
        self.check_amount(amount, 1, &format!("{at}/amount"));
        Test::Date(make(amount, unit))
    }

    /// Zero units ago is the present one: "is today".
    fn exactly_ago(&mut self, amount: u32, unit: Unit, at: &str) -> Test {
        self.check_amount(amount, 0, &format!("{at}/amount"));
        Test::Date(DateTest::ExactlyAgo(amount, unit))
    }
}

fn text_test(op: TextOp, texts: Vec<String>, match_case: bool) -> Test {
    let folded = |text: String| if match_case { text } else { fold(&text) };
    Test::Text { op, values: texts.into_iter().map(folded).collect(), match_case }
}

fn number(op: NumberOp, value: f64) -> Test {
    Test::Number { op, value }
}
