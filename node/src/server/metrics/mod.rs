//! What a server counts about itself: one place, which the four-letter words, the admin server and Prometheus all read.
//!
//! The names are those of ZooKeeper 3.8 (`ServerMetrics` and the gauges of its servers), where the meaning is the same. What
//! has no meaning here is left out: queues between threads that this server does not have, caches, Java's own.
//!
//! - `count`: counters and summaries, which any thread adds to without a lock.
//! - [`Metrics`], here: the table of them.
//! - `passing`: counts what passes by: messages between servers, proposals, changes of status.
//! - `gauges`: what is not counted but looked up when somebody asks.
//! - `format`: the same readings as `mntr` lines, as JSON, and in Prometheus's text format.

mod count;
mod format;
mod gauges;
mod passing;

pub(super) use count::{Detail, Summary, Summed, Unit};
pub(super) use format::{java_float, mntr_lines, monitor_json, prometheus_text};
pub(super) use gauges::of_the_process;
pub(super) use passing::{Passing, Sizes};

use count::Counter;

/// How long quantiles remember, in milliseconds: as long as those of Prometheus's clients.
pub(super) const WINDOW_MS: u64 = 600_000;

/// How long a sync of the log may take before it is counted as slow, in microseconds (ZooKeeper's `fsync.warningthresholdms`).
pub(super) const SLOW_SYNC: u64 = 1_000_000;

/// Between two turns of the summaries, in milliseconds.
pub(super) const TURN_MS: u64 = WINDOW_MS / 5;

