//! `watch`: nothing that a simulated server with one-shot watches does is refused.

use crate::common::{judge, text, validity};
use crate::watch_sim::made;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

const HISTORIES: u64 = 100_000;

#[test]
fn nothing_sound_is_refused() {
    let (mut valid, mut indeterminate) = (0, 0);
    for seed in 0..HISTORIES {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (history, _) = made(&mut rng, 8 + seed as usize % 20, seed % 2 == 0, None);
        let finding = judge("watch", &history);
        let verdict = validity(&finding);
        assert_ne!(
            verdict,
            Some(false),
            "seed {seed}: {:?}\n{}",
            finding.verdict,
            text(&history)
        );
        valid += u64::from(verdict == Some(true));
        let lost = history
            .operations()
            .unwrap()
            .iter()
            .any(|operation| operation.ret().is_none());
        indeterminate += u64::from(lost);
    }
    println!("{HISTORIES} sound: {valid} valid, {indeterminate} with indeterminate operations");
    assert!(valid > HISTORIES / 2 && indeterminate > HISTORIES * 3 / 10);
}
