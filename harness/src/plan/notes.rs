//! What is worth knowing of a plan before it runs: notes for a person, never refusals.

use super::Plan;
use keelhaul_nemesis::FaultKind;
use keelhaul_nemesis::plan::{shortest_time_limit_s, unplanned};
use keelhaul_workloads::Reads;

/// Workers for each key from which the checker's limit on operations of one key in flight (128) is within reach.
const CROWDED: u64 = 64;

/// The planted bug that shows in nothing but reads after `sync`.
const STALE_SYNC: &str = "stale-sync";

impl Plan {
    /// The notes, a sentence or two each; mostly none.
    pub fn notes(&self) -> Vec<String> {
        [
            self.too_short(),
            self.nothing_to_cut(),
            self.blind_to_the_bug(),
            self.judges_loss_only(),
            self.crowds_its_keys(),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// A kind of fault that was asked for and is never installed makes the verdict unknown at best.
    fn too_short(&self) -> Option<String> {
        let missing = unplanned(&self.options.nemesis, &self.schedule);
        if missing.is_empty() {
            return None;
        }
        let names: Vec<&str> = missing.iter().map(|kind| kind.name()).collect();
        Some(format!(
            "this plan has no episode of {}, so this run cannot be valid; every kind that was asked for fits from --time-limit {} on",
            names.join(", "),
            shortest_time_limit_s(&self.options.nemesis)
        ))
    }

    fn nothing_to_cut(&self) -> Option<String> {
        let asked_for = self.options.nemesis.contains(&FaultKind::Partition);
        (asked_for && self.options.nodes == 1).then(|| {
            "one node has no links to cut: with a partition asked for, this run cannot be valid; give more --nodes"
                .to_owned()
        })
    }

    fn blind_to_the_bug(&self) -> Option<String> {
        let reads = self.options.reads;
        let hidden = self.options.bug.as_deref() == Some(STALE_SYNC) && reads != Reads::Sync;
        hidden.then(|| {
            format!("the bug {STALE_SYNC} shows in reads after sync alone: with --reads {reads} this run cannot find it")
        })
    }

    fn crowds_its_keys(&self) -> Option<String> {
        let (workers, keys) = (self.options.workers, self.options.keys);
        let crowded = self.options.workload == "register" && workers / keys >= CROWDED;
        crowded.then(|| {
            format!("{workers} workers on {keys} keys may have more operations of one key in flight than can be judged; give more --keys")
        })
    }

    fn judges_loss_only(&self) -> Option<String> {
        let loss_only = self.options.workload == "set" && self.options.reads == Reads::Local;
        loss_only.then(|| {
            "with --reads local the reads during the work may rightly be old: only the final reads are judged for loss"
                .to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::validate::tests::valid;
    use super::*;
    use serde_json::json;

    fn notes(changes: &[(&str, serde_json::Value)]) -> String {
        let mut plan = valid();
        for (place, value) in changes {
            *plan.pointer_mut(place).unwrap() = value.clone();
        }
        Plan::parse(&plan.to_string()).unwrap().notes().join("\n")
    }

    #[test]
    fn a_bug_that_these_reads_cannot_show_is_noted() {
        let bug = ("/options/bug", json!(STALE_SYNC));
        assert_eq!(notes(std::slice::from_ref(&bug)), "");
        for reads in ["fenced", "local"] {
            let said = notes(&[bug.clone(), ("/options/reads", json!(reads))]);
            assert!(said.contains("cannot find it"), "{said}");
        }
    }

    #[test]
    fn a_fault_that_no_episode_brings_is_noted_with_the_time_that_it_needs() {
        let said = notes(&[("/options/nemesis", json!(["kill", "pause"]))]);
        assert!(said.contains("no episode of pause, so"), "{said}");
        assert!(said.contains("--time-limit 10 "), "{said}");
    }

    #[test]
    fn too_many_workers_on_a_key_are_noted() {
        let workers = |number| notes(&[("/options/workers", json!(number))]);
        assert!(workers(1_000).contains("more --keys"));
        assert_eq!(workers(100), "");
    }

    #[test]
    fn a_partition_of_one_node_is_noted() {
        let said = notes(&[
            ("/options/nodes", json!(1)),
            ("/options/nemesis", json!(["partition"])),
            (
                "/schedule/episodes/0/fault",
                json!({"kind": "partition", "shape": "isolate"}),
            ),
        ]);
        assert!(said.contains("no links to cut"), "{said}");
    }
}
