//! What is done to a data directory while no server uses it: [`format()`] makes a new member's; [`recover`] goes on from one server's when
//! a majority of the members is lost for good.

use crate::belonging;
use crate::config::{Member, NodeConfig, Role};
use crate::ensemble::{self, Servers};
use crate::server::wall_clock_ms;
use crate::storage::{StorageError, Store, StoreOptions};
use crate::txn::{Body, Txn};
use crate::zab::{DiskOp, Entry, Epoch, Epochs, Members, Millis, Replica, View, Zxid};
use rand::TryRng;
use std::collections::BTreeSet;
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// Makes the data directory of a new member; see [`Store::format`].
pub fn format(config: &NodeConfig) -> Result<(), StorageError> {
    let dir = &config.data_dir;
    StorageError::io("make", dir.clone(), std::fs::create_dir_all(dir))?;
    belonging::check(config)?;
    Store::format(dir)?;
    belonging::claim(config)
}

/// What a recovery goes on from, and comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// Who belonged to the ensemble, by this server's log.
    pub before: Members,
    /// The last transaction that it holds of that ensemble.
    pub last: Zxid,
    /// It may have forgotten what it acknowledged.
    pub was_amnesiac: bool,
    /// What was done.
    pub done: Done,
}

/// What a recovery has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// The server is alone from this version of the configuration on.
    Alone(Zxid),
    /// It was alone already, by an earlier recovery: nothing.
    Before(Zxid),
    /// Nothing was to be done.
    Looked,
}

/// How to recover.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Consent {
    /// Say what there is to go on from, and change nothing.
    pub only_look: bool,
    /// Also if the server may have forgotten what it acknowledged.
    pub without_memory: bool,
    /// Also if another member runs.
    pub beside_others: bool,
}

/// Epochs that are left out, for those that the lost members may have had among themselves: what comes is greater than whatever a
/// client has seen.
const LEFT_OUT: u32 = 1000;

/// How long another member may take to show that it runs.
const ANSWER: Duration = Duration::from_secs(1);

/// Makes this server the only member of an ensemble that goes on from what its log holds; others can be added to it.
///
/// What a majority of the members acknowledged without this server is lost, and the members of before must not run any more: who of them can be
/// reached is refused, and the rest is the operator's to know. The log gets one transaction to which nobody else agreed, in an epoch that the
/// ensemble never had; nothing is cut from it. From then on this server's history is that of another ensemble: it has no connection to
/// a server that still has the one before (see `server::peer`). If the machine dies on the way, it can be done again. Where it
/// is refused, also because something is damaged, the directory is as it was.
pub fn recover(config: &NodeConfig, consent: Consent) -> Result<Recovery, StorageError> {
    let dir = &config.data_dir;
    let refused = |problem: &str| StorageError::Refused {
        path: dir.clone(),
        problem: problem.to_owned(),
    };
    belonging::check_id(config)?;
    if !Store::is_begun(dir) {
        return Err(refused(
            "no server has used it, so there is nothing to go on from; a new ensemble begins with `keelhaul-node format FILE`",
        ));
    }
    let mark = rand::rngs::SysRng.try_next_u64().map_err(|problem| {
        refused(&format!(
            "no random bytes for it from the operating system: {problem}"
        ))
    })?;
    let options = StoreOptions {
        segment_bytes: config.log.segment_bytes,
        mark,
        ..StoreOptions::default()
    };
    // What is refused leaves the directory as it was.
    let recovered = Store::look(dir, &options)?;
    let was_amnesiac = recovered.epochs.amnesiac;
    let known = recovered.lives.known.values().flatten();
    let promised = known.map(|life| life.promised).max().unwrap_or_default();
    // Pure: it only tells who counts by the log.
    let replica = Replica::new(config.zab(), recovered, Millis::default());
    let (view, last) = (replica.view().clone(), replica.last_logged());
    let recovery = |done| Recovery {
        before: view.members.clone(),
        last,
        was_amnesiac,
        done,
    };
    if consent.only_look {
        return Ok(recovery(Done::Looked));
    }
    if last == Zxid::ZERO {
        return Err(refused(
            "it holds no transaction, so there is nothing to go on from",
        ));
    }
    if was_amnesiac && !consent.without_memory {
        return Err(refused(
            "its server is without memory: it may have forgotten what it acknowledged. Recover the ensemble from a server that has not; if there is \
             none, put a backup in its place, or accept with --without-memory what is here",
        ));
    }
    let alone = Members {
        voters: BTreeSet::from([config.id]),
        observers: BTreeSet::new(),
        about: view.members.about.clone(),
    };
    let had = replica.epochs();
    let is_done = view.founded.zxid > Zxid::ZERO && had.current >= view.founded.zxid.epoch();
    if is_done && !was_amnesiac && view.next.is_none() && view.members == alone {
        return Ok(recovery(Done::Before(view.version)));
    }
    if let Some(other) = others(config, &view)
        .find(runs(config))
        .filter(|_| !consent.beside_others)
    {
        let (id, address) = (other.id, config.dial_address(&other));
        return Err(refused(&format!(
            "server {id} runs, or something else answers at its address {address}: what it has and this server has not would be lost. Stop it first. If it is \
             none of this ensemble, or is to be left behind all the same, accept that with --beside-others"
        )));
    }
    let greatest = promised.max(had.accepted).max(last.epoch());
    let epoch = greatest.0.checked_add(LEFT_OUT).map(Epoch);
    let epoch = epoch.ok_or_else(|| refused("its epochs are used up"))?;
    let founding = founding(config, epoch, mark);
    let version = founding.zxid;
    let (mut store, _) = Store::open(dir, options)?;
    store.perform(operations(had, founding))?;
    belonging::claim(config)?;
    Ok(recovery(Done::Alone(version)))
}

