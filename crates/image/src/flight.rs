//! Work that several ask for at once and that is done once.
//!
//! A flight is a task of its own: it belongs to nobody who waits for it, and goes on as long as anybody does. When
//! the last one leaves, it is told to stop, and whoever comes then waits until it has stopped and starts another.
//! What a flight brought stays with it while somebody holds a [`Ticket`]; so there is no moment between the end of
//! a download and its commit in which a newcomer would find neither.
//!
//! The map's lock is held for look-ups only, never over an `await`.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use crate::error::{Error, Result};

type Outcome<T> = Option<Result<T, Arc<Error>>>;

/// All flights of one kind: `S` is what is told on the way, `T` is what they bring.
#[derive(Debug)]
pub(crate) struct Flights<K, S, T>(Arc<Mutex<HashMap<K, Entry<S, T>>>>);

#[derive(Debug)]
struct Entry<S, T> {
    /// How many tickets there are.
    waiting: usize,
    /// Whether the task has ended.
    over: bool,
    stop: watch::Sender<bool>,
    stage: watch::Receiver<S>,
    outcome: watch::Receiver<Outcome<T>>,
}

/// A place in a flight. While there is one, the flight goes on and what it brought is kept.
#[derive(Debug)]
pub(crate) struct Ticket<K: Hash + Eq, S, T> {
    flights: Arc<Mutex<HashMap<K, Entry<S, T>>>>,
    key: K,
    /// Whether this one began the flight.
    pub(crate) first: bool,
    pub(crate) stage: watch::Receiver<S>,
    outcome: watch::Receiver<Outcome<T>>,
}

/// What the work of a flight has of it.
#[derive(Debug)]
pub(crate) struct Pilot<S> {
    stage: watch::Sender<S>,
    stop: watch::Receiver<bool>,
}

impl<K, S, T> Default for Flights<K, S, T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K, S, T> Flights<K, S, T>
where
    K: Clone + Hash + Eq + Send + 'static,
    S: Default + Send + Sync + 'static,
    T: Clone + Send + Sync + 'static,
{
    /// Joins the flight of `key`, or begins it with `work`.
    pub(crate) async fn join<F, W>(&self, key: &K, work: W) -> Ticket<K, S, T>
    where
        W: FnOnce(Pilot<S>) -> F,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        loop {
            let mut stopping = {
                let mut flights = guard(&self.0);
                match flights.get_mut(key) {
                    None => return self.begin(&mut flights, key, work),
                    Some(entry) if entry.waiting > 0 => {
                        entry.waiting += 1;
                        return self.ticket(entry, key, false);
                    }
                    Some(entry) => entry.outcome.clone(),
                }
            };
            // It was told to stop, and takes its name off the list when it has.
            while stopping.changed().await.is_ok() {}
        }
    }

    /// Waits for a flight that nobody waits for any more: it stops, and takes what it made with it.
    pub(crate) async fn settled(&self, key: &K) {
        let ending = {
            let flights = guard(&self.0);
            flights.get(key).filter(|entry| entry.waiting == 0).map(|entry| entry.outcome.clone())
        };
        if let Some(mut ending) = ending {
            while ending.changed().await.is_ok() {}
        }
    }

    fn begin<F, W>(&self, flights: &mut HashMap<K, Entry<S, T>>, key: &K, work: W) -> Ticket<K, S, T>
    where
        W: FnOnce(Pilot<S>) -> F,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let (stage_sender, stage) = watch::channel(S::default());
        let (stop, stop_receiver) = watch::channel(false);
        let (outcome_sender, outcome) = watch::channel(None);
        let entry = Entry { waiting: 1, over: false, stop, stage, outcome };
        let ticket = self.ticket(&entry, key, true);
        flights.insert(key.clone(), entry);
        let work = work(Pilot { stage: stage_sender, stop: stop_receiver });
        let landing = Landing { flights: Arc::clone(&self.0), key: key.clone(), outcome: outcome_sender };
        tokio::spawn(async move {
            let landing = landing;
            let result = work.await.map_err(Arc::new);
            landing.outcome.send_replace(Some(result));
        });
        ticket
    }

    fn ticket(&self, entry: &Entry<S, T>, key: &K, first: bool) -> Ticket<K, S, T> {
        Ticket {
            flights: Arc::clone(&self.0),
            key: key.clone(),
            first,
            stage: entry.stage.clone(),
            outcome: entry.outcome.clone(),
        }
    }
}

impl<K: Hash + Eq, S, T: Clone> Ticket<K, S, T> {
    /// What the flight is for.
    pub(crate) const fn key(&self) -> &K {
        &self.key
    }

    /// Waits for the end. What failed, failed for all who waited.
    pub(crate) async fn landed(&mut self) -> Result<T> {
        loop {
            if let Some(outcome) = &*self.outcome.borrow_and_update() {
                return outcome.clone().map_err(Error::Shared);
            }
            if self.outcome.changed().await.is_err() {
                // The task was dropped with its runtime, or panicked.
                return Err(Error::ShuttingDown);
            }
        }
    }
}

