//! A session, and the handshake that opens one or comes back to it.

use super::Zxid;
use super::jute::{DecodeError, Decoder, Encoder};
use std::fmt;
use std::time::Duration;

/// A session's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub i64);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// What it takes to come back to a session at any server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its number.
    pub id: SessionId,
    /// Its password.
    pub password: Vec<u8>,
    /// Its time-out, as the server granted it.
    pub timeout: Duration,
    /// The highest zxid that any reply to it carried: a server that is behind it must refuse it.
    pub last_zxid: Zxid,
}

/// Longest password that is accepted; ZooKeeper's have 16 bytes.
const LONGEST_PASSWORD: usize = 64;

/// The record that opens a connection: a new session without `resume`, else that session.
pub(super) fn connect_request(resume: Option<&Session>, timeout: Duration) -> Vec<u8> {
    let millis = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    let (last_zxid, id, password) = match resume {
        Some(session) => (session.last_zxid.0, session.id.0, &session.password[..]),
        None => (0, 0, &[0; 16][..]),
    };
    let mut to = Encoder::new();
    to.int(0)
        .long(last_zxid)
        .int(millis)
        .long(id)
        .buffer(password);
    to.boolean(false); // a read-only server is of no use here
    to.finish()
}

/// What the server granted; `None` if the session that was asked for does not exist any more.
pub(super) fn connect_reply(bytes: &[u8], last_zxid: Zxid) -> Result<Option<Session>, DecodeError> {
    let mut from = Decoder::new(bytes);
    from.int("protocol version")?;
    let millis = from.int("time-out")?;
    let id = SessionId(from.long("session")?);
    let password = from.buffer("password")?.to_vec();
    if from.remaining() == 1 {
        from.boolean("read-only")?; // servers before 3.4 leave it out
    }
    from.end()?;
    if password.len() > LONGEST_PASSWORD {
        let length = i32::try_from(password.len()).unwrap_or(i32::MAX);
        return Err(DecodeError::Length {
            what: "password",
            length,
        });
    }
    match u64::try_from(millis) {
        Ok(millis) if millis > 0 && id.0 != 0 => Ok(Some(Session {
            id,
            password,
            timeout: Duration::from_millis(millis),
            last_zxid,
        })),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(timeout: i32, session: i64) -> Vec<u8> {
        let mut to = Encoder::new();
        to.int(0)
            .int(timeout)
            .long(session)
            .buffer(&[3; 16])
            .boolean(false);
        to.finish()
    }

    #[test]
    fn a_time_out_of_zero_means_that_the_session_has_expired() {
        assert_eq!(connect_reply(&reply(0, 0), Zxid(9)), Ok(None));
    }

    #[test]
    fn a_granted_session_keeps_the_last_zxid_seen() {
        let session = connect_reply(&reply(4000, 0x17), Zxid(9)).unwrap().unwrap();
        assert_eq!(session.id.to_string(), "0x17");
        assert_eq!(session.timeout, Duration::from_secs(4));
        assert_eq!(session.last_zxid, Zxid(9));
        let again = connect_request(Some(&session), Duration::from_secs(4));
        assert_eq!(&again[4..12], &9_i64.to_be_bytes());
    }
}
