//! `watch`: histories of a small server with one-shot watches, broken in one place.

use crate::common::blinding::{Row, invalid, measure};
use crate::watch_sim::{Break, made};

pub(crate) fn rows() -> Vec<Row> {
    let row = |name, breaking| -> Row {
        measure("watch", name, 0..1_000, |rng| {
            // Nothing is lost: then every one of these breaks a promise.
            let (mut history, mut broken) = (keelhaul_checkers::History::new(), false);
            for _ in 0..8 {
                (history, broken) = made(rng, 80, false, Some(breaking));
                if broken {
                    break;
                }
            }
            broken.then(|| invalid("watch", &history))
        })
    };
    vec![
        row("an event that never came", Break::Missed),
        row("an event after the data", Break::Late),
        row("an event twice", Break::Double),
        row("an event without a change", Break::NoChange),
    ]
}
