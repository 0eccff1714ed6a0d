//! ZooKeeper's names for the node's own options: who has a `zoo.cfg` is told what is wrong in its words.

use super::judge::{OWN, OWN_SECTIONS};

/// Keys of TOML, and the lines of `zoo.cfg` from which their values come.
const NAMES: [(&str, &str); 29] = [
    ("admin.address", "admin.serverPort"),
    ("admin.command_url", "admin.commandURL"),
    ("admin.metrics_address", "metricsProvider.httpPort"),
    ("admin.words", "4lw.commands.whitelist"),
    ("client_address", "clientPort"),
    ("limits.connections_per_address", "maxClientCnxns"),
    ("limits.frame_bytes", "jute.maxbuffer"),
    ("limits.outstanding", "globalOutstandingLimit"),
    ("limits.session_timeout_max_ms", "maxSessionTimeout"),
    ("limits.session_timeout_min_ms", "minSessionTimeout"),
    ("log.snapshot_every", "snapCount"),
    ("members", "server.N"),
    ("members.id", "server.N"),
    ("members.role", "server.N"),
    ("peer_address", "server.N"),
    ("reconfig.enabled", "reconfigEnabled"),
    ("security.require", "enforce.auth.schemes"),
    ("security.sasl.jaas", "java.security.auth.login.config"),
    ("security.sasl.super_users", "superUser"),
    (
        "security.super_digest",
        "DigestAuthenticationProvider.superDigest",
    ),
    ("timing.init_limit_ms", "initLimit"),
    ("timing.sync_limit_ms", "syncLimit"),
    ("tls.clients", "secureClientPort"),
    ("tls.clients.address", "secureClientPort"),
    ("tls.clients.keys.certificate", "ssl.keyStore.location"),
    ("tls.clients.keys.trust", "ssl.trustStore.location"),
    ("tls.peers", "sslQuorum"),
    ("tls.peers.keys.certificate", "ssl.quorum.keyStore.location"),
    ("tls.peers.keys.trust", "ssl.quorum.trustStore.location"),
];

/// What the line of `zoo.cfg` is called from which this key of TOML has its value.
pub(super) fn zookeepers(key: &str) -> Option<String> {
    if let Some((_, name)) = NAMES.iter().find(|(own, _)| *own == key) {
        return Some((*name).to_owned());
    }
    let (section, option) = key.split_once('.')?;
    let is_own = OWN_SECTIONS.contains(&section) && !option.is_empty();
    is_own.then(|| format!("{OWN}{key}"))
}

/// A text about an option with ZooKeeper's names for the node's own.
pub fn in_zookeepers_words(text: &str) -> String {
    in_words(text, |_| false)
}

/// The same, for a configuration that has some of the node's own options: those are called by their own names.
pub(super) fn in_words(text: &str, has: impl Fn(&str) -> bool) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let key = word.trim_end_matches('.');
        let own = format!("{OWN}{key}");
        let name = match has(&own) {
            true => Some(own),
            false => zookeepers(key),
        };
        match name {
            Some(name) => out.push_str(&(name + &word[key.len()..])),
            None => out.push_str(word),
        }
        let next = after.find(is_part).unwrap_or(after.len());
        out.push_str(&after[..next]);
        rest = &after[next..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_toml_become_zookeepers_and_others_stay() {
        for (text, words) in [
            (
                "client_address = 1: it must differ from peer_address.",
                "clientPort = 1: it must differ from server.N.",
            ),
            ("log.window, and log.", "keelhaul.log.window, and log."),
            (
                "the client_addresses of n.toml: é",
                "the client_addresses of n.toml: é",
            ),
            ("tls.peers.keys.trust", "ssl.quorum.trustStore.location"),
            ("", ""),
        ] {
            assert_eq!(in_zookeepers_words(text), words);
        }
    }

    #[test]
    fn every_name_is_of_one_option_and_in_order() {
        assert!(NAMES.is_sorted_by_key(|(key, _)| *key));
    }
}
