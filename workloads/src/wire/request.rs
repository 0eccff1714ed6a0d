//! What is asked: the protocol's requests.

use super::jute::Encoder;

/// Any version: the request does not look at it.
pub const ANY_VERSION: i32 = -1;
/// The xid of pings and their answers.
pub const PING_XID: i32 = -2;

/// Numbers of the request types on the wire (`ZooDefs.OpCode`).
pub mod op {
    #![expect(missing_docs, reason = "the names are the protocol's own")]
    pub const CREATE: i32 = 1;
    pub const DELETE: i32 = 2;
    pub const EXISTS: i32 = 3;
    pub const GET_DATA: i32 = 4;
    pub const SET_DATA: i32 = 5;
    pub const SYNC: i32 = 9;
    pub const PING: i32 = 11;
    pub const GET_CHILDREN2: i32 = 12;
    pub const CHECK: i32 = 13;
    pub const MULTI: i32 = 14;
    pub const CREATE2: i32 = 15;
    pub const CLOSE_SESSION: i32 = -11;
    pub const ERROR: i32 = -1;
}

/// The kind of znode that a create makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreateMode {
    /// Stays until it is deleted.
    Persistent,
    /// Goes with its session.
    Ephemeral,
    /// Persistent, with the parent's counter appended to its name.
    PersistentSequential,
    /// Ephemeral, with the parent's counter appended to its name.
    EphemeralSequential,
}

impl CreateMode {
    fn flags(self) -> i32 {
        match self {
            CreateMode::Persistent => 0,
            CreateMode::Ephemeral => 1,
            CreateMode::PersistentSequential => 2,
            CreateMode::EphemeralSequential => 3,
        }
    }
}

/// A request. None of them sets a watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Create a znode with an open ACL; answered by its path.
    Create {
        /// Its path.
        path: String,
        /// Its data.
        data: Vec<u8>,
        /// Its kind.
        mode: CreateMode,
    },
    /// As create; answered by path and Stat.
    Create2 {
        /// Its path.
        path: String,
        /// Its data.
        data: Vec<u8>,
        /// Its kind.
        mode: CreateMode,
    },
    /// Delete a znode.
    Delete {
        /// Its path.
        path: String,
        /// The version that it must have, or [`ANY_VERSION`].
        version: i32,
    },
    /// The Stat of a znode.
    Exists {
        /// Its path.
        path: String,
    },
    /// Data and Stat of a znode.
    GetData {
        /// Its path.
        path: String,
    },
    /// Set a znode's data; answered by its Stat.
    SetData {
        /// Its path.
        path: String,
        /// The new data.
        data: Vec<u8>,
        /// The version that it must have, or [`ANY_VERSION`].
        version: i32,
    },
    /// Names of the children, and the znode's Stat.
    GetChildren2 {
        /// Its path.
        path: String,
    },
    /// Bring this server up to date.
    Sync {
        /// A path; servers ignore it.
        path: String,
    },
    /// Several writes, all or nothing.
    Multi(Vec<Part>),
    /// A sign of life; its answer is not handed on.
    Ping,
    /// The end of the session.
    CloseSession,
}

/// A part of a multi.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Fails the multi if the znode does not exist or has another version.
    Check {
        /// Its path.
        path: String,
        /// The version that it must have, or [`ANY_VERSION`].
        version: i32,
    },
    /// As [`Request::Create`].
    Create {
        /// Its path.
        path: String,
        /// Its data.
        data: Vec<u8>,
        /// Its kind.
        mode: CreateMode,
    },
    /// As [`Request::Delete`].
    Delete {
        /// Its path.
        path: String,
        /// The version that it must have, or [`ANY_VERSION`].
        version: i32,
    },
    /// As [`Request::SetData`].
    SetData {
        /// Its path.
        path: String,
        /// The new data.
        data: Vec<u8>,
        /// The version that it must have, or [`ANY_VERSION`].
        version: i32,
    },
}

