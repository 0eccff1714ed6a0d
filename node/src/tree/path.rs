//! Which paths are legal, as ZooKeeper's `PathUtils` decides it.

/// The znodes that always exist; clients cannot delete them.
pub const SPECIAL: [&str; 4] = ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"];

/// The znode with the ensemble's configuration; clients can only read it.
pub const CONFIG: &str = "/zookeeper/config";

/// The znode below which the service keeps its alerts; made with the first of them. Clients can only read and watch.
pub const ALERTS: &str = "/zookeeper/alerts";

/// The znode in which the leader notes whose seat an observer holds, while one does. Clients can only read and watch.
pub const SEATS: &str = "/zookeeper/seats";

/// Whether only the service writes it: [`ALERTS`], [`SEATS`], and what is below.
pub fn is_own(path: &str) -> bool {
    [ALERTS, SEATS].iter().any(|own| {
        path.strip_prefix(own)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// Whether `path` is legal: absolute, no empty, `.` or `..` component, no trailing slash, none of the characters that
/// ZooKeeper refuses.
pub fn is_legal(path: &str) -> bool {
    if path == "/" {
        return true;
    }
    let Some(rest) = path.strip_prefix('/') else {
        return false;
    };
    rest.split('/').all(|name| !matches!(name, "" | "." | "..")) && rest.chars().all(is_legal_char)
}

/// ZooKeeper looks at UTF-16 units, so that everything beyond the basic plane is refused with the surrogates.
fn is_legal_char(c: char) -> bool {
    !matches!(c, '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{e000}'..='\u{f8ff}' | '\u{fff0}'..)
}

/// Parent and name of a legal path; `None` for the root.
pub fn split(path: &str) -> Option<(&str, &str)> {
    match path.rsplit_once('/')? {
        (_, "") => None,
        ("", name) => Some(("/", name)),
        split => Some(split),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legal_paths() {
        for path in ["/", "/a", "/a/b.c", "/...", "/a..", "/.a", "/ä€", "/a b"] {
            assert!(is_legal(path), "{path:?}");
        }
    }

    #[test]
    fn illegal_paths() {
        for path in [
            "",
            "a",
            "//",
            "/a/",
            "/a//b",
            "/.",
            "/..",
            "/a/./b",
            "/a/../b",
            "/a/..",
            "/a\0",
            "/\u{1}",
            "/\u{85}",
            "/\u{e000}",
            "/\u{ffff}",
            "/\u{1f600}",
        ] {
            assert!(!is_legal(path), "{path:?}");
        }
    }

    #[test]
    fn what_is_own() {
        for path in [
            "/zookeeper/alerts",
            "/zookeeper/alerts/a",
            "/zookeeper/alerts/",
            "/zookeeper/seats",
        ] {
            assert!(is_own(path), "{path:?}");
        }
        for path in [
            "/",
            "/zookeeper",
            "/zookeeper/alertsa",
            "/a/zookeeper/alerts",
        ] {
            assert!(!is_own(path), "{path:?}");
        }
    }

    #[test]
    fn a_path_is_split_at_its_last_slash() {
        assert_eq!(split("/"), None);
        assert_eq!(split("/a"), Some(("/", "a")));
        assert_eq!(split("/a/b"), Some(("/a", "b")));
    }
}
