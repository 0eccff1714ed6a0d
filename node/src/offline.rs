//! What is done to a data directory while no server uses it: [`format()`] makes a new member's; [`recover`] goes on from one server's when
//! a majority of the members is lost for good.

use crate::belonging;
use crate::config::{Member, NodeConfig, Role};
use crate::ensemble::{self, Servers};
use crate::server::wall_clock_ms;
use crate::storage::{StorageError, Store, StoreOptions};
use crate::txn::{Body, Txn};
use crate::zab::{DiskOp, Entry, Epoch, Epochs, Members, Millis, Replica, View, Zxid};
use bytes::Bytes;
use rand::TryRng;

/// Makes the data directory of a new member; see [`Store::format`].
pub fn format(config: &NodeConfig) -> Result<(), StorageError> {
    let dir = &config.data_dir;
    StorageError::io("make", dir.clone(), std::fs::create_dir_all(dir))?;
    belonging::check(config)?;
    Store::format(dir)?;
    belonging::claim(config)
}

/// What a recovered server goes on from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// Who belonged to the ensemble, by this server's log.
    pub before: Members,
    /// The last transaction that it holds of that ensemble.
    pub last: Zxid,
    /// It may have forgotten what it acknowledged.
    pub was_amnesiac: bool,
    /// The version of the configuration in which it is alone.
    pub version: Zxid,
}

/// Epochs that are left out, for those that the lost members may have had among themselves: what comes is greater than whatever a
/// client has seen.
const LEFT_OUT: u32 = 1000;

/// Makes this server the only member of its ensemble, by its own log: it leads what it holds, and others can be added to it.
///
/// What a majority of the members acknowledged without this server is lost, and the members of before must not run on their disks any more: both is
/// the operator's to know. The log gets the two transactions of a change of the members that nobody else agreed to, in an epoch that the
/// ensemble never had; nothing is cut from it. If the machine dies on the way, it can be done again. What is damaged is set aside, as at every
/// start, and then there is nothing to go on from.
pub fn recover(config: &NodeConfig, even_amnesiac: bool) -> Result<Recovery, StorageError> {
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
    let (mut store, recovered) = Store::open(dir, options)?;
    let was_amnesiac = recovered.epochs.amnesiac;
    if was_amnesiac && !even_amnesiac {
        return Err(refused(
            "its server is without memory: it may have forgotten what it acknowledged. Recover the ensemble from a server that has not; if there is \
             none, put a backup in its place, or accept with --without-memory what is here",
        ));
    }
    let known = recovered.lives.known.values().flatten();
    let promised = known.map(|life| life.promised).max().unwrap_or_default();
    // Pure: it only tells who counts by the log.
    let replica = Replica::new(config.zab(), recovered, Millis::default());
    let (view, last) = (replica.view().clone(), replica.last_logged());
    if last == Zxid::ZERO {
        return Err(refused(
            "it holds no transaction, so there is nothing to go on from",
        ));
    }
    let had = replica.epochs();
    let greatest = promised.max(had.accepted).max(last.epoch());
    let epoch = greatest.0.checked_add(LEFT_OUT).map(Epoch);
    let epoch = epoch.ok_or_else(|| refused("its epochs are used up"))?;
    let alone = Member {
        role: Role::Voter,
        ..config.members[&config.id].clone()
    };
    let entries = change(&view, alone, epoch);
    let version = entries.last().expect("a change is two of them").zxid;
    let epochs = |current| Epochs {
        accepted: epoch,
        current,
        amnesiac: false,
    };
    let mut operations = vec![DiskOp::SaveEpochs(Epochs {
        amnesiac: was_amnesiac,
        ..epochs(had.current)
    })];
    operations.extend(entries.into_iter().map(DiskOp::Append));
    operations.push(DiskOp::SaveEpochs(epochs(epoch)));
    store.perform(operations)?;
    belonging::claim(config)?;
    Ok(Recovery {
        before: view.members,
        last,
        was_amnesiac,
        version,
    })
}

/// The transactions after which this server is the only member.
fn change(view: &View, alone: Member, epoch: Epoch) -> Vec<Entry> {
    // A change that is under way is ended first.
    let ended = view.next.iter().map(|_| Txn::activation());
    let before = view.next.as_ref().unwrap_or(&view.members);
    let join = Body::Join {
        from: ensemble::text(&ensemble::servers(before)),
        to: ensemble::text(&Servers::from([(alone.id, alone)])),
    };
    let join = Txn {
        time_ms: wall_clock_ms(),
        ..Txn::of_nobody(join)
    };
    let txns = ended.chain([join.encode(), Txn::activation()]);
    let entry = |(txn, counter): (Bytes, u32)| Entry {
        zxid: Zxid::new(epoch, counter),
        txn,
    };
    txns.zip(1..).map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ensemble::READING;

    fn servers(ids: &[u64]) -> Servers {
        let lines: Vec<String> = ids
            .iter()
            .map(|id| format!("server.{id}=127.0.0.1:{id}:{id}:participant"))
            .collect();
        ensemble::parse(&lines.join("\n")).unwrap()
    }

    fn after(view: &View, entries: &[Entry]) -> View {
        let changed = |view: View, entry: &Entry| match (READING.change)(&entry.txn) {
            Some(change) => view.after(entry.zxid, change),
            None => view,
        };
        entries.iter().fold(view.clone(), changed)
    }

    #[test]
    fn a_server_is_alone_in_the_end_wherever_the_machine_died_on_the_way_before() {
        let initial = View::initial(ensemble::members(&servers(&[1, 2, 3])));
        let under_way = Txn::of_nobody(Body::Join {
            from: ensemble::text(&servers(&[1, 2, 3])),
            to: ensemble::text(&servers(&[2, 3, 4])),
        });
        let under_way = Entry {
            zxid: Zxid::new(Epoch(1), 1),
            txn: under_way.encode(),
        };
        let alone = servers(&[2]).remove(&crate::zab::NodeId(2)).unwrap();
        for before in [initial.clone(), after(&initial, &[under_way])] {
            let first = change(&before, alone.clone(), Epoch(1000));
            for written in 0..=first.len() {
                let again = after(&before, &first[..written]);
                let entries = change(&again, alone.clone(), Epoch(2000));
                let view = after(&again, &entries);
                let version = entries.last().unwrap().zxid;
                assert_eq!((view.version, view.next), (version, None));
                assert_eq!(view.members, ensemble::members(&servers(&[2])), "{written}");
            }
        }
    }
}