/// What is written, in this order: the promise of the epoch before what belongs to it, and that it is current, and nothing forgotten, at the end.
fn operations(had: Epochs, founding: Entry) -> Vec<DiskOp> {
    let epoch = founding.zxid.epoch();
    vec![
        DiskOp::SaveEpochs(Epochs {
            accepted: epoch,
            ..had
        }),
        DiskOp::Append(founding),
        DiskOp::SaveEpochs(Epochs {
            accepted: epoch,
            current: epoch,
            amnesiac: false,
        }),
    ]
}

/// The others that belong to the ensemble, by the log and by the configuration file.
fn others(config: &NodeConfig, view: &View) -> impl Iterator<Item = Member> {
    let mut all = config.members.clone();
    all.extend(ensemble::servers(&view.members));
    all.extend(view.next.iter().flat_map(ensemble::servers));
    all.remove(&config.id);
    all.into_values()
}

/// Whether somebody answers where a member does.
fn runs(config: &NodeConfig) -> impl Fn(&Member) -> bool {
    |member| {
        let address = config.dial_address(member);
        let found = (address.host(), address.port()).to_socket_addrs();
        let mut found = found.into_iter().flatten();
        found.any(|address| TcpStream::connect_timeout(&address, ANSWER).is_ok())
    }
}

