//! The shapes of keys and rows in the state store. Numbers in keys are big-endian, so that their
//! order is the order of the bytes. A row begins with its version.

use engine::delivery::Delivery;
use engine::ids::{CustomerId, DeliveryId, OutreachNo, ProjectNo};
use engine::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::partition::Key;

/// The version of every row; a state with another one is set aside and rebuilt.
const VERSION: u8 = 1;

/// Meta: where the state stands.
pub(crate) const STANDING: &[u8] = b"standing";
/// Meta: the catalogue, the counts and what is under way.
pub(crate) const BOOKS: &[u8] = b"books";

/// Where the state stands in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standing {
    /// All records before this position are in the state.
    pub(crate) applied: u64,
    /// The latest time of a record.
    pub(crate) latest: Timestamp,
    /// The record that ends there, so that a state is not taken for that of another log.
    pub(crate) last: u64,
    /// A hash of its payload.
    pub(crate) hash: [u8; 32],
}

/// A delivery as it stands, and how it came there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeliveryRow {
    /// Whose it is, or was before a merge.
    pub customer: CustomerId,
    /// Where the record that decided it lies.
    pub position: u64,
    /// As it stands.
    pub delivery: Delivery,
    /// How it came there, oldest first.
    pub steps: Vec<DeliveryStep>,
}

/// One step in the life of a delivery.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeliveryStep {
    /// Where its record lies.
    pub position: u64,
    /// When.
    pub at: Timestamp,
    /// Where the delivery stood then.
    pub state: engine::delivery::DeliveryState,
    /// Attempts until then.
    pub attempts: u32,
    /// What the provider said.
    pub error: Option<String>,
}

/// A row: its version, then postcard.
pub(crate) fn row<T: Serialize>(value: &T) -> Vec<u8> {
    // Only a type that cannot say its length fails here, and none of ours is one.
    postcard::to_extend(value, vec![VERSION]).unwrap_or_default()
}

/// From a row of this version.
pub(crate) fn unrow<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<T> {
    match bytes.split_first() {
        Some((&VERSION, rest)) => postcard::from_bytes(rest).ok(),
        Some(_) | None => None,
    }
}

pub(crate) fn customer_key((project, customer): Key) -> [u8; 20] {
    let mut key = [0; 20];
    key[..4].copy_from_slice(&project.0.to_be_bytes());
    key[4..].copy_from_slice(&customer.to_bytes());
    key
}

pub(crate) fn read_customer_key(key: &[u8]) -> Option<Key> {
    let project = u32::from_be_bytes(key.get(..4)?.try_into().ok()?);
    let customer = u128::from_be_bytes(key.get(4..20)?.try_into().ok()?);
    Some((ProjectNo(project), CustomerId(customer)))
}

/// What waits for a customer: `w`, project, customer.
pub(crate) fn waits_key(key: Key) -> [u8; 21] {
    let mut bytes = [b'w'; 21];
    bytes[1..].copy_from_slice(&customer_key(key));
    bytes
}

/// What became of ids: `k`, position of the checkpoint, place.
pub(crate) fn known_key(position: u64, place: u32) -> [u8; 13] {
    let mut key = [b'k'; 13];
    key[1..9].copy_from_slice(&position.to_be_bytes());
    key[9..].copy_from_slice(&place.to_be_bytes());
    key
}

/// Timeline: project, customer, first position → positions.
pub(crate) fn timeline_key(key: Key, position: u64) -> [u8; 28] {
    let mut bytes = [0; 28];
    bytes[..20].copy_from_slice(&customer_key(key));
    bytes[20..].copy_from_slice(&position.to_be_bytes());
    bytes
}

/// Positions that one checkpoint adds to an index are one row, not one each: the distances between
/// them, rising from the one that stands in the key.
pub(crate) fn positions_row(positions: &[u64]) -> Vec<u8> {
    let distances = positions.windows(2).filter_map(|pair| match pair {
        [one, next] => Some(next - one),
        _ => None,
    });
    row(&distances.collect::<Vec<u64>>())
}

/// The positions of a row, rising.
pub(crate) fn read_positions(key: &[u8], bytes: &[u8]) -> Option<Vec<u64>> {
    let mut here = last_position(key)?;
    let mut positions = vec![here];
    for distance in unrow::<Vec<u64>>(bytes)? {
        here = here.checked_add(distance)?;
        positions.push(here);
    }
    Some(positions)
}

/// The position at the end of a key.
pub(crate) fn last_position(key: &[u8]) -> Option<u64> {
    let start = key.len().checked_sub(8)?;
    Some(u64::from_be_bytes(key.get(start..)?.try_into().ok()?))
}

/// Decisions of an outreach: `o`, project, outreach, first position → positions.
pub(crate) fn decision_key(project: ProjectNo, no: OutreachNo, position: u64) -> [u8; 17] {
    let mut key = [b'o'; 17];
    key[1..5].copy_from_slice(&project.0.to_be_bytes());
    key[5..9].copy_from_slice(&no.0.to_be_bytes());
    key[9..].copy_from_slice(&position.to_be_bytes());
    key
}

/// Records with decisions of a project: `p`, project, first position → positions.
pub(crate) fn decided_key(project: ProjectNo, position: u64) -> [u8; 13] {
    let mut key = [b'p'; 13];
    key[1..5].copy_from_slice(&project.0.to_be_bytes());
    key[5..].copy_from_slice(&position.to_be_bytes());
    key
}

/// Deliveries: `d`, project, delivery → row.
pub(crate) fn delivery_key(project: ProjectNo, delivery: DeliveryId) -> [u8; 21] {
    let mut key = [b'd'; 21];
    key[1..5].copy_from_slice(&project.0.to_be_bytes());
    key[5..].copy_from_slice(&delivery.to_bytes());
    key
}

/// Deliveries in their order: `i`, project, first position → (position, delivery), rising.
pub(crate) fn delivery_order_key(project: ProjectNo, position: u64) -> [u8; 13] {
    let mut key = [b'i'; 13];
    key[1..5].copy_from_slice(&project.0.to_be_bytes());
    key[5..].copy_from_slice(&position.to_be_bytes());
    key
}

/// Changes of projects: `c`, position → record.
pub(crate) fn change_key(position: u64) -> [u8; 9] {
    let mut key = [b'c'; 9];
    key[1..].copy_from_slice(&position.to_be_bytes());
    key
}
