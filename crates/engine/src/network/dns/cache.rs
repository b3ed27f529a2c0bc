//! Answers of other servers that still hold.

use std::{
    collections::HashMap,
    net::SocketAddr,
    path::Path,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use longshore_network::dns::age;

/// Answers that are kept.
const MOST: usize = 2000;
/// Bytes of one.
const LONGEST: usize = 1500;
/// However long a server lets it live: names of the host's own may change with its networks.
const LIFE: Duration = Duration::from_secs(30);

/// What was asked, and whom: the question, the flags that change the answer, the servers and from where.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key(Vec<u8>);

#[derive(Debug)]
struct Entry {
    bytes: Vec<u8>,
    ttls: Vec<u16>,
    since: Instant,
    until: Instant,
}

/// The answers.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<HashMap<Key, Entry>>);

impl Key {
    /// The key of a query as it came, but for its number.
    pub(super) fn new(query: &[u8], servers: &[SocketAddr], place: Option<&Path>) -> Self {
        let mut key: Vec<u8> = query.get(2..).unwrap_or_default().to_ascii_lowercase();
        key.extend_from_slice(place.unwrap_or(Path::new("")).as_os_str().as_encoded_bytes());
        for server in servers {
            key.extend_from_slice(server.to_string().as_bytes());
        }
        Self(key)
    }
}

impl Cache {
    /// What was answered before, under this number.
    pub(super) fn get(&self, key: &Key, id: u16, now: Instant) -> Option<Vec<u8>> {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.get(key)?;
        if entry.until <= now {
            entries.remove(key);
            return None;
        }
        let mut bytes = entry.bytes.clone();
        let seconds = now.saturating_duration_since(entry.since).as_secs();
        age(&mut bytes, &entry.ttls, u32::try_from(seconds).unwrap_or(u32::MAX));
        drop(entries);
        bytes.get_mut(..2)?.copy_from_slice(&id.to_be_bytes());
        Some(bytes)
    }

    /// Remembers an answer for so many seconds.
    pub(super) fn put(&self, key: Key, bytes: &[u8], ttls: Vec<u16>, seconds: u32, now: Instant) {
        let life = Duration::from_secs(seconds.into()).min(LIFE);
        if bytes.len() > LONGEST || life.is_zero() {
            return;
        }
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= MOST {
            entries.retain(|_, entry| entry.until > now);
        }
        // A flood of names: to begin anew costs less than to look for the oldest.
        if entries.len() >= MOST {
            entries.clear();
        }
        entries.insert(key, Entry { bytes: bytes.to_vec(), ttls, since: now, until: now + life });
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Cache, Key, MOST};

    #[test]
    fn an_answer_ages_and_dies() {
        let cache = Cache::default();
        let servers = ["1.1.1.1:53".parse().unwrap()];
        let key = Key::new(&[9, 9, 1, b'A'], &servers, None);
        assert_eq!(key, Key::new(&[1, 2, 1, b'a'], &servers, None));
        assert_ne!(key, Key::new(&[9, 9, 1, b'A'], &[], None));
        let now = Instant::now();
        let later = |seconds| now + Duration::from_secs(seconds);
        cache.put(key.clone(), &[0, 0, 0, 0, 0, 20], vec![2], 20, now);
        assert_eq!(cache.get(&key, 0x0102, later(5)), Some(vec![1, 2, 0, 0, 0, 15]));
        assert_eq!(cache.get(&key, 1, later(20)), None);
        // No server's word lasts longer than ours.
        cache.put(key.clone(), &[0; 6], vec![2], 100_000, now);
        assert!(cache.get(&key, 1, later(29)).is_some() && cache.get(&key, 1, later(30)).is_none());
        cache.put(key.clone(), &[0; 6], vec![], 0, now);
        assert_eq!(cache.get(&key, 1, now), None);
        for number in 0..3 * MOST {
            cache.put(Key(number.to_be_bytes().to_vec()), &[0; 6], vec![], 10, now);
        }
        assert!(cache.0.lock().unwrap().len() <= MOST);
    }
}
