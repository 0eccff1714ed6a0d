//! Who may come in: how many client connections there are, in all, from one address, and of those that have not said yet what they want.
//!
//! Connections that say nothing must not keep out those that do: of the ones that have not said what they want, the oldest
//! goes when there is one too many. So whoever says it within the time in which others fill all these places is served,
//! however many knock.

use super::complaints::Complaints;
use super::event::{ConnectionId, Event};
use super::metrics::Metrics;
use crate::config::NodeConfig;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

/// What all listeners for clients share.
pub(super) struct Door {
    pub(super) config: Arc<NodeConfig>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) events: mpsc::Sender<Event>,
    numbers: AtomicU64,
    slots: Arc<Semaphore>,
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    /// How many connections each address has.
    places: FxHashMap<IpAddr, usize>,
    /// Those that have not said yet what they want, the oldest first; each ends when its sender is dropped.
    waiting: BTreeMap<u64, oneshot::Sender<()>>,
    complaints: Complaints,
}

/// A connection's place; given back when it is dropped.
pub(super) struct Place {
    door: Arc<Door>,
    address: IpAddr,
    pub(super) id: ConnectionId,
}

impl Door {
    pub(super) fn new(
        config: Arc<NodeConfig>,
        metrics: Arc<Metrics>,
        events: mpsc::Sender<Event>,
    ) -> Arc<Door> {
        Arc::new(Door {
            slots: Arc::new(Semaphore::new(config.limits.connections)),
            config,
            metrics,
            events,
            numbers: AtomicU64::new(0),
            inside: Mutex::default(),
        })
    }

    /// A connection comes in from there. Its place, unless its address has as many as it may; and what is ready when the
    /// connection must make room before it has said what it wants.
    pub(super) fn enter(
        self: &Arc<Door>,
        address: SocketAddr,
    ) -> Option<(Place, oneshot::Receiver<()>)> {
        let limits = &self.config.limits;
        let most = limits.connections_per_address;
        let mut inside = self.inside();
        let count = inside.places.entry(address.ip()).or_default();
        if most > 0 && *count >= most {
            self.refused(
                &mut inside,
                address,
                "too many connections from its address",
                most,
            );
            return None;
        }
        *count += 1;
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let (leave, evicted) = oneshot::channel();
        inside.waiting.insert(number, leave);
        if inside.waiting.len() > limits.greetings {
            inside.waiting.pop_first();
        }
        let place = Place {
            door: self.clone(),
            address: address.ip(),
            id: ConnectionId(number),
        };
        Some((place, evicted))
    }

    /// There are no file descriptors left: half of those that have not said what they want make room.
    pub(super) fn shed(&self) {
        let mut inside = self.inside();
        for _ in 0..inside.waiting.len().div_ceil(2) {
            inside.waiting.pop_first();
        }
    }

    fn refused(&self, inside: &mut Inside, client: SocketAddr, why: &str, limit: usize) {
        self.metrics.connection_rejected.inc();
        if let Some(times) = inside.complaints.about(client.ip(), Instant::now()) {
            tracing::warn!(%client, limit, times, "refused: {why}; not said again for a minute");
        }
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().expect("nobody panics while he holds it")
    }
}

impl Place {
    /// The connection has said what it wants: it need not make room any more.
    pub(super) fn greeted(&self) {
        self.door.inside().waiting.remove(&self.id.0);
    }

    /// A slot among those that have a session, unless all are taken.
    pub(super) fn slot(&self, client: SocketAddr) -> Option<OwnedSemaphorePermit> {
        let slot = self.door.slots.clone().try_acquire_owned().ok();
        if slot.is_none() {
            let most = self.door.config.limits.connections;
            let why = "as many clients are connected as may be";
            self.door
                .refused(&mut self.door.inside(), client, why, most);
        }
        slot
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inside = self.door.inside();
        inside.waiting.remove(&self.id.0);
        if let Some(count) = inside.places.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                inside.places.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn door(limits: &str) -> Arc<Door> {
        let text = format!(
            "id = 1\ndata_dir = \"d\"\nclient_address = \"127.0.0.1:1\"\npeer_address = \"127.0.0.1:2\"\n[limits]\n{limits}"
        );
        let config = NodeConfig::parse(Path::new("test"), &text).unwrap();
        let (events, _) = mpsc::channel(1);
        Door::new(Arc::new(config), Arc::new(Metrics::default()), events)
    }

    fn from(last: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, last], 1000))
    }

    #[test]
    fn the_oldest_of_those_that_say_nothing_makes_room() {
        let door = door("greetings = 2");
        let (_one, mut first) = door.enter(from(1)).unwrap();
        let (two, mut second) = door.enter(from(2)).unwrap();
        two.greeted();
        let (_three, mut third) = door.enter(from(3)).unwrap();
        assert!(matches!(
            first.try_recv(),
            Err(oneshot::error::TryRecvError::Empty)
        ));
        let (_four, mut fourth) = door.enter(from(4)).unwrap();
        let ended = |evicted: &mut oneshot::Receiver<()>| {
            matches!(
                evicted.try_recv(),
                Err(oneshot::error::TryRecvError::Closed)
            )
        };
        assert!(ended(&mut first), "it came first and has said nothing");
        assert!(!ended(&mut third) && !ended(&mut fourth));
        assert!(
            ended(&mut second),
            "nobody asks it any more: it has been heard"
        );
        door.shed();
        assert!(ended(&mut third) && !ended(&mut fourth));
    }

    #[test]
    fn an_address_has_so_many_places_and_gets_them_back() {
        let door = door("connections_per_address = 2");
        let places: Vec<_> = (0..2).map(|_| door.enter(from(1)).unwrap()).collect();
        assert!(door.enter(from(1)).is_none());
        assert!(door.enter(from(2)).is_some());
        drop(places);
        assert!(door.enter(from(1)).is_some());
        assert_eq!(door.metrics.connection_rejected.get(), 1);
        assert_eq!(
            door.inside().places.len(),
            0,
            "nobody is left, so nothing is kept"
        );
    }

    #[test]
    fn so_many_clients_are_connected_and_no_more() {
        let door = door("connections = 1");
        let (one, _) = door.enter(from(1)).unwrap();
        let (two, _) = door.enter(from(2)).unwrap();
        let slot = one.slot(from(1)).unwrap();
        assert!(two.slot(from(2)).is_none());
        drop(slot);
        assert!(two.slot(from(2)).is_some());
    }
}
