//! A leader alone, and what it is told: which promises establish its epoch.
//!
//! Stories in which whole ensembles come to such a point stand in `transcripts`; here the point is what one leader makes of words that others can
//! only be brought to say by a chain of rare events.

use bytes::Bytes;
use keelhaul_node::zab::{
    Candidacy, Chain, Config, Cure, DiskOp, Epoch, Epochs, Evidence, FromLeader, Input, Life,
    Lives, Members, Message, Millis, NodeId, Notification, Output, Reading, Recovered, Replica,
    Standing, Status, ToLeader, View, Vote, Zxid,
};
use std::collections::BTreeSet;

const ME: NodeId = NodeId(5);

struct Leader {
    replica: Replica,
    now: u64,
    disk: u64,
    said: Vec<(NodeId, FromLeader)>,
}

impl Leader {
    /// Of five, which have all promised epoch 5; elected by 1 and 4.
    fn elected() -> Leader {
        let config = Config {
            id: ME,
            members: Members {
                voters: (1..=5).map(NodeId).collect(),
                ..Members::default()
            },
            reading: Reading {
                change: |_| None,
                view: |_| None,
                activation: Bytes::new,
            },
            tick: 100,
            sync_limit: 1000,
            init_limit: 3000,
            finalize_wait: 50,
            window: 100,
            snapshot_every: 1000,
            read_batch: 100,
            first_counter: 0,
            #[cfg(feature = "bugs")]
            bug: None,
        };
        let members = config.members.clone();
        let recovered = Recovered {
            epochs: Epochs {
                accepted: Epoch(5),
                ..Epochs::default()
            },
            ..Recovered::default()
        };
        let mut leader = Leader {
            replica: Replica::new(config, recovered, Millis(0)),
            now: 0,
            disk: 0,
            said: Vec::new(),
        };
        for peer in 1..=4 {
            leader.step(Input::PeerUp(NodeId(peer)));
        }
        for voter in [1, 4] {
            let all: BTreeSet<NodeId> = members.all();
            let vote = |leader| Vote {
                epoch: Epoch(0),
                zxid: Zxid::ZERO,
                leader,
            };
            let notification = Notification {
                round: 1,
                vote: vote(ME),
                own: vote(NodeId(voter)),
                standing: Standing::Looking,
                amnesiac: false,
                hears: all.clone(),
                mutual: all,
                candidacy: Candidacy::Member,
                view: Box::new(View::initial(members.clone())),
            };
            leader.hear(voter, Message::Notification(notification));
        }
        leader.now += 60;
        leader.step(Input::Tick);
        assert!(matches!(leader.replica.status(), Status::Leading { .. }));
        leader
    }

    /// Takes an input, and does what the disk is asked.
    fn step(&mut self, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            self.replica.step(Millis(self.now), input);
            for output in self.replica.outputs() {
                match output {
                    Output::Disk(operation) => {
                        assert!(!matches!(operation, DiskOp::ReadLog { .. }));
                        self.disk += 1;
                        inputs = vec![Input::DiskDone { count: self.disk }];
                    }
                    Output::Send {
                        to,
                        message: Message::FromLeader { body, .. },
                    } => self.said.push((to, body)),
                    _ => {}
                }
            }
        }
    }

    fn hear(&mut self, from: u64, message: Message) {
        let from = NodeId(from);
        self.step(Input::Message { from, message });
    }

    fn learner_says(&mut self, from: u64, body: ToLeader) {
        self.hear(from, Message::ToLeader { session: 1, body });
    }

    fn introduce(&mut self, from: u64, lives: Lives) {
        let info = ToLeader::FollowerInfo {
            accepted: Epoch(5),
            amnesiac: false,
            doubts: false,
            lives,
        };
        self.learner_says(from, info);
    }

    fn promise(&mut self, from: u64, again: bool) {
        let ack = ToLeader::AckEpoch {
            current: Epoch(0),
            last: Zxid::ZERO,
            again,
        };
        self.learner_says(from, ack);
    }

    /// Whether it has its epoch: then it brings its learners to its history.
    fn is_established(&self) -> bool {
        let brings = |(_, body): &(NodeId, FromLeader)| matches!(body, FromLeader::NewLeader);
        self.said.iter().any(brings)
    }
}

/// First start on a directory, and nobody else known.
fn fresh(mark: u64) -> Lives {
    Lives {
        own: Chain::begin(mark),
        ..Lives::default()
    }
}

/// What 1 knows, if another leader has cured 4 on a new disk.
fn who_knows_that_4_was_cured() -> Lives {
    let cured = Life {
        number: 1,
        mark: 44,
        promised: Epoch(2),
        cured: Cure {
            epoch: Epoch(2),
            edition: 3,
        },
    };
    let mut lives = fresh(1);
    lives.known.insert(NodeId(4), vec![cured]);
    lives
}

#[test]
fn a_promise_that_its_voter_forgot_is_not_counted_once_the_voter_counts_elsewhere() {
    let mut leader = Leader::elected();
    leader.introduce(1, fresh(1));
    leader.introduce(4, fresh(4));
    let epoch = Epoch(6);
    assert!(
        leader
            .said
            .contains(&(NodeId(4), FromLeader::LeaderInfo { epoch }))
    );
    leader.promise(4, false);
    // Meanwhile 4 lost its disk, and another leader, with 1 in its majority, cured it. Then 1 comes here.
    leader.step(Input::PeerDown(NodeId(1)));
    leader.step(Input::PeerUp(NodeId(1)));
    leader.introduce(1, who_knows_that_4_was_cured());
    leader.promise(1, false);
    assert!(!leader.is_established(), "{:?}", leader.said);
    let told = |(to, body): &(NodeId, FromLeader)| {
        *to == NodeId(4) && matches!(body, FromLeader::Forgot(Evidence::Lives(_)))
    };
    assert!(leader.said.iter().any(told));
    // With 2 there is a majority without it.
    leader.introduce(2, fresh(2));
    leader.promise(2, false);
    assert!(leader.is_established());
}

#[test]
fn a_promise_that_was_remembered_is_counted() {
    let mut leader = Leader::elected();
    leader.introduce(1, fresh(1));
    leader.introduce(4, fresh(4));
    leader.promise(4, false);
    assert!(!leader.is_established());
    leader.promise(1, false);
    assert!(leader.is_established());
}

#[test]
fn a_promise_that_was_given_before_is_not_counted() {
    let mut leader = Leader::elected();
    leader.introduce(1, fresh(1));
    leader.introduce(4, fresh(4));
    leader.promise(4, true);
    leader.promise(1, false);
    assert!(!leader.is_established());
    leader.introduce(2, fresh(2));
    leader.promise(2, false);
    assert!(leader.is_established());
}
