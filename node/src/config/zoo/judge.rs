//! What becomes of each line of `zoo.cfg`: it is taken over, named as having no effect, or refused.

use super::secure::{self, Judged};
use super::{Line, PROMETHEUS, Reader};
use crate::config::{ConfigError, Role};
use crate::zab::NodeId;

/// Options without effect, and why that does no harm.
const WITHOUT_EFFECT: [(&str, &str); 20] = [
    ("serverCnxnFactory", "it is Java's; both ports are served"),
    ("autopurge.", "old snapshots and logs are removed always"),
    ("preAllocSize", "log files grow as they are written"),
    ("electionAlg", "there is one election"),
    ("standaloneEnabled", "one server is an ensemble of one"),
    (
        "dynamicConfigFile",
        "it says how the ensemble begins, and is never written: what changes is in the log",
    ),
    ("version", "the configuration has no version"),
    ("clientPortListenBacklog", "the operating system's is used"),
    ("leaderServes", "the leader serves clients"),
    ("cnxTimeout", "peers are dialled with a limit of one second"),
    ("quorum.cnxn.threads.size", "one thread serves all"),
    ("localSessions", "all sessions are global"),
    (
        "fsync.warningthresholdms",
        "the alert disk-stalled learns what is slow for this disk",
    ),
    ("maxResponseCacheSize", "answers are not cached"),
    ("maxGetChildrenResponseCacheSize", "answers are not cached"),
    ("skipACL", "access control lists are always enforced"),
    (
        "admin.idleTimeout",
        "idle connections are closed after ten seconds",
    ),
    (
        "metricsProvider.",
        "it is for Java, or for the provider's threads",
    ),
    (
        "syncEnabled",
        "observers write to their disks as the others do",
    ),
    (
        "connectToLearnerMasterLimit",
        "followers wait for initLimit",
    ),
];

/// What is on or off, in words that Java reads in any case.
const SWITCHES: [&str; 14] = [
    "reconfigEnabled",
    "standaloneEnabled",
    "syncEnabled",
    "quorumListenOnAllIPs",
    "localSessionsEnabled",
    "localSessionsUpgradingEnabled",
    "sslQuorum",
    "sslQuorumReloadCertFiles",
    "ssl.quorum.hostnameVerification",
    "readonlymode.enabled",
    "enforceQuota",
    "admin.enableServer",
    "enforce.auth.enabled",
    "sessionRequireClientSASLAuth",
];

/// How the node's own options begin in `zoo.cfg`; to ZooKeeper they mean nothing.
pub(super) const OWN: &str = "keelhaul.";

/// The cluster's name.
pub(super) const OWN_CLUSTER: &str = "keelhaul.cluster";

/// The sections of TOML whose keys can stand in `zoo.cfg`.
pub(super) const OWN_SECTIONS: [&str; 6] =
    ["timing", "log", "limits", "znodes", "reconfig", "warn"];

/// Options that promise what this node cannot keep.
const REFUSED: [(&str, &str); 10] = [
    (
        "portUnification",
        "a port speaks plain or TLS, not both: remove it",
    ),
    (
        "client.portUnification",
        "a port speaks plain or TLS, not both: give clientPort and secureClientPort, and remove it",
    ),
    (
        "admin.portUnification",
        "the admin server speaks no TLS: remove it",
    ),
    (
        "admin.forceHttps",
        "the admin server speaks no TLS: remove it",
    ),
    (
        "quorum.auth.",
        "members authenticate each other by TLS alone: remove it, and say sslQuorum=true",
    ),
    (
        "allowSaslFailedClients",
        "a client that fails to show who it is, is disconnected: remove it",
    ),
    (
        "letAnySaslUserDoX",
        "a user of SASL is nobody but himself: remove it",
    ),
    ("group", "quorums are majorities: remove groups and weights"),
    (
        "weight",
        "quorums are majorities: remove groups and weights",
    ),
    (
        "oraclePath",
        "there is no oracle: use an odd number of servers",
    ),
];

