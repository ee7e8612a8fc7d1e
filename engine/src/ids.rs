//! Every id is a type with a prefix, from this table.
//!
//! Customer, delivery and event ids are hashes of what they name, so that a node, a replay and a
//! second machine find the same id without asking anybody.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// An id in text that is not of the expected form.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("an id of the form {prefix}_ and 26 characters is expected, not {found:?}")]
pub struct BadId {
    prefix: &'static str,
    found: String,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub u128);

        impl $name {
            /// The 16 bytes, big-endian, as they stand in keys.
            pub fn to_bytes(self) -> [u8; 16] {
                self.0.to_be_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_id(out, $prefix, self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_id(out, $prefix, self.0)
            }
        }

        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<$name, BadId> {
                read_id($prefix, text).map($name)
            }
        }
    )*};
}

ids! {
    /// A customer or guest.
    CustomerId = "cus";
    /// A delivery.
    DeliveryId = "dlv";
    /// An event.
    EventId = "evt";
}

/// A project's number, given at creation; the first part of every key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProjectNo(pub u32);

/// An outreach's number within its project, given at creation and never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OutreachNo(pub u32);

/// The partitions of a project's customers: fixed at creation, the same on one machine and on many.
pub const PARTITIONS: u8 = 64;

impl CustomerId {
    /// The id of the customer a client calls `user_id`.
    pub fn of_user(project: ProjectNo, user_id: &str) -> CustomerId {
        CustomerId(hash(&[b"user", &project.0.to_be_bytes(), user_id.as_bytes()]))
    }

    /// The id of the guest a client calls `anonymous_id`.
    pub fn of_guest(project: ProjectNo, anonymous_id: &str) -> CustomerId {
        CustomerId(hash(&[b"guest", &project.0.to_be_bytes(), anonymous_id.as_bytes()]))
    }

    /// The partition that owns the customer.
    pub fn partition(self) -> u8 {
        #[expect(clippy::cast_possible_truncation, reason = "smaller than 64")]
        let partition = (self.0 % u128::from(PARTITIONS)) as u8;
        partition
    }
}

impl DeliveryId {
    /// The id of what one claim of one customer on one outreach leads to.
    ///
    /// `generation` grows when a claim is released or allowed again, so that the next delivery is
    /// another one for every receiver.
    pub fn of(
        project: ProjectNo,
        outreach: OutreachNo,
        customer: CustomerId,
        key: &[u8],
        generation: u32,
    ) -> DeliveryId {
        DeliveryId(hash(&[
            b"delivery",
            &project.0.to_be_bytes(),
            &outreach.0.to_be_bytes(),
            &customer.to_bytes(),
            key,
            &generation.to_be_bytes(),
        ]))
    }
}

impl EventId {
    /// The id of the event a client calls `message_id`.
    pub fn of(project: ProjectNo, message_id: &str) -> EventId {
        EventId(hash(&[b"event", &project.0.to_be_bytes(), message_id.as_bytes()]))
    }
}

/// 128 bits of BLAKE3 over the parts, each with its length before it.
pub fn hash(parts: &[&[u8]]) -> u128 {
    // Nearly everything that is named is short, and one call on one piece is several times faster
    // than the same in parts.
    let mut short = [0; 192];
    let mut rest = short.as_mut_slice();
    for part in parts {
        let Some((length, after)) = rest.split_first_chunk_mut() else { return hash_long(parts) };
        *length = (part.len() as u64).to_be_bytes();
        let Some((place, after)) = after.split_at_mut_checked(part.len()) else {
            return hash_long(parts);
        };
        place.copy_from_slice(part);
        rest = after;
    }
    let length = 192 - rest.len();
    first_half(&blake3::hash(short.get(..length).unwrap_or_default()))
}

fn hash_long(parts: &[&[u8]]) -> u128 {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    first_half(&hasher.finalize())
}

fn first_half(hash: &blake3::Hash) -> u128 {
    let mut bytes = [0; 16];
    for (place, byte) in bytes.iter_mut().zip(hash.as_bytes()) {
        *place = *byte;
    }
    u128::from_be_bytes(bytes)
}

fn write_id(out: &mut fmt::Formatter<'_>, prefix: &str, number: u128) -> fmt::Result {
    write!(out, "{prefix}_")?;
    for place in (0..26).rev() {
        let digit = (number >> (place * 5)) & 31;
        let letter = ALPHABET.get(digit as usize).copied().unwrap_or(b'0');
        write!(out, "{}", char::from(letter))?;
    }
    Ok(())
}

fn read_id(prefix: &'static str, text: &str) -> Result<u128, BadId> {
    let bad = || BadId { prefix, found: text.chars().take(64).collect() };
    let digits =
        text.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('_')).ok_or_else(bad)?;
    if digits.len() != 26 {
        return Err(bad());
    }
    let mut number: u128 = 0;
    for byte in digits.bytes() {
        let digit = ALPHABET.iter().position(|letter| *letter == byte).ok_or_else(bad)?;
        number = (number << 5) | digit as u128;
    }
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_the_same_in_one_piece_and_in_parts() {
        for length in [0, 1, 100, 175, 176, 177, 184, 192, 500] {
            let parts: &[&[u8]] = &[b"event", &vec![7; length]];
            assert_eq!(hash(parts), hash_long(parts), "{length} bytes");
        }
    }

    #[test]
    fn ids_read_what_they_write() {
        let id = CustomerId::of_user(ProjectNo(1), "mara");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("cus_x".parse::<CustomerId>().is_err());
        assert_ne!(CustomerId::of_user(ProjectNo(1), "a"), CustomerId::of_guest(ProjectNo(1), "a"));
    }
}