impl Request {
    /// The request's type on the wire.
    pub fn op(&self) -> i32 {
        match self {
            Request::Create { .. } => op::CREATE,
            Request::Create2 { .. } => op::CREATE2,
            Request::Delete { .. } => op::DELETE,
            Request::Exists { .. } => op::EXISTS,
            Request::GetData { .. } => op::GET_DATA,
            Request::SetData { .. } => op::SET_DATA,
            Request::GetChildren2 { .. } => op::GET_CHILDREN2,
            Request::Sync { .. } => op::SYNC,
            Request::Multi(_) => op::MULTI,
            Request::Ping => op::PING,
            Request::CloseSession => op::CLOSE_SESSION,
        }
    }

    /// The record that goes into a frame: header and body.
    pub fn encode(&self, xid: i32) -> Vec<u8> {
        let mut to = Encoder::new();
        to.int(xid).int(self.op());
        match self {
            Request::Create { path, data, mode } | Request::Create2 { path, data, mode } => {
                encode_create(&mut to, path, data, *mode);
            }
            Request::Delete { path, version } => {
                to.string(path).int(*version);
            }
            Request::Exists { path }
            | Request::GetData { path }
            | Request::GetChildren2 { path } => {
                to.string(path).boolean(false);
            }
            Request::SetData {
                path,
                data,
                version,
            } => {
                to.string(path).buffer(data).int(*version);
            }
            Request::Sync { path } => {
                to.string(path);
            }
            Request::Multi(parts) => encode_multi(&mut to, parts),
            Request::Ping | Request::CloseSession => {}
        }
        to.finish()
    }
}

impl Part {
    /// The part's type on the wire.
    pub fn op(&self) -> i32 {
        match self {
            Part::Check { .. } => op::CHECK,
            Part::Create { .. } => op::CREATE,
            Part::Delete { .. } => op::DELETE,
            Part::SetData { .. } => op::SET_DATA,
        }
    }
}

fn encode_create(to: &mut Encoder, path: &str, data: &[u8], mode: CreateMode) {
    const ALL_PERMISSIONS: i32 = 31;
    to.string(path).buffer(data);
    to.int(1)
        .int(ALL_PERMISSIONS)
        .string("world")
        .string("anyone");
    to.int(mode.flags());
}

fn encode_multi(to: &mut Encoder, parts: &[Part]) {
    for part in parts {
        to.int(part.op()).boolean(false).int(-1);
        match part {
            Part::Check { path, version } | Part::Delete { path, version } => {
                to.string(path).int(*version);
            }
            Part::Create { path, data, mode } => encode_create(to, path, data, *mode),
            Part::SetData {
                path,
                data,
                version,
            } => {
                to.string(path).buffer(data).int(*version);
            }
        }
    }
    to.int(op::ERROR).boolean(true).int(-1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn get_data_is_header_path_and_no_watch() {
        let bytes = Request::GetData { path: "/a".into() }.encode(7);
        assert_eq!(bytes, [0, 0, 0, 7, 0, 0, 0, 4, 0, 0, 0, 2, b'/', b'a', 0]);
    }

    #[test]
    fn a_multi_of_one_check_ends_with_the_closing_header() {
        let check = Part::Check {
            path: "/a".into(),
            version: -1,
        };
        let bytes = Request::Multi(vec![check]).encode(1);
        let expected = [
            &[0, 0, 0, 1, 0, 0, 0, 14][..],                // xid, multi
            &[0, 0, 0, 13, 0, 255, 255, 255, 255],         // check, not done, err -1
            &[0, 0, 0, 2, b'/', b'a', 255, 255, 255, 255], // path, any version
            &[255, 255, 255, 255, 1, 255, 255, 255, 255],  // -1, done, -1
        ]
        .concat();
        assert_eq!(bytes, expected);
    }

    #[test]
    fn create_carries_the_open_acl_and_its_flags() {
        let bytes = Request::Create {
            path: "/a".into(),
            data: vec![9],
            mode: CreateMode::EphemeralSequential,
        }
        .encode(1);
        let expected = [
            &[
                0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, b'/', b'a', 0, 0, 0, 1, 9,
            ][..],
            &[0, 0, 0, 1, 0, 0, 0, 31, 0, 0, 0, 5],
            b"world",
            &[0, 0, 0, 6],
            b"anyone",
            &[0, 0, 0, 3],
        ]
        .concat();
        assert_eq!(bytes, expected);
    }
}
