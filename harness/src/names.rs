//! Names that were mistyped: which known one was meant.
//!
//! Only a near name is suggested: a far one would be a wrong turn, not a help.

/// How alike two names must be, from 0 (nothing in common) to 1 (the same).
const NEAR: f64 = 0.6;

/// The known name that is meant most likely, if any is near.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    known
        .into_iter()
        .map(|known| {
            (
                known,
                strsim::normalized_damerau_levenshtein(&name, &known.to_lowercase()),
            )
        })
        .filter(|(_, likeness)| *likeness >= NEAR)
        .max_by(|(_, one), (_, other)| one.total_cmp(other))
        .map(|(known, _)| known)
}

/// ``there is no WHAT `name`; did you mean `x`? The known: x, y``: the sentence for a name that is not known.
pub fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    let known_names = known.join(", ");
    match nearest(name, known.iter().copied()) {
        Some(meant) => {
            format!("there is no {what} `{name}`; did you mean `{meant}`? The known: {known_names}")
        }
        None => format!("there is no {what} `{name}`; the known: {known_names}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_name_is_found_and_a_far_one_is_not_suggested() {
        let known = ["set", "register"];
        assert_eq!(nearest("regsiter", known), Some("register"));
        assert_eq!(nearest("Register", known), Some("register"));
        assert_eq!(nearest("zzz", known), None);
        assert_eq!(
            unknown("workload", "zzz", &known),
            "there is no workload `zzz`; the known: set, register"
        );
    }
}