/// The transaction after which this server is the only member.
fn founding(config: &NodeConfig, epoch: Epoch, mark: u64) -> Entry {
    let alone = Member {
        role: Role::Voter,
        ..config.members[&config.id].clone()
    };
    let members = ensemble::text(&Servers::from([(alone.id, alone)]));
    let txn = Txn {
        time_ms: wall_clock_ms(),
        ..Txn::of_nobody(Body::Found { members, mark })
    };
    Entry {
        zxid: Zxid::new(epoch, 1),
        txn: txn.encode(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zab::NodeId;
    use std::collections::BTreeMap;
    use std::path::Path;

    /// Server 2 of three, none of which runs: nobody can listen on port 0.
    fn config(dir: &Path) -> NodeConfig {
        let text = format!(
            "id = 2\ndata_dir = {dir:?}\nclient_address = \"127.0.0.1:1\"\npeer_address = \"127.0.0.1:0\"\n\
             [[members]]\nid = 1\npeer_address = \"127.0.0.1:1\"\n\
             [[members]]\nid = 2\npeer_address = \"127.0.0.1:2\"\n\
             [[members]]\nid = 3\npeer_address = \"127.0.0.1:3\"\n"
        );
        NodeConfig::parse(Path::new("test"), &text).unwrap()
    }

    fn options(config: &NodeConfig) -> StoreOptions {
        StoreOptions {
            segment_bytes: config.log.segment_bytes,
            ..StoreOptions::default()
        }
    }

    /// What a server would go on from.
    fn held(config: &NodeConfig) -> (View, Zxid, Epochs) {
        let (_, recovered) = Store::open(&config.data_dir, options(config)).unwrap();
        let epochs = recovered.epochs;
        let replica = Replica::new(config.zab(), recovered, Millis::default());
        (replica.view().clone(), replica.last_logged(), epochs)
    }

    /// Used, and without memory if that is asked for.
    fn used(config: &NodeConfig, amnesiac: bool) -> Epochs {
        format(config).unwrap();
        let (mut store, _) = Store::open(&config.data_dir, options(config)).unwrap();
        let epochs = Epochs {
            accepted: Epoch(1),
            current: Epoch(1),
            amnesiac,
        };
        let entry = Entry {
            zxid: Zxid::new(Epoch(1), 1),
            txn: Txn::of_nobody(Body::Check).encode(),
        };
        let used = vec![DiskOp::SaveEpochs(epochs), DiskOp::Append(entry)];
        store.perform(used).unwrap();
        epochs
    }

    #[test]
    fn a_server_is_alone_in_the_end_wherever_the_machine_died_on_the_way_before() {
        let consent = Consent {
            without_memory: true,
            ..Consent::default()
        };
        for (amnesiac, written) in [false, true]
            .into_iter()
            .flat_map(|a| (0..=3).map(move |w| (a, w)))
        {
            let dir = tempfile::tempdir().unwrap();
            let config = config(dir.path());
            let had = used(&config, amnesiac);
            let mut operations = operations(had, founding(&config, Epoch(1001), 7));
            operations.truncate(written);
            let (mut store, _) = Store::open(dir.path(), options(&config)).unwrap();
            store.perform(operations).unwrap();
            drop(store);
            let recovery = recover(&config, consent).unwrap();
            let (view, last, epochs) = held(&config);
            assert_eq!(
                view.members.voters,
                BTreeSet::from([NodeId(2)]),
                "{written}"
            );
            assert_eq!((view.founded.zxid, view.next), (last, None), "{written}");
            assert_eq!(
                (epochs.current, epochs.amnesiac),
                (last.epoch(), false),
                "{written}"
            );
            let expected = match written {
                3 => Done::Before(last),
                _ => Done::Alone(last),
            };
            assert_eq!(recovery.done, expected, "{written}");
        }
    }

    /// All files, by name.
    fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
        let mut all = BTreeMap::new();
        let mut folders = vec![dir.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(dir).unwrap().display().to_string();
                    all.insert(name, std::fs::read(&path).unwrap());
                }
            }
        }
        all
    }

    #[test]
    fn who_only_looks_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path());
        let had = used(&config, true);
        let only_look = Consent {
            only_look: true,
            ..Consent::default()
        };
        let before = contents(dir.path());
        let recovery = recover(&config, only_look).unwrap();
        assert_eq!((recovery.done, recovery.last.counter()), (Done::Looked, 1));
        assert!(recovery.was_amnesiac);
        assert!(
            recover(&config, Consent::default()).is_err(),
            "without memory"
        );
        assert_eq!(contents(dir.path()), before);
        // A torn tail is looked past, and what is damaged is told of and left where it is.
        let log = before.keys().find(|name| name.contains("log")).unwrap();
        let mut bytes = before[log].clone();
        bytes.extend_from_slice(&[7; 5]);
        std::fs::write(dir.path().join(log), &bytes).unwrap();
        assert_eq!(recover(&config, only_look).unwrap().last.counter(), 1);
        assert_eq!(contents(dir.path())[log], bytes);
        std::fs::write(dir.path().join(log), &before[log]).unwrap();
        std::fs::write(dir.path().join("epochs"), "nonsense").unwrap();
        assert!(recover(&config, only_look).is_err());
        std::fs::write(dir.path().join("epochs"), &before["epochs"]).unwrap();
        assert_eq!(contents(dir.path()), before);
        let (view, last, epochs) = held(&config);
        assert_eq!((view.version, last.counter(), epochs), (Zxid::ZERO, 1, had));
    }
}
