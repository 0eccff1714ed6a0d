//! A replica alone, and what it is told: which promises establish a leader's epoch, and what a follower makes of a cut that it cannot do.
//!
//! Stories in which whole ensembles come to such a point stand in `transcripts`; here the point is what one replica makes of words that others can
//! only be brought to say by a chain of rare events, or by a bug.

use bytes::Bytes;
use keelhaul_node::zab::{
    Candidacy, Chain, Config, Cure, DiskOp, Entry, Epoch, Epochs, Evidence, Founding, FromLeader,
    Input, Life, Lives, Members, Message, Millis, NodeId, Notification, Output, Reading, Recovered,
    Replica, Standing, Status, Stored, ToLeader, View, Vote, Zxid,
};
use std::collections::BTreeSet;

const ME: NodeId = NodeId(5);

struct Alone {
    replica: Replica,
    now: u64,
    disk: u64,
    said: Vec<(NodeId, Message)>,
    contradicted: Vec<(NodeId, Zxid)>,
}

/// Five voters.
fn members() -> Members {
    Members {
        voters: (1..=5).map(NodeId).collect(),
        ..Members::default()
    }
}

impl Alone {
    /// Connected to all four others.
    fn with(recovered: Recovered) -> Alone {
        let config = Config {
            id: ME,
            members: members(),
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
            window_bytes: usize::MAX,
            snapshot_every: 1000,
            read_batch: 100,
            first_counter: 0,
            #[cfg(feature = "bugs")]
            bug: None,
        };
        let mut alone = Alone {
            replica: Replica::new(config, recovered, Millis(0)),
            now: 0,
            disk: 0,
            said: Vec::new(),
            contradicted: Vec::new(),
        };
        for peer in 1..=4 {
            alone.step(Input::PeerUp(NodeId(peer)));
        }
        alone
    }

    /// 1 and 4 vote for this one.
    fn elect(&mut self, leader: NodeId, zxid: Zxid) {
        for voter in [1, 4] {
            let all: BTreeSet<NodeId> = members().all();
            let vote = |leader| Vote {
                epoch: zxid.epoch(),
                zxid,
                leader,
            };
            let notification = Notification {
                round: 1,
                vote: vote(leader),
                own: vote(NodeId(voter)),
                standing: Standing::Looking,
                amnesiac: false,
                hears: all.clone(),
                mutual: all,
                candidacy: Candidacy::Member,
                view: Box::new(View::initial(members())),
            };
            self.hear(voter, Message::Notification(notification));
        }
        self.now += 60;
        self.step(Input::Tick);
    }

    /// Of five that have all promised epoch 5.
    fn elected() -> Alone {
        let mut leader = Alone::with(Recovered {
            epochs: Epochs {
                accepted: Epoch(5),
                ..Epochs::default()
            },
            ..Recovered::default()
        });
        leader.elect(ME, Zxid::ZERO);
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
                    Output::Send { to, message } => self.said.push((to, message)),
                    Output::Contradicted { leader, zxid } => {
                        self.contradicted.push((leader, zxid));
                    }
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
        self.told()
            .any(|(_, body)| matches!(body, FromLeader::NewLeader))
    }

    /// What it told its learners.
    fn told(&self) -> impl Iterator<Item = (NodeId, &FromLeader)> {
        self.said.iter().filter_map(|(to, message)| match message {
            Message::FromLeader { body, .. } => Some((*to, body)),
            _ => None,
        })
    }

    /// What it told its leader.
    fn answered(&self) -> impl Iterator<Item = &ToLeader> {
        self.said.iter().filter_map(|(_, message)| match message {
            Message::ToLeader { body, .. } => Some(body),
            _ => None,
        })
    }

