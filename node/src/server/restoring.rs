//! A snapshot on the disk becomes the tree: a thread of its own reads it, while the engine goes on with everything but serving.

use super::NodeError;
use super::engine::Engine;
use super::event::Event;
use crate::storage::SnapshotReader;
use crate::tree::{Restorer, Tree};
use crate::zab::{Input, Zxid};

/// Reads the state in a snapshot.
pub(super) fn read(reader: SnapshotReader) -> Result<Tree, NodeError> {
    let zxid = reader.zxid();
    let image = |source| NodeError::Image { zxid, source };
    let mut restorer = Restorer::default();
    for piece in reader {
        restorer.push(&piece?).map_err(image)?;
    }
    restorer.finish().map_err(image)
}

/// A state that the history begins with and the engine does not have yet.
#[derive(Debug)]
pub(super) struct Restoring {
    zxid: Zxid,
    /// What it replaces.
    former: Tree,
}

impl Engine {
    /// Whether the tree is not there yet.
    pub(super) fn is_restoring(&self) -> bool {
        self.restoring.is_some()
    }

    /// The history was replaced, and this is no longer its state. Nobody is served meanwhile.
    pub(super) fn forget_state(&mut self, zxid: Zxid) {
        let former = std::mem::take(&mut self.tree);
        self.digests.begin(self.tree.checkpoint());
        self.jury.clear();
        self.restoring = Some(Restoring { zxid, former });
    }

    /// The snapshot is on the disk.
    pub(super) fn load_state(&mut self, reader: SnapshotReader) {
        let zxid = reader.zxid();
        let wanted = |restoring: &&mut Restoring| restoring.zxid == zxid;
        let former = match self.restoring.as_mut().filter(wanted) {
            Some(restoring) => std::mem::take(&mut restoring.former),
            // It was replaced again meanwhile.
            None => return,
        };
        let events = self.disk.events();
        let load = move || {
            // It goes first: two large trees need not fit into memory.
            drop(former);
            // The engine may have ended.
            let _ = events.blocking_send(Event::Loaded(zxid, Box::new(read(reader))));
        };
        if let Err(error) = std::thread::Builder::new()
            .name("snapshot".into())
            .spawn(load)
        {
            self.stopped = Some(NodeError::Start {
                what: "a thread that reads a snapshot",
                problem: error.to_string(),
            });
        }
    }

    /// The state has been read.
    pub(super) fn loaded_state(&mut self, zxid: Zxid, tree: Result<Tree, NodeError>) {
        if self
            .restoring
            .as_ref()
            .is_none_or(|wanted| wanted.zxid != zxid)
        {
            return;
        }
        self.restoring = None;
        match tree {
            Ok(tree) => self.tree = tree,
            Err(problem) => {
                self.stopped = Some(problem);
                return;
            }
        }
        tracing::info!(%zxid, znodes = self.tree.znode_count(), "state replaced by a snapshot");
        self.digests.begin(self.tree.checkpoint());
        self.step(Input::Restored(zxid));
    }
}
