//! The pieces a line of a story is made of.

use serde_json::{Value as Json, json};

/// One word, and whether it stood in quotes (then it is never a keyword).
#[derive(Clone, Debug)]
pub(super) struct Word {
    pub(super) text: String,
    quoted: bool,
}

/// The words of a sentence, read from left to right.
pub(super) struct Words {
    words: Vec<Word>,
    place: usize,
}

impl Words {
    pub(super) fn new(text: &str) -> Result<Words, String> {
        Ok(Words { words: split(text)?, place: 0 })
    }

    pub(super) fn is_over(&self) -> bool {
        self.place >= self.words.len()
    }

    /// Whether the word so many ahead is this keyword.
    pub(super) fn is(&self, ahead: usize, keyword: &str) -> bool {
        self.words
            .get(self.place + ahead)
            .is_some_and(|word| !word.quoted && word.text.eq_ignore_ascii_case(keyword))
    }

    /// Read a phrase if it comes next.
    pub(super) fn eat(&mut self, phrase: &str) -> bool {
        let count = phrase.split(' ').count();
        let comes = phrase.split(' ').enumerate().all(|(ahead, word)| self.is(ahead, word));
        if comes {
            self.place += count;
        }
        comes
    }

    pub(super) fn expect(&mut self, phrase: &str) -> Result<(), String> {
        if self.eat(phrase) { Ok(()) } else { Err(format!("{phrase:?} expected {}", self.here())) }
    }

    /// The next word, whatever it is.
    pub(super) fn word(&mut self) -> Result<String, String> {
        let word = self.words.get(self.place).ok_or("the line ends too early")?;
        if !word.quoted && matches!(word.text.as_str(), "(" | ")" | ",") {
            return Err(format!("a word expected {}", self.here()));
        }
        self.place += 1;
        Ok(word.text.clone())
    }

    pub(super) fn number(&mut self) -> Result<f64, String> {
        let word = self.word()?;
        word.trim_end_matches('%').parse().map_err(|_| format!("{word:?} is no number"))
    }

    pub(super) fn whole(&mut self) -> Result<u64, String> {
        let word = self.word()?;
        word.parse().map_err(|_| format!("{word:?} is no whole number"))
    }

    /// `7 days`
    pub(super) fn span(&mut self) -> Result<Json, String> {
        let amount = self.whole()?;
        let unit = self.unit().ok_or_else(|| format!("a unit of time expected {}", self.here()))?;
        Ok(json!({ "amount": amount, "unit": unit }))
    }

    pub(super) fn unit(&mut self) -> Option<&'static str> {
        let units = ["seconds", "minutes", "hours", "days", "weeks", "months", "years"];
        let unit = units
            .into_iter()
            .find(|unit| self.is(0, unit) || self.is(0, unit.trim_end_matches('s')))?;
        self.place += 1;
        Some(unit)
    }

    /// `2026-03-01`, or `2026-03-01 10:00` as RFC 3339 in UTC, or anything without blanks.
    pub(super) fn moment(&mut self) -> Result<String, String> {
        let day = self.word()?;
        let time = self.words.get(self.place).map(|word| word.text.clone());
        if day.len() == 10
            && day.contains('-')
            && let Some(time) = time.as_deref().and_then(full_time)
        {
            self.place += 1;
            return Ok(format!("{day}T{time}Z"));
        }
        Ok(day)
    }

    /// Where we are, for messages.
    pub(super) fn here(&self) -> String {
        let rest: Vec<_> =
            self.words.iter().skip(self.place).map(|word| word.text.as_str()).collect();
        if rest.is_empty() {
            "at the end".to_owned()
        } else {
            format!("before {:?}", rest.join(" "))
        }
    }

    pub(super) fn end(&self) -> Result<(), String> {
        if self.is_over() { Ok(()) } else { Err(format!("the end expected {}", self.here())) }
    }
}

/// `10:00`, `10:00:30` or `10:00:00.001` with all its digits.
pub(super) fn full_time(text: &str) -> Option<String> {
    let shape: String =
        text.chars().map(|letter| if letter.is_ascii_digit() { '0' } else { letter }).collect();
    match shape.as_str() {
        "00:00" => Some(format!("{text}:00.000")),
        "00:00:00" => Some(format!("{text}.000")),
        "00:00:00.000" => Some(text.to_owned()),
        _ => None,
    }
}

fn split(text: &str) -> Result<Vec<Word>, String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (word, quoted, length) = match first {
            '"' => {
                let end = rest[1..].find('"').ok_or_else(|| format!("no closing quote: {text}"))?;
                (rest[1..=end].to_owned(), true, end + 2)
            }
            '(' | ')' | ',' => (first.to_string(), false, 1),
            _ => {
                let end = rest
                    .find(|letter: char| letter.is_whitespace() || "(),".contains(letter))
                    .unwrap_or(rest.len());
                (rest[..end].to_owned(), false, end)
            }
        };
        words.push(Word { text: word, quoted });
        rest = rest[length..].trim_start();
    }
    Ok(words)
}

/// Split at blanks outside of quotes and brackets: `plan=free tags=[a, b] (historical) #m1`.
pub(super) fn pieces(text: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let (mut quoted, mut depth) = (false, 0);
    for letter in text.trim().chars() {
        match letter {
            '"' => quoted = !quoted,
            '[' | '{' | '(' if !quoted => depth += 1,
            ']' | '}' | ')' if !quoted => depth -= 1,
            _ => {}
        }
        if letter.is_whitespace() && !quoted && depth == 0 {
            pieces.push(String::new());
        } else if let Some(last) = pieces.last_mut() {
            last.push(letter);
        }
    }
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

/// What stands behind `=`: `free`, `"free"`, `12`, `true`, `[a, b]`, `{"a": 1}`, `nothing`.
pub(super) fn value(text: &str) -> Result<Json, String> {
    let text = text.trim();
    if let Some(inner) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        let items = inner.split(',').map(str::trim).filter(|item| !item.is_empty());
        return items.map(value).collect::<Result<Vec<_>, _>>().map(Json::Array);
    }
    if text.starts_with('{') {
        return serde_json::from_str(text).map_err(|error| format!("{text}: {error}"));
    }
    if let Some(inner) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        return Ok(Json::from(inner));
    }
    Ok(match text {
        "nothing" => Json::Null,
        "true" => Json::Bool(true),
        "false" => Json::Bool(false),
        _ => match text.parse::<serde_json::Number>() {
            Ok(number) => Json::Number(number),
            Err(_) => Json::from(text),
        },
    })
}