    fn leader_says(&mut self, from: u64, body: FromLeader) {
        self.hear(from, Message::FromLeader { session: 1, body });
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
    let mut leader = Alone::elected();
    leader.introduce(1, fresh(1));
    leader.introduce(4, fresh(4));
    let epoch = Epoch(6);
    let named = (NodeId(4), &FromLeader::LeaderInfo { epoch });
    assert!(leader.told().any(|told| told == named));
    leader.promise(4, false);
    // Meanwhile 4 lost its disk, and another leader, with 1 in its majority, cured it. Then 1 comes here.
    leader.step(Input::PeerDown(NodeId(1)));
    leader.step(Input::PeerUp(NodeId(1)));
    leader.introduce(1, who_knows_that_4_was_cured());
    leader.promise(1, false);
    assert!(!leader.is_established(), "{:?}", leader.said);
    let accuses = |body: &FromLeader| matches!(body, FromLeader::Forgot(Evidence::Lives(_)));
    let mut told = leader.told();
    assert!(told.any(|(to, body)| to == NodeId(4) && accuses(body)));
    drop(told);
    // With 2 there is a majority without it.
    leader.introduce(2, fresh(2));
    leader.promise(2, false);
    assert!(leader.is_established());
}

#[test]
fn a_promise_that_was_remembered_is_counted() {
    let mut leader = Alone::elected();
    leader.introduce(1, fresh(1));
    leader.introduce(4, fresh(4));
    leader.promise(4, false);
    assert!(!leader.is_established());
    leader.promise(1, false);
    assert!(leader.is_established());
}

#[test]
fn a_promise_that_was_given_before_is_not_counted() {
    let mut leader = Alone::elected();
    leader.introduce(1, fresh(1));
    leader.introduce(4, fresh(4));
    leader.promise(4, true);
    leader.promise(1, false);
    assert!(!leader.is_established());
    leader.introduce(2, fresh(2));
    leader.promise(2, false);
    assert!(leader.is_established());
}

/// Follows 4, in epoch 6, with a log of its own.
fn follower(log: &[Zxid]) -> Alone {
    let entry = |&zxid| Entry {
        zxid,
        txn: Bytes::new(),
    };
    follower_with(Recovered {
        entries: log.iter().map(entry).collect(),
        ..Recovered::default()
    })
}

fn follower_with(recovered: Recovered) -> Alone {
    let mut follower = Alone::with(Recovered {
        epochs: Epochs {
            accepted: Epoch(5),
            current: Epoch(5),
            ..Epochs::default()
        },
        ..recovered
    });
    follower.elect(NodeId(4), Zxid::new(Epoch(5), 9));
    assert!(matches!(
        follower.replica.status(),
        Status::Following { .. }
    ));
    let epoch = Epoch(6);
    follower.leader_says(4, FromLeader::LeaderInfo { epoch });
    let promised = |body: &ToLeader| matches!(body, ToLeader::AckEpoch { .. });
    assert!(follower.answered().any(promised));
    follower
}

#[test]
fn a_cut_that_fails_is_not_taken_for_one_that_was_done() {
    let z = |counter| Zxid::new(Epoch(5), counter);
    let acknowledges = |body: &ToLeader| matches!(body, ToLeader::AckNewLeader);
    let leaves = |body: &ToLeader| matches!(body, ToLeader::Leave);
    // To a place that its log has: it is done, and the history is acknowledged.
    let mut follower = self::follower(&[z(1), z(2), z(4)]);
    follower.leader_says(4, FromLeader::Truncate { zxid: z(2) });
    follower.leader_says(4, FromLeader::NewLeader);
    assert_eq!(follower.replica.last_logged(), z(2));
    assert!(follower.answered().any(acknowledges));
    // To one that it has not: it cannot be done, and whatever the leader goes on to say is not acknowledged.
    let mut follower = self::follower(&[z(1), z(2), z(4)]);
    follower.leader_says(4, FromLeader::Truncate { zxid: z(3) });
    follower.leader_says(4, FromLeader::NewLeader);
    assert_eq!(follower.replica.last_logged(), z(4));
    assert_eq!(follower.replica.epochs().current, Epoch(5));
    assert!(!follower.answered().any(acknowledges));
    assert!(follower.answered().any(leaves));
}

#[test]
fn who_was_never_brought_up_to_date_holds_no_ensembles_history() {
    let z = |counter| Zxid::new(Epoch(5), counter);
    // Half of what a leader sends has come, and then it crashed.
    let entry = |zxid| Entry {
        zxid,
        txn: Bytes::new(),
    };
    let half = Alone::with(Recovered {
        epochs: Epochs {
            accepted: Epoch(5),
            ..Epochs::default()
        },
        entries: vec![entry(z(1))],
        ..Recovered::default()
    });
    assert_eq!(half.replica.ensemble(), None);
    let whole = follower(&[z(1)]);
    assert_eq!(whole.replica.ensemble(), Some(Founding::default()));
}

#[test]
fn a_leader_that_wants_a_cut_of_what_is_delivered_is_contradicted_once_and_not_tried_again_at_once()
{
    let z = |counter| Zxid::new(Epoch(5), counter);
    let beginning = Bytes::new();
    let mut follower = follower_with(Recovered {
        snapshot: Some(Stored {
            zxid: z(2),
            beginning,
        }),
        log_start: z(2),
        ..Recovered::default()
    });
    assert_eq!(follower.replica.delivered(), z(2));
    follower.leader_says(4, FromLeader::Truncate { zxid: z(1) });
    follower.leader_says(4, FromLeader::NewLeader);
    assert_eq!(follower.contradicted, [(NodeId(4), z(1))]);
    assert_eq!(follower.replica.last_logged(), z(2));
    let acknowledges = |body: &ToLeader| matches!(body, ToLeader::AckNewLeader);
    assert!(!follower.answered().any(acknowledges));
    // It waits as long as a synchronisation may take.
    for _ in 0..28 {
        follower.now += 100;
        follower.leader_says(4, FromLeader::Ping { beat: 1 });
        follower.step(Input::Tick);
        let status = follower.replica.status();
        assert!(matches!(status, Status::Following { serving: false, .. }));
    }
    follower.now += 500;
    follower.step(Input::Tick);
    assert_eq!(follower.replica.status(), Status::Looking);
}

#[test]
fn a_cut_of_what_is_delivered_is_refused() {
    let z = |epoch, counter| Zxid::new(Epoch(epoch), counter);
    let mut follower = self::follower(&[z(5, 1), z(5, 2)]);
    follower.leader_says(4, FromLeader::NewLeader);
    follower.leader_says(4, FromLeader::UpToDate { commit: z(5, 2) });
    assert_eq!(follower.replica.delivered(), z(5, 2));
    follower.leader_says(4, FromLeader::Truncate { zxid: z(5, 1) });
    assert_eq!(follower.replica.last_logged(), z(5, 2));
    assert_eq!(follower.replica.status(), Status::Looking);
}