impl<K: Hash + Eq, S, T> Drop for Ticket<K, S, T> {
    fn drop(&mut self) {
        let ended = {
            let mut flights = guard(&self.flights);
            let Some(entry) = flights.get_mut(&self.key) else { return };
            entry.waiting -= 1;
            if entry.waiting > 0 {
                return;
            }
            entry.stop.send_replace(true);
            if entry.over { flights.remove(&self.key) } else { None }
        };
        // What it brought may have files to delete: not under the lock.
        drop(ended);
    }
}

/// Takes a flight off the list when its task ends, in whatever way, and nobody waits for it any more.
struct Landing<K: Hash + Eq, S, T> {
    flights: Arc<Mutex<HashMap<K, Entry<S, T>>>>,
    key: K,
    outcome: watch::Sender<Outcome<T>>,
}

impl<K: Hash + Eq, S, T> Drop for Landing<K, S, T> {
    fn drop(&mut self) {
        let ended = {
            let mut flights = guard(&self.flights);
            match flights.get_mut(&self.key) {
                Some(entry) if entry.waiting == 0 => flights.remove(&self.key),
                Some(entry) => {
                    entry.over = true;
                    None
                }
                None => None,
            }
        };
        drop(ended);
    }
}

impl<S> Pilot<S> {
    /// Says how far it is.
    pub(crate) fn tell(&self, stage: S) {
        self.stage.send_replace(stage);
    }

    /// The place to say it, for another thread.
    pub(crate) fn teller(&self) -> watch::Sender<S> {
        self.stage.clone()
    }

    /// Waits until nobody waits any more.
    pub(crate) async fn stopped(&self) {
        let mut stop = self.stop.clone();
        // An error means that nobody can ever ask again, which is the same.
        stop.wait_for(|stop| *stop).await.ok();
    }
}

/// Locks, also after a panic: the maps are valid between statements.
fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    type Numbers = Flights<u8, u32, u32>;

    #[tokio::test]
    async fn fifty_wait_for_one_and_49_leave() {
        let flights = Numbers::default();
        let begun = Arc::new(AtomicUsize::new(0));
        let (go, gone) = watch::channel(false);
        let mut tickets = Vec::new();
        for _ in 0..50 {
            let (begun, mut gone) = (Arc::clone(&begun), gone.clone());
            tickets.push(
                flights
                    .join(&1, |pilot| async move {
                        begun.fetch_add(1, Ordering::SeqCst);
                        pilot.tell(7);
                        tokio::select! {
                            () = pilot.stopped() => Err(Error::ShuttingDown),
                            _ = gone.wait_for(|gone| *gone) => Ok(42),
                        }
                    })
                    .await,
            );
        }
        assert_eq!(tickets.iter().filter(|ticket| ticket.first).count(), 1);
        let mut last = tickets.pop().expect("fifty");
        last.stage.wait_for(|stage| *stage == 7).await.expect("told");
        drop(tickets);
        go.send_replace(true);
        assert_eq!(last.landed().await.expect("landed"), 42);
        assert_eq!(begun.load(Ordering::SeqCst), 1);
        drop(last);
        assert!(guard(&flights.0).is_empty());
    }

    #[tokio::test]
    async fn what_it_brought_stays_with_the_tickets() {
        let flights = Numbers::default();
        let mut first = flights.join(&1, |_| async { Ok(1) }).await;
        assert_eq!(first.landed().await.expect("landed"), 1);
        let mut second = flights.join(&1, |_| async { Ok(2) }).await;
        assert_eq!(second.landed().await.expect("landed"), 1);
        drop(first);
        drop(second);
        let mut third = flights.join(&1, |_| async { Ok(3) }).await;
        assert_eq!(third.landed().await.expect("landed"), 3);
    }

    #[tokio::test]
    async fn who_comes_to_one_that_stops_waits_and_starts_another() {
        let flights = Arc::new(Numbers::default());
        let (stopping, mut seen) = watch::channel(false);
        let (go, gone) = watch::channel(false);
        let first = flights
            .join(&1, |pilot| async move {
                pilot.stopped().await;
                stopping.send_replace(true);
                gone.clone().wait_for(|gone| *gone).await.ok();
                Err(Error::ShuttingDown)
            })
            .await;
        drop(first);
        seen.wait_for(|seen| *seen).await.expect("it was told to stop");
        let late = tokio::spawn({
            let flights = Arc::clone(&flights);
            async move {
                let mut ticket = flights.join(&1, |_| async { Ok(2) }).await;
                ticket.landed().await
            }
        });
        go.send_replace(true);
        assert_eq!(late.await.expect("a task").expect("landed"), 2);
    }

    #[tokio::test]
    async fn failure_is_shared() {
        let flights = Numbers::default();
        let mut one = flights.join(&1, |_| async { Err(Error::ShuttingDown) }).await;
        let mut two = flights.join(&1, |_| async { Ok(1) }).await;
        assert!(matches!(one.landed().await, Err(Error::Shared(_))));
        assert!(matches!(two.landed().await, Err(Error::Shared(_))));
    }
}
