//! The distinct values of one attribute, each written once; customers hold its code.
//!
//! A test is asked once per value and then looked up per customer. Values of every type are kept as
//! they came, so the answer is that of the row. When nearly every customer has a value of their own
//! (addresses, names), looking for equals costs more than it saves and stops.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{DefaultHasher, Hasher as _};

use engine::value::Value;

/// Longer values are prose; whoever asks about them is sent to the row.
const LONGEST: usize = 256;
/// Codes: no value, a value that only the row knows, and the first of the dictionary.
pub(super) const MISSING: u32 = 0;
pub(super) const ELSEWHERE: u32 = 1;
pub(super) const FIRST: u32 = 2;
/// More distinct values are not compared with each other any more.
pub(super) const DISTINCT: u32 = 65_534;

const TEXT: u8 = 0;
const NUMBER: u8 = 1;
const BOOL: u8 = 2;
const LIST: u8 = 3;

/// The values of an attribute by code.
#[derive(Debug, Default)]
pub(super) struct Dictionary {
    bytes: Vec<u8>,
    /// Where each value ends.
    ends: Vec<u32>,
    /// The code by the hash of the bytes; `None`: equal values are not looked for any more.
    codes: Option<HashMap<u64, u32>>,
}

impl Dictionary {
    pub(super) fn new() -> Dictionary {
        Dictionary { bytes: Vec::new(), ends: Vec::new(), codes: Some(HashMap::new()) }
    }

    /// Without looking for equal values.
    pub(super) fn of_many() -> Dictionary {
        Dictionary::default()
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The code of a value; a new one when it is not known.
    pub(super) fn code(&mut self, value: &Value) -> u32 {
        let start = self.bytes.len();
        let next = u32::try_from(self.ends.len()).ok().and_then(|count| count.checked_add(FIRST));
        let fits = write(&mut self.bytes, value) && self.bytes.len() - start <= LONGEST;
        let (Some(next), true, Ok(end)) = (next, fits, u32::try_from(self.bytes.len())) else {
            self.bytes.truncate(start);
            return ELSEWHERE;
        };
        if let Some(codes) = &mut self.codes {
            let (before, new) = self.bytes.split_at(start);
            match codes.entry(hash(new)) {
                Entry::Occupied(known)
                    if bytes_of(before, &self.ends, *known.get()) == Some(new) =>
                {
                    let code = *known.get();
                    self.bytes.truncate(start);
                    return code;
                }
                // Two values of one hash: the second is written each time it comes.
                Entry::Occupied(_) => {}
                Entry::Vacant(place) => {
                    place.insert(next);
                }
            }
            if next >= DISTINCT {
                self.codes = None;
            }
        }
        self.ends.push(end);
        next
    }

    /// The value of a code.
    pub(super) fn value(&self, code: u32) -> Option<Value> {
        let mut value = Value::Bool(false);
        read(bytes_of(&self.bytes, &self.ends, code)?, &mut value);
        Some(value)
    }

    /// Every value in the order of the codes, the first with the code [`FIRST`].
    pub(super) fn each(&self, mut at: impl FnMut(&Value)) {
        let (mut value, mut start) = (Value::Bool(false), 0);
        for end in &self.ends {
            let end = *end as usize;
            read(self.bytes.get(start..end).unwrap_or_default(), &mut value);
            at(&value);
            start = end;
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let codes = self.codes.as_ref().map_or(0, |codes| codes.capacity() * 14);
        self.bytes.capacity() + self.ends.capacity() * 4 + codes
    }
}

fn bytes_of<'a>(bytes: &'a [u8], ends: &[u32], code: u32) -> Option<&'a [u8]> {
    let place = code.checked_sub(FIRST)? as usize;
    let start = match place.checked_sub(1) {
        Some(before) => *ends.get(before)? as usize,
        None => 0,
    };
    bytes.get(start..*ends.get(place)? as usize)
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

/// False: too long.
fn write(bytes: &mut Vec<u8>, value: &Value) -> bool {
    match value {
        Value::Text(text) if text.len() > LONGEST => return false,
        Value::Text(text) => {
            bytes.push(TEXT);
            bytes.extend_from_slice(text.as_bytes());
        }
        Value::Number(number) => {
            bytes.push(NUMBER);
            bytes.extend_from_slice(&number.to_bits().to_le_bytes());
        }
        Value::Bool(value) => bytes.extend_from_slice(&[BOOL, u8::from(*value)]),
        Value::List(_) => {
            let Ok(list) = postcard::to_allocvec(value) else { return false };
            bytes.push(LIST);
            bytes.extend_from_slice(&list);
        }
    }
    true
}

/// Into a value that is used again, so that a text costs no allocation.
fn read(bytes: &[u8], value: &mut Value) {
    let Some((tag, rest)) = bytes.split_first() else { return };
    match *tag {
        TEXT => {
            let text = std::str::from_utf8(rest).unwrap_or_default();
            match value {
                Value::Text(buffer) => {
                    buffer.clear();
                    buffer.push_str(text);
                }
                Value::Number(_) | Value::Bool(_) | Value::List(_) => {
                    *value = Value::Text(text.to_owned());
                }
            }
        }
        NUMBER => {
            let bits = rest.try_into().map_or(0, u64::from_le_bytes);
            *value = Value::Number(f64::from_bits(bits));
        }
        BOOL => *value = Value::Bool(rest == [1]),
        _ => *value = postcard::from_bytes(rest).unwrap_or(Value::List(Vec::new())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_as_they_were() {
        let mut dictionary = Dictionary::new();
        let values = [
            Value::Text("a".into()),
            Value::Text(String::new()),
            Value::Number(-0.0),
            Value::Number(4.2),
            Value::Bool(true),
            Value::Bool(false),
            Value::List(vec![Value::Text("a".into()), Value::Number(1.0)]),
            Value::List(vec![]),
        ];
        let codes: Vec<u32> = values.iter().map(|value| dictionary.code(value)).collect();
        assert_eq!(codes, (FIRST..FIRST + 8).collect::<Vec<_>>());
        for (code, value) in codes.iter().zip(&values) {
            assert_eq!(dictionary.value(*code).as_ref(), Some(value));
            assert_eq!(dictionary.code(value), *code);
        }
        let mut all = Vec::new();
        dictionary.each(|value| all.push(value.clone()));
        assert_eq!(all, values);
        assert_eq!(dictionary.code(&Value::Text("x".repeat(300))), ELSEWHERE);
        assert_eq!(dictionary.value(ELSEWHERE), None);
        assert_eq!(dictionary.len(), 8);
    }
}
