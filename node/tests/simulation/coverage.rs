//! How often the simulation reached the situations that matter: a simulation that never does proves nothing.

use std::collections::BTreeMap;

/// What may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Situation {
    Trunc,
    Snap,
    SnapResumed,
    ArrivalFound,
    DiffFromDisk,
    CrashBetweenDiskWrites,
    DeathBetweenProposalAndCommit,
    TailCommitted,
    TailCut,
    SnapshotKept,
    AmnesiacCured,
    LeaderResigned,
    LeaderAdvised,
    OneWayCut,
    Pause,
    SyncConfirmed,
    Informed,
    ObserverSnap,
    ObserverChangesLeader,
    ChangeCommitted,
    ChangeActivated,
    ChangeCut,
    ChangeInherited,
    ChangeRefused,
    NoMemberStays,
    LeaderLeft,
    DamageSetAside,
    DamageWithoutLoss,
    EpochUsedUp,
    StateDiffers,
    DoubtedUnjustly,
    StateReplaced,
    StateRebuilt,
    OldCopyPutBack,
    OldCopyNoticed,
    ForgottenPromise,
}

use Situation::*;

/// All, with what to call them.
pub(crate) const ALL: &[(Situation, &str)] = &[
    (Trunc, "TRUNC"),
    (Snap, "SNAP"),
    (SnapResumed, "SNAP that went on where it broke off"),
    (ArrivalFound, "half a SNAP found after a crash"),
    (DiffFromDisk, "DIFF from disk"),
    (CrashBetweenDiskWrites, "crash between two disk writes"),
    (
        DeathBetweenProposalAndCommit,
        "leader's death between proposal and commit",
    ),
    (TailCommitted, "uncommitted tail that became committed"),
    (TailCut, "uncommitted tail that was cut"),
    (SnapshotKept, "snapshot kept on disk"),
    (AmnesiacCured, "amnesiac replica brought up to date"),
    (LeaderResigned, "leader that resigned"),
    (LeaderAdvised, "leader that was advised to resign"),
    (OneWayCut, "one-way cut"),
    (Pause, "pause"),
    (SyncConfirmed, "sync confirmed by a majority"),
    (Informed, "commit told to an observer"),
    (ObserverSnap, "SNAP to an observer"),
    (
        ObserverChangesLeader,
        "observer that serves under another leader than before",
    ),
    (ChangeCommitted, "change of the members committed"),
    (ChangeActivated, "change of the members activated"),
    (ChangeCut, "change of the members cut from a log"),
    (
        ChangeInherited,
        "change that another leader activated than proposed it",
    ),
    (
        ChangeRefused,
        "change refused: one is under way, or no quorum is here",
    ),
    (
        NoMemberStays,
        "change to voters of whom none was one before",
    ),
    (StateDiffers, "state that differs, found"),
    (DoubtedUnjustly, "doubt of a state that was right"),
    (StateReplaced, "SNAP for the sake of the state"),
    (DamageSetAside, "damaged files set aside, memory lost"),
    (DamageWithoutLoss, "damaged disk that lost nothing"),
    (EpochUsedUp, "epoch whose zxids were used up"),
    (OldCopyPutBack, "old copy of a disk put back"),
    (OldCopyNoticed, "old copy noticed, by its own server"),
    (
        ForgottenPromise,
        "promise that arrives after its voter's disk was taken",
    ),
    (StateRebuilt, "state made anew from the disk"),
    (LeaderLeft, "leader that left because it belongs no longer"),
];

/// Counts.
#[derive(Debug, Default, Clone)]
pub(crate) struct Coverage(BTreeMap<Situation, u64>);

impl Coverage {
    pub(crate) fn hit(&mut self, situation: Situation) {
        *self.0.entry(situation).or_default() += 1;
    }

    pub(crate) fn add(&mut self, other: &Coverage) {
        for (&situation, &count) in &other.0 {
            *self.0.entry(situation).or_default() += count;
        }
    }

    pub(crate) fn count(&self, situation: Situation) -> u64 {
        self.0.get(&situation).copied().unwrap_or_default()
    }
}
