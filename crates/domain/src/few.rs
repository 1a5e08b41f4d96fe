//! A map for a few entries, which most sessions have: sorted, in one allocation that is just large
//! enough. A tree or a hash table takes several hundred bytes for the first entry already.

/// A sorted map in a vector that grows by one while it is small.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Few<K, V>(Vec<(K, V)>);

/// Up to this many entries, room is made for one at a time.
const SMALL: usize = 8;

impl<K, V> Default for Few<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Ord, V> Few<K, V> {
    fn place(&self, key: &K) -> Result<usize, usize> {
        self.0.binary_search_by(|(other, _)| other.cmp(key))
    }

    /// The value of a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.place(key).ok().map(|at| &self.0[at].1)
    }

    /// The value of a key, to change it.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.place(key).ok().map(|at| &mut self.0[at].1)
    }

    /// Whether there is a value.
    pub fn contains_key(&self, key: &K) -> bool {
        self.place(key).is_ok()
    }

    /// Sets the value of a key, and answers the one that it had.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.place(&key) {
            Ok(at) => Some(std::mem::replace(&mut self.0[at].1, value)),
            Err(at) => {
                self.insert_at(at, key, value);
                None
            }
        }
    }

    /// The value of a key, which is the default one if it had none.
    pub fn or_default(&mut self, key: &K) -> &mut V
    where
        K: Clone,
        V: Default,
    {
        let at = match self.place(key) {
            Ok(at) => at,
            Err(at) => {
                self.insert_at(at, key.clone(), V::default());
                at
            }
        };
        &mut self.0[at].1
    }

    fn insert_at(&mut self, at: usize, key: K, value: V) {
        if self.0.len() < SMALL {
            self.0.reserve_exact(1);
        }
        self.0.insert(at, (key, value));
    }

    /// Removes a key, and answers the value that it had.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let (_, value) = self.place(key).ok().map(|at| self.0.remove(at))?;
        if self.0.len() < SMALL {
            self.0.shrink_to_fit();
        }
        Some(value)
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The entries in the order of their keys.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    /// The keys in their order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> {
        self.0.iter().map(|(key, _)| key)
    }

    /// Takes all entries out.
    pub fn take(&mut self) -> impl Iterator<Item = (K, V)> + use<K, V> {
        std::mem::take(&mut self.0).into_iter()
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for Few<K, V> {
    fn from_iter<T: IntoIterator<Item = (K, V)>>(entries: T) -> Self {
        let mut few = Self::default();
        for (key, value) in entries {
            few.insert(key, value);
        }
        few.0.shrink_to_fit();
        few
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn it_behaves_like_a_tree(steps in prop::collection::vec((0u8..3, 0u8..24, any::<u16>()), 0..200)) {
            let (mut few, mut tree) = (Few::default(), BTreeMap::new());
            for (what, key, value) in steps {
                match what {
                    0 => prop_assert_eq!(few.insert(key, value), tree.insert(key, value)),
                    1 => prop_assert_eq!(few.remove(&key), tree.remove(&key)),
                    _ => {
                        *few.or_default(&key) ^= value;
                        *tree.entry(key).or_default() ^= value;
                    }
                }
                prop_assert_eq!(few.get(&key), tree.get(&key));
                prop_assert!(few.iter().eq(tree.iter()));
            }
        }
    }

    #[test]
    fn a_single_entry_takes_no_more_room_than_itself() {
        let mut few = Few::default();
        few.insert(1, 2);
        assert_eq!(few.0.capacity(), 1);
        few.remove(&1);
        assert_eq!(few.0.capacity(), 0);
    }
}
