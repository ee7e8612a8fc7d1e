//! A small map: pairs in the order of their keys, in one piece of memory.
//!
//! A customer has a dozen attributes and one or two of everything else, and there are millions of
//! customers. A tree takes room for eleven entries for the first; this takes what is there. It is
//! written as any map is.

use std::borrow::Borrow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Pairs in the order of their keys, each key once.
#[derive(Clone, PartialEq)]
pub struct Sorted<K, V> {
    pairs: Vec<(K, V)>,
}

/// The place of a key, taken or free.
pub struct Entry<'a, K, V> {
    map: &'a mut Sorted<K, V>,
    key: K,
}

impl<K: Ord, V> Sorted<K, V> {
    /// Room for exactly so many.
    pub fn with_capacity(count: usize) -> Sorted<K, V> {
        Sorted { pairs: Vec::with_capacity(count) }
    }

    /// The value of a key.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let place = self.find(key).ok()?;
        self.pairs.get(place).map(|(_, value)| value)
    }

    /// The value of a key, to be changed.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let place = self.find(key).ok()?;
        self.pairs.get_mut(place).map(|(_, value)| value)
    }

    /// Whether there is such a key.
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.find(key).is_ok()
    }

    /// Set the value of a key; answers the one before.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        // Whoever reads a row brings them in order.
        if self.pairs.last().is_none_or(|(last, _)| *last < key) {
            self.grow();
            self.pairs.push((key, value));
            return None;
        }
        match self.find(&key) {
            Ok(place) => {
                let (_, own) = self.pairs.get_mut(place)?;
                Some(std::mem::replace(own, value))
            }
            Err(place) => {
                self.grow();
                self.pairs.insert(place, (key, value));
                None
            }
        }
    }

    /// Take a key out; answers its value.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let place = self.find(key).ok()?;
        Some(self.pairs.remove(place).1)
    }

    /// The place of a key.
    pub fn entry(&mut self, key: K) -> Entry<'_, K, V> {
        Entry { map: self, key }
    }

    fn find<Q: Ord + ?Sized>(&self, key: &Q) -> Result<usize, usize>
    where
        K: Borrow<Q>,
    {
        self.pairs.binary_search_by(|(own, _)| own.borrow().cmp(key))
    }

    /// A quarter more at a time: most never grow again.
    fn grow(&mut self) {
        if self.pairs.len() == self.pairs.capacity() {
            self.pairs.reserve_exact(1 + self.pairs.len() / 4);
        }
    }
}

impl<K, V> Sorted<K, V> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// For how many there is room.
    pub fn capacity(&self) -> usize {
        self.pairs.capacity()
    }

    /// Let go of all.
    pub fn clear(&mut self) {
        self.pairs.clear();
    }

    /// In the order of the keys.
    pub fn iter(&self) -> Iter<'_, K, V> {
        self.pairs.iter().map(|(key, value)| (key, value))
    }

    /// The keys in their order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> + ExactSizeIterator {
        self.pairs.iter().map(|(key, _)| key)
    }

    /// The values in the order of their keys.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> + ExactSizeIterator {
        self.pairs.iter().map(|(_, value)| value)
    }

    /// The values in the order of their keys, to be changed.
    pub fn values_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut V> {
        self.pairs.iter_mut().map(|(_, value)| value)
    }

    /// Put equal keys in the place of keys, which share their memory with others.
    pub(crate) fn share_keys(&mut self, mut share: impl FnMut(&mut K)) {
        self.pairs.iter_mut().for_each(|(key, _)| share(key));
    }
}

/// Pairs as other maps yield them.
pub type Iter<'a, K, V> =
    std::iter::Map<std::slice::Iter<'a, (K, V)>, fn(&'a (K, V)) -> (&'a K, &'a V)>;

impl<'a, K, V> IntoIterator for &'a Sorted<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = Iter<'a, K, V>;

    fn into_iter(self) -> Iter<'a, K, V> {
        self.pairs.iter().map(|(key, value)| (key, value))
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for Sorted<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Sorted<K, V> {
        let mut map = Sorted::default();
        for (key, value) in pairs {
            map.insert(key, value);
        }
        map
    }
}

impl<'a, K: Ord, V> Entry<'a, K, V> {
    /// The value there, or this one.
    pub fn or_insert(self, value: V) -> &'a mut V {
        self.or_insert_with(|| value)
    }

    /// The value there, or the empty one.
    pub fn or_default(self) -> &'a mut V
    where
        V: Default,
    {
        self.or_insert_with(V::default)
    }

    /// The value there, or the one that this makes.
    pub fn or_insert_with(self, value: impl FnOnce() -> V) -> &'a mut V {
        let place = match self.map.find(&self.key) {
            Ok(place) => place,
            Err(place) => {
                self.map.grow();
                self.map.pairs.insert(place, (self.key, value()));
                place
            }
        };
        &mut self.map.pairs[place].1
    }
}

impl<K, V> Default for Sorted<K, V> {
    fn default() -> Sorted<K, V> {
        Sorted { pairs: Vec::new() }
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for Sorted<K, V> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_map().entries(self).finish()
    }
}

impl<K: Serialize, V: Serialize> Serialize for Sorted<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (key, value) in self {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl<'de, K: Deserialize<'de> + Ord, V: Deserialize<'de>> Deserialize<'de> for Sorted<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Sorted<K, V>, D::Error> {
        deserializer.deserialize_map(Reader(PhantomData))
    }
}

struct Reader<K, V>(PhantomData<(K, V)>);

impl<'de, K: Deserialize<'de> + Ord, V: Deserialize<'de>> Visitor<'de> for Reader<K, V> {
    type Value = Sorted<K, V>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Sorted<K, V>, A::Error> {
        // What somebody else wrote may claim any length.
        let mut sorted = Sorted::with_capacity(map.size_hint().unwrap_or(0).min(1_024));
        while let Some((key, value)) = map.next_entry()? {
            sorted.insert(key, value);
        }
        Ok(sorted)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn it_is_the_map_that_a_tree_is() {
        let (mut tree, mut sorted) = (BTreeMap::new(), Sorted::default());
        let mut number = 1_u32;
        for _ in 0..2_000 {
            number = number.wrapping_mul(1_103_515_245).wrapping_add(12_345);
            let (key, value) = ((number >> 8) % 40, number);
            match (number >> 3) % 4 {
                0 => assert_eq!(tree.remove(&key), sorted.remove(&key)),
                1 => *tree.entry(key).or_default() += 1,
                _ => assert_eq!(tree.insert(key, value), sorted.insert(key, value)),
            }
            if (number >> 3) % 4 == 1 {
                *sorted.entry(key).or_default() += 1;
            }
            assert_eq!(tree.get(&key), sorted.get(&key));
            assert!(tree.iter().eq(sorted.iter()));
        }
        let bytes = postcard::to_allocvec(&tree).unwrap_or_default();
        assert_eq!(postcard::to_allocvec(&sorted), Ok(bytes.clone()), "the same in the log");
        assert_eq!(postcard::from_bytes(&bytes), Ok(sorted));
    }
}
