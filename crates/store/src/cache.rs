//! A bounded memory of what a database says, in two generations: what was not asked for while one
//! generation filled up is forgotten with the next. Cheaper than a list of uses, and nothing is
//! forgotten in the middle of a batch.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

#[derive(Debug)]
pub(crate) struct Cache<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    /// Entries of one generation.
    limit: usize,
}

impl<K: Hash + Eq, V> Cache<K, V> {
    pub(crate) fn new(limit: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), limit }
    }

    /// Starts a new generation if the present one is full. To be called between batches only: all that
    /// a batch touched stays until then.
    pub(crate) fn turn(&mut self) {
        if self.young.len() >= self.limit {
            self.old = std::mem::take(&mut self.young);
        }
    }

    /// Whether the key is known; if so it stays for another generation.
    pub(crate) fn touch<Q>(&mut self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        if self.young.contains_key(key) {
            return true;
        }
        match self.old.remove_entry(key) {
            Some((key, value)) => {
                self.young.insert(key, value);
                true
            }
            None => false,
        }
    }

    pub(crate) fn get_mut<Q>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.young.get_mut(key)
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        self.young.insert(key, value);
    }

    pub(crate) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_touched_stays_and_the_rest_is_forgotten() {
        let mut cache: Cache<String, u32> = Cache::new(2);
        cache.insert("a".into(), 1);
        cache.insert("b".into(), 2);
        cache.turn();
        assert!(cache.touch("a"));
        cache.insert("c".into(), 3);
        cache.turn();
        assert!(cache.touch("a"));
        assert!(cache.touch("c"));
        assert!(!cache.touch("b"));
        assert_eq!(cache.get_mut("a"), Some(&mut 1));
    }
}
