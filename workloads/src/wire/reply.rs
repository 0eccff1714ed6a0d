//! What is answered: headers, Stats and results.

use super::Zxid;
use super::code::ErrorCode;
use super::jute::{DecodeError, Decoder};
use super::request::op;
use serde::Serialize;

/// What a reply's frame opens with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplyHeader {
    /// The request's number; -2 answers a ping, -1 is a watch's notification.
    pub xid: i32,
    /// The last zxid that the server has applied; for a write, at least its own.
    pub zxid: Zxid,
    /// The error, if any.
    pub error: Option<ErrorCode>,
}

impl ReplyHeader {
    /// Reads a header.
    ///
    /// # Errors
    /// Truncated.
    pub fn decode(from: &mut Decoder<'_>) -> Result<ReplyHeader, DecodeError> {
        Ok(ReplyHeader {
            xid: from.int("xid")?,
            zxid: Zxid(from.long("zxid")?),
            error: ErrorCode::from_number(from.int("err")?),
        })
    }
}

/// A znode's Stat. `ctime` and `mtime` are wall clocks, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[expect(missing_docs, reason = "the names are the protocol's own")]
#[serde(rename_all = "camelCase")]
pub struct Stat {
    pub czxid: Zxid,
    pub mzxid: Zxid,
    pub ctime: i64,
    pub mtime: i64,
    pub version: i32,
    pub cversion: i32,
    pub aversion: i32,
    pub ephemeral_owner: i64,
    pub data_length: i32,
    pub num_children: i32,
    pub pzxid: Zxid,
}

impl Stat {
    /// Reads a Stat.
    ///
    /// # Errors
    /// Truncated.
    pub fn decode(from: &mut Decoder<'_>) -> Result<Stat, DecodeError> {
        Ok(Stat {
            czxid: Zxid(from.long("czxid")?),
            mzxid: Zxid(from.long("mzxid")?),
            ctime: from.long("ctime")?,
            mtime: from.long("mtime")?,
            version: from.int("version")?,
            cversion: from.int("cversion")?,
            aversion: from.int("aversion")?,
            ephemeral_owner: from.long("ephemeralOwner")?,
            data_length: from.int("dataLength")?,
            num_children: from.int("numChildren")?,
            pzxid: Zxid(from.long("pzxid")?),
        })
    }
}

/// A reply: which request, at which zxid, and what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The request's number.
    pub xid: i32,
    /// The last zxid that the server has applied; for a write, at least its own.
    pub zxid: Zxid,
    /// The answer, or the server's error.
    pub result: Result<Answer, ErrorCode>,
}

/// The body of a successful reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To create.
    Created {
        /// The path made, with its number if sequential.
        path: String,
        /// Its Stat; only create2 has it.
        stat: Option<Stat>,
    },
    /// To exists and setData.
    Stat(Stat),
    /// To getData.
    Data {
        /// The znode's data.
        data: Vec<u8>,
        /// Its Stat.
        stat: Stat,
    },
    /// To getChildren2.
    Children {
        /// Names, in the server's order.
        names: Vec<String>,
        /// The parent's Stat.
        stat: Stat,
    },
    /// To multi: one for each part.
    Multi(Vec<PartAnswer>),
    /// To what has no result: delete, sync, closeSession.
    Done,
}

/// The answer to a part of a multi.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartAnswer {
    /// check or delete succeeded.
    Done,
    /// create succeeded.
    Created(String),
    /// setData succeeded.
    Stat(Stat),
    /// The multi failed; of the parts before the failing one this is code 0, which reads as `None`.
    Error(Option<ErrorCode>),
}

impl Answer {
    /// Reads the whole body of a successful reply to a request of type `op`.
    ///
    /// # Errors
    /// If the body is not what that request is answered by, to the last byte.
    pub fn decode(op: i32, from: &mut Decoder<'_>) -> Result<Answer, DecodeError> {
        let answer = match op {
            op::CREATE => Answer::Created {
                path: from.string("path")?.to_owned(),
                stat: None,
            },
            op::CREATE2 => Answer::Created {
                path: from.string("path")?.to_owned(),
                stat: Some(Stat::decode(from)?),
            },
            op::EXISTS | op::SET_DATA => Answer::Stat(Stat::decode(from)?),
            op::GET_DATA => Answer::Data {
                data: from.buffer("data")?.to_vec(),
                stat: Stat::decode(from)?,
            },
            op::GET_CHILDREN2 => Answer::Children {
                names: from.strings("children")?,
                stat: Stat::decode(from)?,
            },
            op::MULTI => Answer::Multi(decode_parts(from)?),
            op::SYNC => {
                from.string("path")?;
                Answer::Done
            }
            _ => Answer::Done,
        };
        from.end()?;
        Ok(answer)
    }
}

fn decode_parts(from: &mut Decoder<'_>) -> Result<Vec<PartAnswer>, DecodeError> {
    let mut parts = Vec::new();
    loop {
        let kind = from.int("part's type")?;
        let done = from.boolean("part's done")?;
        let _error = from.int("part's err")?;
        if done {
            return Ok(parts);
        }
        parts.push(match kind {
            op::CHECK | op::DELETE => PartAnswer::Done,
            op::CREATE => PartAnswer::Created(from.string("part's path")?.to_owned()),
            op::SET_DATA => PartAnswer::Stat(Stat::decode(from)?),
            op::ERROR => PartAnswer::Error(ErrorCode::from_number(from.int("part's error")?)),
            other => return Err(DecodeError::UnexpectedPart(other)),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::jute::Encoder;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_failed_multi_names_the_part_that_failed() {
        let mut to = Encoder::new();
        for code in [0, -103, -2] {
            to.int(op::ERROR).boolean(false).int(code).int(code);
        }
        to.int(op::ERROR).boolean(true).int(-1);
        let bytes = to.finish();
        let answer = Answer::decode(op::MULTI, &mut Decoder::new(&bytes)).unwrap();
        let errors = [
            None,
            Some(ErrorCode::BadVersion),
            Some(ErrorCode::RuntimeInconsistency),
        ];
        assert_eq!(
            answer,
            Answer::Multi(errors.map(PartAnswer::Error).to_vec())
        );
    }

    #[test]
    fn a_body_with_bytes_left_over_is_refused() {
        let error = Answer::decode(op::DELETE, &mut Decoder::new(&[1, 2, 3]));
        assert_eq!(error, Err(DecodeError::LeftOver(3)));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic(bytes: Vec<u8>, op in prop::sample::select(vec![1, 2, 3, 4, 5, 9, 12, 14, 15, -11])) {
            let mut from = Decoder::new(&bytes);
            if ReplyHeader::decode(&mut from).is_ok() {
                let _ = Answer::decode(op, &mut from);
            }
        }
    }
}
