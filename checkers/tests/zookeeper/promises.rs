//! zxid-audit, sequence and ephemeral: nothing that a correct ZooKeeper does is refused.

use crate::common::{judge_with, text, validity};
use crate::sim::{Options, Sim, history};
use keelhaul_checkers::Parameters;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const HISTORIES: u64 = 20_000;

#[test]
fn nothing_sound_is_refused() {
    let mut valid = 0;
    for seed in 0..HISTORIES {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let exact = rng.random_bool(0.5);
        let options = Options {
            operations: rng.random_range(3..=30),
            sessions: rng.random_range(1..=4),
            exact,
            lost: if rng.random_bool(0.5) { 0.1 } else { 0.0 },
            ephemeral: 0.4,
            multi: 0.15,
            sequential: 0.4,
            close: 0.1,
            by_name: 0.0,
        };
        let history = history(&Sim::run(&mut rng, options).records);
        let contract = if exact { "keelhaul-node" } else { "zookeeper" };
        let parameters = Parameters {
            contract: contract.to_owned(),
            ..Parameters::default()
        };
        for checker in ["zxid-audit", "sequence", "ephemeral"] {
            let finding = judge_with(checker, &parameters, &history);
            let shows = || {
                format!(
                    "seed {seed}, {checker}: {:?}\n{}",
                    finding.verdict,
                    text(&history)
                )
            };
            assert_ne!(validity(&finding), Some(false), "{}", shows());
            valid += u64::from(validity(&finding) == Some(true));
        }
    }
    println!(
        "{valid} of {} verdicts on sound histories are valid, the others say that nothing was tested",
        3 * HISTORIES
    );
    assert!(valid > 2 * HISTORIES);
}
