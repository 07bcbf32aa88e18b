//! A small cache for what is read on every request: bounded, short-lived, and never filled with what was
//! read before an invalidation.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Values by key, each for a while. Room is made by dropping the older half at once, so that a full cache
/// costs no search.
#[derive(Debug)]
pub struct TtlCache<K, V> {
    ttl: Duration,
    half: usize,
    inner: Mutex<Inner<K, V>>,
}

#[derive(Debug)]
struct Inner<K, V> {
    young: HashMap<K, (V, Instant)>,
    old: HashMap<K, (V, Instant)>,
    epoch: u64,
}

/// The state of a cache before a read; what was read is kept only while nothing was invalidated since.
#[derive(Debug, Clone, Copy)]
pub struct Epoch(u64);

impl<K: Hash + Eq, V: Clone> TtlCache<K, V> {
    /// A cache of at most `entries` values, each for `ttl`.
    pub fn new(entries: usize, ttl: Duration) -> Self {
        let inner = Inner { young: HashMap::new(), old: HashMap::new(), epoch: 0 };
        Self { ttl, half: entries.div_ceil(2).max(1), inner: Mutex::new(inner) }
    }

    /// The value, unless it is too old.
    pub fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.get_at(key, Instant::now())
    }

    /// To be taken before a read whose answer goes to [`TtlCache::put`].
    pub fn epoch(&self) -> Epoch {
        Epoch(self.lock().epoch)
    }

    /// Keeps what was read, unless something was invalidated since `before`.
    pub fn put(&self, before: Epoch, key: K, value: V) {
        self.put_at(before, key, value, Instant::now());
    }

    /// The value that is kept, else what `load` finds, which is kept then.
    ///
    /// # Errors
    /// As `load`.
    pub async fn read<E>(&self, key: K, load: impl Future<Output = Result<Option<V>, E>>) -> Result<Option<V>, E> {
        if let Some(known) = self.get(&key) {
            return Ok(Some(known));
        }
        let before = self.epoch();
        let found = load.await?;
        if let Some(value) = &found {
            self.put(before, key, value.clone());
        }
        Ok(found)
    }

    /// Drops one value.
    pub fn remove<Q: Hash + Eq + ?Sized>(&self, key: &Q)
    where
        K: Borrow<Q>,
    {
        let mut inner = self.lock();
        inner.young.remove(key);
        inner.old.remove(key);
        inner.epoch += 1;
    }

    /// Drops everything.
    pub fn clear(&self) {
        let mut inner = self.lock();
        inner.young.clear();
        inner.old.clear();
        inner.epoch += 1;
    }

    fn get_at<Q: Hash + Eq + ?Sized>(&self, key: &Q, now: Instant) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let inner = self.lock();
        let (value, until) = inner.young.get(key).or_else(|| inner.old.get(key))?;
        (now < *until).then(|| value.clone())
    }

    fn put_at(&self, before: Epoch, key: K, value: V, now: Instant) {
        let mut inner = self.lock();
        if inner.epoch != before.0 {
            return;
        }
        if inner.young.len() >= self.half && !inner.young.contains_key(&key) {
            inner.old = std::mem::take(&mut inner.young);
        }
        inner.young.insert(key, (value, now + self.ttl));
    }

    /// A panic cannot leave the maps half changed, so a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, Inner<K, V>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(2);

    fn cache(entries: usize) -> TtlCache<String, u32> {
        TtlCache::new(entries, TTL)
    }

    #[test]
    fn a_value_lives_as_long_as_it_may() {
        let (cache, now) = (cache(10), Instant::now());
        cache.put_at(cache.epoch(), "a".to_owned(), 1, now);
        assert_eq!(cache.get_at("a", now + TTL - Duration::from_millis(1)), Some(1));
        assert_eq!(cache.get_at("a", now + TTL), None);
        cache.put_at(cache.epoch(), "a".to_owned(), 2, now + TTL);
        assert_eq!(cache.get_at("a", now + TTL), Some(2));
    }

    #[test]
    fn it_is_bounded_and_keeps_the_youngest() {
        let cache = cache(10);
        for n in 0..1_000 {
            cache.put(cache.epoch(), n.to_string(), n);
            assert_eq!(cache.get(&n.to_string()), Some(n));
        }
        let inner = cache.lock();
        assert!(inner.young.len() + inner.old.len() <= 10);
        assert!(inner.old.contains_key("994") && inner.young.contains_key("999"));
    }

    #[test]
    fn a_younger_value_hides_an_older_one_and_both_go_together() {
        let cache = cache(2);
        for (key, value) in [("a", 1), ("b", 2), ("a", 3)] {
            cache.put(cache.epoch(), key.to_owned(), value);
        }
        assert_eq!(cache.get("a"), Some(3));
        cache.remove("a");
        assert_eq!(cache.get("a"), None);
        cache.put(cache.epoch(), "b".to_owned(), 4);
        cache.clear();
        assert_eq!(cache.get("b"), None);
    }

    #[tokio::test]
    async fn what_is_found_is_read_once_and_what_is_not_found_each_time() {
        let cache = cache(10);
        let load = |found| async move { Ok::<_, ()>(found) };
        assert_eq!(cache.read("a".to_owned(), load(None)).await, Ok(None));
        assert_eq!(cache.read("a".to_owned(), load(Some(1))).await, Ok(Some(1)));
        assert_eq!(cache.read("a".to_owned(), load(Some(2))).await, Ok(Some(1)));
        assert_eq!(cache.read("b".to_owned(), async { Err("down") }).await, Err("down"));
    }

    #[tokio::test]
    async fn what_was_read_before_an_invalidation_is_not_kept() {
        let cache = cache(10);
        let load = async {
            cache.remove("a");
            Ok::<_, ()>(Some(1))
        };
        assert_eq!(cache.read("a".to_owned(), load).await, Ok(Some(1)));
        assert_eq!(cache.get("a"), None);
    }
}