macro_rules! metrics {
    (
        counters { $(#[doc = $counter_doc:literal] $counter:ident,)* }
        summaries { $(#[doc = $summary_doc:literal] $summary:ident: $unit:ident $detail:ident,)* }
    ) => {
        /// All counters and summaries of a server, by ZooKeeper's names.
        #[derive(Debug)]
        pub(super) struct Metrics {
            $(#[doc = $counter_doc] pub(super) $counter: Counter,)*
            $(#[doc = $summary_doc] pub(super) $summary: Summary,)*
            /// From arrival to answer, for every request.
            pub(super) latency: Summary,
            /// Requests received, and four-letter words.
            pub(super) packets_received: Counter,
            /// Answers and events sent.
            pub(super) packets_sent: Counter,
            /// Clients that showed what proves nothing.
            pub(super) auth_failed: Counter,
            /// Connections of clients on this host.
            pub(super) local_connections: Counter,
            /// Connections of clients elsewhere.
            pub(super) remote_connections: Counter,
            /// Syncs of the log that took longer than [`SLOW_SYNC`].
            pub(super) slow_syncs: Counter,
        }

        impl Default for Metrics {
            fn default() -> Metrics {
                Metrics {
                    $($counter: Counter::default(),)*
                    $($summary: Summary::new(Unit::$unit, Detail::$detail),)*
                    latency: Summary::new(Unit::Time, Detail::Basic),
                    packets_received: Counter::default(),
                    packets_sent: Counter::default(),
                    auth_failed: Counter::default(),
                    local_connections: Counter::default(),
                    remote_connections: Counter::default(),
                    slow_syncs: Counter::default(),
                }
            }
        }

        impl Metrics {
            /// Name, meaning and value of each counter.
            fn counters(&self) -> impl Iterator<Item = (&'static str, &'static str, &Counter)> {
                [$((stringify!($counter), $counter_doc.trim_ascii(), &self.$counter),)*].into_iter()
            }

            /// Name, meaning and values of each summary.
            fn summaries(&self) -> impl Iterator<Item = (&'static str, &'static str, &Summary)> {
                [$((stringify!($summary), $summary_doc.trim_ascii(), &self.$summary),)*].into_iter()
            }
        }
    };
}

metrics! {
    counters {
        /// Times that this server's state was not what it should be, and was put in doubt.
        digest_mismatches_count,
        /// Elections that this server has begun.
        looking_count,
        /// Transactions proposed as the leader.
        proposal_count,
        /// Transactions committed as the leader.
        commit_count,
        /// Followers brought up to date, as the leader, without a snapshot.
        diff_count,
        /// Followers brought up to date, as the leader, with a snapshot.
        snap_count,
        /// Proposals received from the leader.
        learner_proposal_received_count,
        /// Messages received from the leader that say what is committed.
        learner_commit_received_count,
        /// Connect requests of clients.
        connection_request_count,
        /// Connections refused, because their address had too many.
        connection_rejected,
        /// Client connections that ended.
        connection_drop_count,
        /// Connect requests that went on with a session.
        connection_revalidate_count,
        /// Sessions that the leader was asked about, because they went on at another server.
        revalidate_count,
        /// Connections closed, because their TLS handshake failed.
        unsuccessful_handshake,
        /// Connections closed, because they did not say in time what they want.
        sessionless_connections_expired,
        /// Sessions that expired while this server led.
        stale_sessions_expired,
        /// Seats of voters that were away that this server, as the leader, began to lend to observers.
        seats_lent_count,
        /// Lent seats that it began to give back.
        seats_returned_count,
        /// Connections closed, because this server did not serve.
        cnxn_closed_without_zk_server_running,
        /// Connections closed, because a request was longer than is legal.
        large_requests_rejected,
        /// Times that a connection had to wait, because as many of its requests as may be were unanswered.
        request_throttle_wait_count,
        /// Bytes received from clients.
        bytes_received_count,
        /// Bytes of answers to clients.
        response_bytes,
        /// Bytes of watch events to clients.
        watch_bytes,
        /// Operations handed to the disk thread.
        sync_processor_request_queued,
        /// Requests put into the leader's view of what is proposed.
        outstanding_changes_queued,
        /// Requests taken out of it, because they were applied.
        outstanding_changes_removed,
    }
    summaries {
        /// Milliseconds that a sync of the log took.
        fsynctime: Time Basic,
        /// Milliseconds that writing a snapshot took.
        snapshottime: Time Basic,
        /// Milliseconds that reading snapshot and log took at the start.
        dbinittime: Time Basic,
        /// Milliseconds that making the tree from the snapshot took at the start.
        startup_snap_load_time: Time Basic,
        /// Transactions in the log beyond the snapshot at the start.
        startup_txns_loaded: Number Basic,
        /// Milliseconds from a request's arrival to its answer, for all but writes.
        readlatency: Time Advanced,
        /// Milliseconds from a write's arrival to its answer.
        updatelatency: Time Advanced,
        /// Milliseconds from a transaction's proposal, by the leader's wall clock, until it is applied here, by this server's.
        propagation_latency: Time Advanced,
        /// Milliseconds from a transaction's proposal until a majority has it on disk, as the leader.
        quorum_ack_latency: Time Advanced,
        /// Milliseconds from the beginning of an election until this server leads or follows.
        election_time: Time Basic,
        /// Milliseconds from following a leader to being up to date.
        follower_sync_time: Time Basic,
        /// Milliseconds from observing a leader to being up to date.
        observer_sync_time: Time Basic,
        /// Milliseconds during which this server did not serve.
        unavailable_time: Time Basic,
        /// Milliseconds from leaving off to serve until this server served again, as the leader.
        leader_unavailable_time: Time Basic,
        /// Watches told of a znode's creation.
        node_created_watch_count: Number Basic,
        /// Watches told of a znode's deletion.
        node_deleted_watch_count: Number Basic,
        /// Watches told of a change of a znode's data.
        node_changed_watch_count: Number Basic,
        /// Watches told of a change of a znode's children.
        node_children_watch_count: Number Basic,
        /// Operations that the disk thread carried out with one sync.
        sync_processor_batch_size: Number Basic,
        /// Operations that waited for the disk thread when more were added.
        sync_processor_queue_size: Number Basic,
        /// Milliseconds from handing operations to the disk thread until they are durable.
        sync_processor_queue_and_flush_time_ms: Time Advanced,
        /// Milliseconds that the disk thread took to carry out what it took at once.
        sync_processor_queue_flush_time_ms: Time Advanced,
    }
}

impl Metrics {
    /// Forgets the oldest of what quantiles are made of; to be called every [`TURN_MS`].
    pub(super) fn turn(&self) {
        self.summaries().for_each(|(_, _, summary)| summary.turn());
    }

    /// Begins all anew.
    pub(super) fn reset(&self) {
        self.counters().for_each(|(_, _, counter)| counter.reset());
        self.summaries().for_each(|(_, _, summary)| summary.reset());
        self.latency.reset();
        for counter in [
            &self.packets_received,
            &self.packets_sent,
            &self.auth_failed,
            &self.local_connections,
            &self.remote_connections,
            &self.slow_syncs,
        ] {
            counter.reset();
        }
    }
}

/// What a reading says.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// A word, which Prometheus is not told.
    Word(String),
    /// A number that goes up and down.
    Whole(i64),
    /// The same, with a fraction.
    Float(f64),
    /// A number that only grows.
    Count(u64),
    /// Values summed up.
    Summary(Summed),
    /// A number that goes up and down, for each of several labels; `mntr` is not told.
    Labelled(Vec<(String, i64)>),
    /// Summaries for each of several keys, in order.
    Summaries(Vec<(String, Summed)>),
}

/// One metric as it is now.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reading {
    pub(super) name: &'static str,
    /// What it means, in a sentence.
    pub(super) help: &'static str,
    pub(super) value: Value,
}
