//! The server's error codes, as ZooKeeper 3.8 numbers them (`KeeperException.Code`).

use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal,)*) => {
        /// An error code in a reply's header or in a part of a multi's answer.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $($(#[$doc])* $name,)*
            /// A number that ZooKeeper 3.8 does not know.
            Other(i32),
        }

        impl ErrorCode {
            /// Every code that ZooKeeper 3.8 knows.
            pub const KNOWN: &[ErrorCode] = &[$(ErrorCode::$name),*];

            /// The code of a non-zero number; zero is no error.
            pub fn from_number(number: i32) -> Option<ErrorCode> {
                match number {
                    0 => None,
                    $($number => Some(ErrorCode::$name),)*
                    other => Some(ErrorCode::Other(other)),
                }
            }

            /// The number on the wire.
            pub fn number(self) -> i32 {
                match self {
                    $(ErrorCode::$name => $number,)*
                    ErrorCode::Other(number) => number,
                }
            }
        }

        impl fmt::Display for ErrorCode {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(ErrorCode::$name => f.write_str(stringify!($name)),)*
                    ErrorCode::Other(number) => write!(f, "Unknown({number})"),
                }
            }
        }
    };
}

codes! {
    /// The lower end of a range; a server does not send it.
    SystemError = -1,
    /// In a multi: another part failed.
    RuntimeInconsistency = -2,
    /// The server found its data inconsistent.
    DataInconsistency = -3,
    /// A client library's word for a lost connection.
    ConnectionLoss = -4,
    /// The server could not read the request, or failed while it answered.
    MarshallingError = -5,
    /// The server does not know this request.
    Unimplemented = -6,
    /// A client library's word for a time-out.
    OperationTimeout = -7,
    /// The request's arguments are not allowed.
    BadArguments = -8,
    /// The leader does not know the session.
    UnknownSession = -12,
    /// A reconfiguration without a quorum of the new members.
    NewConfigNoQuorum = -13,
    /// Another reconfiguration is under way.
    ReconfigInProgress = -14,
    /// The upper end of a range; a server does not send it.
    ApiError = -100,
    /// The znode does not exist.
    NoNode = -101,
    /// Not allowed by the znode's ACL.
    NoAuth = -102,
    /// The znode has another version than expected.
    BadVersion = -103,
    /// The parent is ephemeral.
    NoChildrenForEphemerals = -108,
    /// The znode exists already.
    NodeExists = -110,
    /// The znode has children.
    NotEmpty = -111,
    /// The session has expired.
    SessionExpired = -112,
    /// A client library's word.
    InvalidCallback = -113,
    /// The ACL is not valid.
    InvalidAcl = -114,
    /// Authentication failed.
    AuthFailed = -115,
    /// The session has moved to another server.
    SessionMoved = -118,
    /// A write at a server that is read-only.
    NotReadOnly = -119,
    /// An ephemeral znode asked for by a local session.
    EphemeralOnLocalSession = -120,
    /// There is no such watch.
    NoWatcher = -121,
    /// The request was not complete in the time allowed.
    RequestTimeout = -122,
    /// Reconfiguration is switched off.
    ReconfigDisabled = -123,
    /// The server demands SASL.
    SessionClosedRequireSaslAuth = -124,
    /// A quota is exceeded.
    QuotaExceeded = -125,
    /// The request was throttled and not executed at all.
    ThrottledOp = -127,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_code_comes_back_from_its_number() {
        for code in ErrorCode::KNOWN {
            assert_eq!(ErrorCode::from_number(code.number()), Some(*code));
        }
        assert_eq!(ErrorCode::from_number(0), None);
        assert_eq!(ErrorCode::from_number(-9999), Some(ErrorCode::Other(-9999)));
    }
}
