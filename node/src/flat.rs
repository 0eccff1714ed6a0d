//! The parts of a multi, as they are decoded: none of them is a multi itself, so that bytes that nest cannot make the decoder recurse
//! as deep as they are long.

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use std::cell::Cell;

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// For `#[serde(deserialize_with)]`.
pub(crate) fn parts<'de, D, T>(from: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    if INSIDE.replace(true) {
        return Err(D::Error::custom("a multi within a multi"));
    }
    let found = Vec::deserialize(from);
    INSIDE.set(false);
    found
}

#[cfg(test)]
mod tests {
    use crate::request::{ErrorCode, Write};
    use crate::txn::Body;

    #[test]
    fn a_multi_has_no_multi_in_it() {
        let flat = Write::Multi(vec![Write::CloseSession, Write::Refused(ErrorCode::NoNode)]);
        let nested = Write::Multi(vec![Write::CloseSession, flat.clone()]);
        let again = |write: &Write| -> Result<Write, _> {
            postcard::from_bytes(&postcard::to_allocvec(write).unwrap())
        };
        for _ in 0..2 {
            assert!(again(&nested).is_err());
            assert_eq!(
                again(&flat).unwrap(),
                flat,
                "what was refused leaves nothing behind"
            );
        }
        // As deep as the longest frame is long: each part is a multi of one.
        let deep = [4u8, 1].repeat(32 << 20);
        assert!(postcard::from_bytes::<Write>(&deep).is_err());
        assert!(postcard::from_bytes::<Body>(&deep).is_err());
    }
}