impl Reader<'_> {
    /// Takes an option over, notes that it has no effect, or refuses it.
    pub(super) fn judge(
        &self,
        line: &Line,
        id: NodeId,
        without_effect: &mut Vec<String>,
    ) -> Result<(), ConfigError> {
        const KNOWN: [&str; 36] = [
            "quorumListenOnAllIPs",
            "maxCnxns",
            "snapCount",
            "readonlymode.enabled",
            "admin.enableServer",
            "admin.serverAddress",
            "admin.serverPort",
            "admin.commandURL",
            "metricsProvider.className",
            "metricsProvider.httpHost",
            "metricsProvider.httpPort",
            "reconfigEnabled",
            "enforceQuota",
            "dataDir",
            "clientPort",
            "clientPortAddress",
            "tickTime",
            "initLimit",
            "syncLimit",
            "minSessionTimeout",
            "maxSessionTimeout",
            "maxClientCnxns",
            "globalOutstandingLimit",
            "jute.maxbuffer",
            "4lw.commands.whitelist",
            "znode.container.checkIntervalMs",
            "znode.container.maxNeverUsedIntervalMs",
            "DigestAuthenticationProvider.superDigest",
            "X509AuthenticationProvider.superUser",
            "SASLAuthenticationProvider.superPassword",
            secure::JAAS,
            "sessionRequireClientSASLAuth",
            "enforce.auth.enabled",
            "enforce.auth.schemes",
            "superUser",
            "jaasLoginRenew",
        ];
        let key = line.option();
        if SWITCHES.contains(&key) && !self.is_on(key) && !self.is_off(key) {
            // ZooKeeper refuses some of these too, and takes the others for false: nobody may think that they are on.
            return Err(self.refused(line, "true or false is legal"));
        }
        if let Some(reason) = self.idle(key) {
            without_effect.push(self.note(line, reason));
            return Ok(());
        }
        if KNOWN.contains(&key) || key.starts_with("server.") {
            return Ok(());
        }
        if let Some(own) = key.strip_prefix(OWN) {
            let section = own.split_once('.').map_or("", |(section, _)| section);
            if key == OWN_CLUSTER || OWN_SECTIONS.contains(&section) {
                return Ok(());
            }
            let legal = match super::names::zookeepers(own) {
                Some(name) => format!("ZooKeeper's own option for it is {name}"),
                None => format!(
                    "{OWN_CLUSTER} is legal, and keelhaul.SECTION.KEY with the keys of TOML's sections {}",
                    OWN_SECTIONS.join(", ")
                ),
            };
            return Err(self.refused(line, &legal));
        }
        let off = matches!(&*line.value.to_ascii_lowercase(), "false" | "no" | "0" | "");
        let mut is_off_here = false;
        match secure::judge(key, &line.value) {
            Some(Judged::Known) => return Ok(()),
            Some(Judged::WithoutEffect(reason)) => {
                without_effect.push(self.note(line, reason));
                return Ok(());
            }
            Some(Judged::Refused(reason)) if !off => return Err(self.refused(line, reason)),
            Some(Judged::Refused(_)) => is_off_here = true,
            None => {}
        }
        if let Some((_, reason)) = REFUSED.iter().find(|(known, _)| is_named(key, known)) {
            if !off {
                return Err(self.refused(line, reason));
            }
            is_off_here = true;
        }
        match key {
            "dataLogDir" => return self.log_dir(line, without_effect),
            "peerType" => return self.peer_type(line, id, without_effect),
            // Writes are always on disk before they are acknowledged.
            "forceSync" if off => {
                without_effect
                    .push(self.note(line, "every write is on disk before it is acknowledged"));
            }
            "forceSync" | "extendedTypesEnabled" => {}
            _ => {
                let mut known = WITHOUT_EFFECT.iter();
                let reason = match known.find(|(known, _)| is_named(key, known)) {
                    Some((_, reason)) => reason,
                    // What would be refused otherwise.
                    None if is_off_here => "it is off here too",
                    None => "this node does not know it",
                };
                without_effect.push(self.note(line, reason));
            }
        }
        Ok(())
    }

    /// Why an option that is known has no effect beside the others that are given, if it has none.
    fn idle(&self, key: &str) -> Option<&'static str> {
        let is = |key: &str, value: &str| self.get(key) == Some(value);
        match key {
            "metricsProvider.httpPort" | "metricsProvider.httpHost"
                if !is("metricsProvider.className", PROMETHEUS) =>
            {
                Some(
                    "metricsProvider.className does not name the provider for Prometheus, and nothing is served there",
                )
            }
            "admin.serverPort" | "admin.serverAddress" | "admin.commandURL"
                if self.is_off("admin.enableServer") =>
            {
                Some("admin.enableServer is false")
            }
            "clientPortAddress"
                if self.get("clientPort").is_none() && self.get("secureClientPort").is_none() =>
            {
                Some("no clientPort is given")
            }
            "enforce.auth.schemes"
                if !self.is_on("enforce.auth.enabled")
                    && !self.is_on("sessionRequireClientSASLAuth") =>
            {
                Some("enforce.auth.enabled is not true")
            }
            _ => None,
        }
    }

    /// As in ZooKeeper, the list of servers says who observes, and every server must have the same list.
    fn peer_type(
        &self,
        line: &Line,
        own: NodeId,
        without_effect: &mut Vec<String>,
    ) -> Result<(), ConfigError> {
        let meant = Role::parse(&line.value).map_err(|legal| self.refused(line, legal))?;
        let listed = self.members()?.into_iter().find(|member| member.id == own);
        match listed.map_or(Role::Voter, |member| member.role) {
            role if role == meant => {}
            Role::Voter => {
                let reason = format!("the line server.{own} has no :observer, and the lines count");
                without_effect.push(self.note(line, &reason));
            }
            Role::Observer => {
                let reason = format!("the line server.{own} has :observer, and the lines count");
                without_effect.push(self.note(line, &reason));
            }
        }
        Ok(())
    }

    fn log_dir(&self, line: &Line, without_effect: &mut Vec<String>) -> Result<(), ConfigError> {
        if self.get("dataDir") != Some(&line.value) {
            without_effect.push(self.note(line, "log and snapshots are both below dataDir"));
        }
        Ok(())
    }
}

/// Whether an option is one of a list: by its whole name, or by its beginning if the list has a dot or a family there.
fn is_named(key: &str, known: &str) -> bool {
    let family = known.ends_with('.')
        || matches!(known, "group" | "weight" | "authProvider" | "localSessions");
    key == known || family && key.starts_with(known)
}
