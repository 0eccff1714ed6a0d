//! ZooKeeper's own configuration: `zoo.cfg`, with `myid` in its data directory, and the dynamic file that it names.
//!
//! What means the same here is taken over. What this node has no use for and does without harm is named, and the node starts;
//! what it cannot do although the operator counts on it (Kerberos, groups) is refused with its line. Nothing is ignored in silence.
//! What this cannot do: read ZooKeeper's data; the node keeps its own below `dataDir/keelhaul`.

mod judge;
mod names;
mod properties;
mod secure;

use super::check::Illegal;
use super::member::{LEGAL_IDS, in_order};
use super::{
    Address, Admin, ConfigError, File, Limits, Log, Member, NodeConfig, Reconfig, Ticks, Timing,
    Znodes,
};
use crate::zab::NodeId;
use judge::{OWN, OWN_CLUSTER};
pub use names::in_zookeepers_words;
use properties::{Line, parse, without_mark};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

/// A configuration, and what of it has no effect here.
#[derive(Debug)]
pub struct Zoo {
    /// The configuration.
    pub config: NodeConfig,
    /// The options without effect, each with the reason.
    pub without_effect: Vec<String>,
    /// Where it says that the data is: `dataDir`, and `dataLogDir` if that is another one.
    pub dirs: Vec<PathBuf>,
}

impl Zoo {
    /// Reads `zoo.cfg`, what it names, and `myid`.
    pub fn read(path: &Path) -> Result<Zoo, ConfigError> {
        let text = read(path)?;
        let (text, has_mark) = without_mark(&text);
        let mut lines = parse(text);
        let dynamic = lines.iter().rfind(|line| line.key == "dynamicConfigFile");
        if let Some(dynamic) = dynamic {
            let file = PathBuf::from(&dynamic.value);
            let text = read_file(&file).map_err(|source| ConfigError::Named {
                path: path.to_owned(),
                what: "the servers (dynamicConfigFile)",
                file: file.clone(),
                source,
            })?;
            let there = parse(without_mark(&text).0).into_iter();
            lines.extend(there.map(|line| Line {
                file: Some(file.clone()),
                ..line
            }));
        }
        let reader = Reader {
            path,
            lines,
            has_mark,
            resolver: look_up,
        };
        let data_dir = PathBuf::from(reader.need("dataDir")?);
        let alone = !reader
            .lines
            .iter()
            .any(|line| line.key.starts_with("server."));
        let file = data_dir.join("myid");
        let id = match read_file(&file) {
            Ok(text) => match text.trim().parse() {
                Ok(id) => NodeId(id),
                Err(_) => return Err(not_an_id(&file, text.trim(), LEGAL_IDS)),
            },
            Err(error) if alone && error.kind() == std::io::ErrorKind::NotFound => NodeId(1),
            Err(source) => {
                return Err(ConfigError::Named {
                    path: path.to_owned(),
                    what: "this server's id, the N of its line server.N (dataDir)",
                    file,
                    source,
                });
            }
        };
        reader.config(id, data_dir)
    }

    /// The configuration in a text, without looking at anything else: no file, no name of a host.
    pub(crate) fn of_text(text: &str) -> Result<Zoo, ConfigError> {
        let (text, has_mark) = without_mark(text);
        let mut lines = parse(text);
        lines.retain(|line| line.key != secure::JAAS);
        let reader = Reader {
            path: Path::new("zoo.cfg"),
            lines,
            has_mark,
            resolver: |_, _| None,
        };
        reader.config(NodeId(1), PathBuf::from("data"))
    }

    /// Whether this looks like the name of a `zoo.cfg` rather than of a TOML file.
    pub fn is_meant(path: &Path) -> bool {
        path.extension().is_some_and(|extension| extension == "cfg")
    }
}

fn read(path: &Path) -> Result<String, ConfigError> {
    read_file(path).map_err(|source| ConfigError::Read {
        path: path.to_owned(),
        source,
    })
}

/// A file of the operator's; one that is longer than this is something else.
fn read_file(path: &Path) -> std::io::Result<String> {
    const LONGEST: u64 = 1 << 20;
    let mut text = String::new();
    let mut file = std::fs::File::open(path)?.take(LONGEST + 1);
    match file.read_to_string(&mut text)? as u64 > LONGEST {
        true => Err(std::io::Error::other("it is longer than 1 MiB")),
        false => Ok(text),
    }
}

fn not_an_id(file: &Path, value: &str, legal: &str) -> ConfigError {
    ConfigError::Value {
        path: file.to_owned(),
        key: "this server's id".into(),
        value: value.into(),
        legal: legal.into(),
    }
}

/// The largest number in most of ZooKeeper's options.
const JAVAS_LARGEST: u64 = i32::MAX as u64;

/// Connections at a time where ZooKeeper has no limit; the process may have fewer files.
const WITHOUT_LIMIT: usize = 100_000;

/// The provider of metrics whose part this node does itself.
const PROMETHEUS: &str = "org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider";

/// Where a host is.
type Resolver = fn(&str, u16) -> Option<SocketAddr>;

struct Reader<'a> {
    path: &'a Path,
    lines: Vec<Line>,
    /// A byte order mark stands before the first line.
    has_mark: bool,
    resolver: Resolver,
}

fn look_up(host: &str, port: u16) -> Option<SocketAddr> {
    let found = (host, port).to_socket_addrs().ok();
    in_order(found.into_iter().flatten()).first().copied()
}

impl Reader<'_> {
    fn config(&self, id: NodeId, data_dir: PathBuf) -> Result<Zoo, ConfigError> {
        let (mut without_effect, mut refused) = (Vec::new(), Vec::new());
        if self.has_mark {
            without_effect.push("the byte order mark before the first line: it is left out".into());
        }
        without_effect.extend(self.repeated());
        for line in &self.lines {
            refused.extend(self.judge(line, id, &mut without_effect).err());
        }
        match refused.len() {
            0 => {}
            1 => return Err(refused.remove(0)),
            _ => return Err(ConfigError::Several(refused)),
        }
        let ticks = Ticks {
            tick_ms: self.number("tickTime", 3000)?,
            init_limit: self.number("initLimit", 10)?,
            sync_limit: self.number("syncLimit", 5)?,
        };
        let tick_ms = ticks.tick_ms;
        let timing = self.timing(&ticks)?;
        without_effect.extend(self.short_silence(&ticks));
        let members = self.members()?;
        let own = members.iter().find(|member| member.id == id);
        let at = |key: &str, address: &Address| self.look_up(key, address.host(), address.port());
        let peer_address = match own {
            Some(own) if self.is_on("quorumListenOnAllIPs") => {
                SocketAddr::from((Ipv4Addr::UNSPECIFIED, own.peer_address.port()))
            }
            Some(own) => at(&format!("server.{id}"), &own.peer_address)?,
            // An ensemble of one is not reached by anybody, but listens.
            None => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        };
        let own_clients = own.and_then(|own| own.client_address.as_ref());
        let client_address = match (self.client_address()?, own_clients) {
            (Some(address), _) => address,
            (None, Some(own)) => at(&format!("server.{id}"), own)?,
            // TLS alone: port 0 is not listened on.
            (None, None) if self.get("secureClientPort").is_some() => {
                SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))
            }
            (None, None) => return Err(self.illegal("clientPort", "", "a port must be given")),
        };
        let (least, most) = (
            self.number("minSessionTimeout", 2 * tick_ms)?,
            self.number("maxSessionTimeout", 20 * tick_ms)?,
        );
        let file = File {
            id,
            cluster: match self.get(OWN_CLUSTER) {
                Some(name) => name.to_owned(),
                None => super::default_cluster(),
            },
            data_dir: data_dir.join("keelhaul"),
            client_address: Some(client_address),
            peer_address: Some(peer_address),
            members,
            read_only: self.is_on("readonlymode.enabled"),
            dial: BTreeMap::new(),
            timing: self.own("timing", timing)?,
            log: self.own("log", self.log()?)?,
            limits: self.own(
                "limits",
                Limits {
                    session_timeout_min_ms: least.try_into().unwrap_or(i32::MAX),
                    session_timeout_max_ms: most.try_into().unwrap_or(i32::MAX),
                    connections: match self.number("maxCnxns", 0)? {
                        0 => WITHOUT_LIMIT,
                        most => most as usize,
                    },
                    connections_per_address: self.number("maxClientCnxns", 60)? as usize,
                    outstanding: self.number("globalOutstandingLimit", 1000)? as usize,
                    frame_bytes: self.number("jute.maxbuffer", 0xf_ffff)? as usize,
                    ..Limits::default()
                },
            )?,
            znodes: self.own(
                "znodes",
                Znodes {
                    container_check_ms: self.number("znode.container.checkIntervalMs", 60_000)?,
                    container_never_used_ms: self
                        .number("znode.container.maxNeverUsedIntervalMs", 0)?,
                    enforce_quotas: self.is_on("enforceQuota"),
                },
            )?,
            security: self.security()?,
            tls: self.tls()?,
            admin: self.admin()?,
            reconfig: self.own(
                "reconfig",
                Reconfig {
                    enabled: self.is_on("reconfigEnabled"),
                    ..Reconfig::default()
                },
            )?,
            warn: self.own("warn", super::Warn::default())?,
        };
        let config = super::check::check(file).map_err(|illegal| match illegal.key.as_str() {
            "id" => {
                let lines = format!("{} must have a line server.{id}", self.path.display());
                let legal = format!("{}; {lines}", illegal.legal);
                not_an_id(&data_dir.join("myid"), &illegal.value, &legal)
            }
            _ => self.not_legal(&illegal),
        })?;
        let mut dirs = vec![data_dir];
        let log_dir = self.get("dataLogDir").map(PathBuf::from);
        dirs.extend(log_dir.filter(|dir| *dir != dirs[0]));
        Ok(Zoo {
            config: NodeConfig {
                ticks: Some(ticks),
                ..config
            },
            without_effect,
            dirs,
        })
    }

    /// What the check says of one of the node's own keys, about the line from which its value comes.
    fn not_legal(&self, illegal: &Illegal) -> ConfigError {
        let (key, value) = (&illegal.key, &illegal.value);
        let legal = names::in_words(&illegal.legal, |own| self.line(own).is_some());
        if let Some(line) = self.line(&format!("{OWN}{key}")) {
            return self.wrong(line.name(), value, &legal);
        }
        let name = names::zookeepers(key).unwrap_or_else(|| key.clone());
        match self.line(&name) {
            // Said in ticks, and meant here in milliseconds.
            Some(line) if key.starts_with("timing.") => {
                let value = format!("{} ({value} ms here)", line.value);
                self.wrong(line.name(), &value, &legal)
            }
            _ => self.illegal(&name, value, &legal),
        }
    }

    /// What is said of lines whose key stands in a later line again. Two lines of one server are refused.
    fn repeated(&self) -> impl Iterator<Item = String> {
        let lines = self
            .lines
            .iter()
            .filter(|line| !line.key.starts_with("server."));
        lines.filter_map(|line| {
            let last = self
                .line(line.option())
                .filter(|last| !std::ptr::eq(*last, line))?;
            let reason = format!(
                "{} stands in {} again, and the last one counts",
                line.key,
                last.place()
            );
            Some(self.note(line, &reason))
        })
    }

    /// A section of the node's own configuration, in which the lines `keelhaul.SECTION.KEY=VALUE` have the last word.
    fn own<T: Serialize + DeserializeOwned>(
        &self,
        section: &str,
        value: T,
    ) -> Result<T, ConfigError> {
        let mut table = toml::Table::try_from(&value)
            .map_err(|problem| self.wrong(section.to_owned(), "", &problem.to_string()))?;
        let mut changed = value;
        for line in &self.lines {
            let key = line.option();
            let own = key
                .strip_prefix(OWN)
                .and_then(|key| key.strip_prefix(section));
            let Some(key) = own.and_then(|key| key.strip_prefix('.')) else {
                continue;
            };
            let value = match line.value.parse() {
                Ok(value) => value,
                Err(_) if line.value.parse::<u128>().is_ok() => {
                    let legal = format!("a whole number up to {} is legal", i64::MAX);
                    return Err(self.refused(line, &legal));
                }
                Err(_) => toml::Value::from(&*line.value),
            };
            table.insert(key.to_owned(), value);
            changed = table
                .clone()
                .try_into()
                .map_err(|problem: toml::de::Error| self.refused(line, problem.message()))?;
        }
        Ok(changed)
    }

    fn log(&self) -> Result<Log, ConfigError> {
        let default = Log::default();
        Ok(Log {
            snapshot_every: self.number("snapCount", default.snapshot_every)?,
            ..default
        })
    }

    fn timing(&self, ticks: &Ticks) -> Result<Timing, ConfigError> {
        let default = Timing::default();
        // Heartbeats are much more frequent than ZooKeeper's ticks: a dead leader is to be noticed soon, and never
        // later than the operator allows.
        let sync_limit = self.in_ms("syncLimit", ticks.sync_limit, ticks.tick_ms)?;
        let init_limit = self.in_ms("initLimit", ticks.init_limit, ticks.tick_ms)?;
        let sync_limit_ms = default.sync_limit_ms.min(sync_limit);
        Ok(Timing {
            tick_ms: default.tick_ms.min(sync_limit_ms / 2),
            sync_limit_ms,
            init_limit_ms: init_limit.max(sync_limit_ms),
            ..default
        })
    }

    /// So many ticks, in milliseconds.
    fn in_ms(&self, key: &str, ticks: u64, tick_ms: u64) -> Result<u64, ConfigError> {
        const LEAST: u64 = 20;
        let ms = ticks.saturating_mul(tick_ms);
        if (LEAST..=JAVAS_LARGEST).contains(&ms) {
            return Ok(ms);
        }
        let legal = format!(
            "with tickTime = {tick_ms} that is {ms} ms; {LEAST} to {JAVAS_LARGEST} ms are legal"
        );
        Err(self.illegal(key, &ticks.to_string(), &legal))
    }

    /// What is said of a `syncLimit` that is longer than what the node bears, unless the node's own option says how long that is.
    fn short_silence(&self, ticks: &Ticks) -> Option<String> {
        let line = self.line("syncLimit")?;
        let own = format!("{OWN}timing.sync_limit_ms");
        let wanted = ticks.sync_limit.saturating_mul(ticks.tick_ms);
        let default = Timing::default().sync_limit_ms;
        let is_shorter = wanted > default && self.line(&own).is_none();
        is_shorter.then(|| {
            let reason = format!("leader and followers bear silence for {default} ms and no longer, unless {own} says otherwise");
            self.note(line, &reason)
        })
    }

    fn admin(&self) -> Result<Admin, ConfigError> {
        let mut admin = Admin::default();
        // ZooKeeper's default is srvr alone; what the node's own default has beside it tells nothing that harms.
        if let Some(words) = self.get("4lw.commands.whitelist") {
            let words = words
                .split(',')
                .map(str::trim)
                .filter(|word| !word.is_empty());
            admin.words = words.map(str::to_owned).collect();
            // As in ZooKeeper, whose own tools need it.
            admin.words.push("srvr".into());
        }
        if let Some(url) = self.get("admin.commandURL") {
            admin.command_url = url.to_owned();
        }
        if !self.is_off("admin.enableServer") {
            let port = self.get("admin.serverPort");
            // ZooKeeper's default is every address; who wants that with commands for everybody must say so.
            let host = self.get("admin.serverAddress").unwrap_or("127.0.0.1");
            admin.address = Some(self.resolve("admin.serverPort", host, port.unwrap_or("8080"))?);
            admin.address_is_implied = port.is_none();
        }
        admin.metrics_address = self.metrics_address()?;
        Ok(admin)
    }

    fn metrics_address(&self) -> Result<Option<SocketAddr>, ConfigError> {
        const OTHERS: [&str; 2] = [
            "org.apache.zookeeper.metrics.impl.DefaultMetricsProvider",
            "org.apache.zookeeper.metrics.impl.NullMetricsProvider",
        ];
        match self.get("metricsProvider.className") {
            Some(PROMETHEUS) => {
                let host = self.get("metricsProvider.httpHost").unwrap_or("0.0.0.0");
                let port = self.get("metricsProvider.httpPort").unwrap_or("7000");
                self.resolve("metricsProvider.httpPort", host, port)
                    .map(Some)
            }
            None => Ok(None),
            Some(other) if OTHERS.contains(&other) => Ok(None),
            Some(other) => Err(self.illegal(
                "metricsProvider.className",
                other,
                &format!("{PROMETHEUS}, or {}", OTHERS.join(", or ")),
            )),
        }
    }

    fn client_address(&self) -> Result<Option<SocketAddr>, ConfigError> {
        let Some(port) = self.get("clientPort") else {
            return Ok(None);
        };
        let host = self.get("clientPortAddress").unwrap_or("0.0.0.0");
        self.resolve("clientPort", host, port).map(Some)
    }

    /// The lines `server.N=host:peerPort:electionPort[:role][;[clientHost:]clientPort]`.
    fn members(&self) -> Result<Vec<Member>, ConfigError> {
        let mut members = Vec::new();
        for line in &self.lines {
            let Some(id) = line.key.strip_prefix("server.") else {
                continue;
            };
            let id = self.id(&line.key, id)?;
            let member =
                Member::parse(id, &line.value).map_err(|legal| self.refused(line, legal))?;
            members.push(member);
        }
        members.sort_by_key(|member| member.id);
        Ok(members)
    }

    fn resolve(&self, key: &str, host: &str, port: &str) -> Result<SocketAddr, ConfigError> {
        let host = host.trim_matches(['[', ']']);
        match port.trim().parse() {
            Ok(port) => self.look_up(key, host, port),
            Err(_) => Err(self.illegal(key, &format!("{host}:{port}"), "a port is 1 to 65535")),
        }
    }

    /// Where a host is, now.
    fn look_up(&self, key: &str, host: &str, port: u16) -> Result<SocketAddr, ConfigError> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(SocketAddr::from((address, port)));
        }
        let first = (self.resolver)(host, port);
        first.ok_or_else(|| {
            self.illegal(
                key,
                &format!("{host}:{port}"),
                "the host must have an address",
            )
        })
    }

    fn id(&self, key: &str, text: &str) -> Result<NodeId, ConfigError> {
        match text.parse() {
            Ok(id) => Ok(NodeId(id)),
            Err(_) => Err(self.illegal(key, text, LEGAL_IDS)),
        }
    }

    /// The line that counts for this key.
    fn line(&self, key: &str) -> Option<&Line> {
        let is = |line: &&Line| line.option() == key;
        self.lines.iter().rev().find(is)
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.line(key).map(|line| line.value.as_str())
    }

    /// Whether it says true, in whichever case, as Java reads it.
    fn is_on(&self, key: &str) -> bool {
        let says = |value: &str| value.eq_ignore_ascii_case("true");
        self.get(key).is_some_and(says)
    }

    /// Whether it says false.
    fn is_off(&self, key: &str) -> bool {
        let says = |value: &str| value.eq_ignore_ascii_case("false");
        self.get(key).is_some_and(says)
    }

    fn need(&self, key: &str) -> Result<&str, ConfigError> {
        self.get(key)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| self.illegal(key, "", "it must be given"))
    }

    /// A number that ZooKeeper would take too.
    fn number(&self, key: &str, default: u64) -> Result<u64, ConfigError> {
        let (least, most) = match key {
            "tickTime" | "initLimit" | "syncLimit" => (1, JAVAS_LARGEST),
            "znode.container.maxNeverUsedIntervalMs" => (0, i64::MAX as u64),
            _ => (0, JAVAS_LARGEST),
        };
        match (key, self.get(key)) {
            (_, None) => Ok(default),
            // ZooKeeper's way to say that a bound has its default; and that there is none.
            ("minSessionTimeout" | "maxSessionTimeout", Some("-1")) => Ok(default),
            (
                "maxClientCnxns" | "maxCnxns" | "znode.container.maxNeverUsedIntervalMs",
                Some("-1"),
            ) => Ok(0),
            (_, Some(text)) => match text.parse() {
                Ok(number) if (least..=most).contains(&number) => Ok(number),
                _ => {
                    let legal = format!("a whole number from {least} to {most} is legal");
                    Err(self.illegal(key, text, &legal))
                }
            },
        }
    }

    fn illegal(&self, key: &str, value: &str, legal: &str) -> ConfigError {
        match self.line(key) {
            Some(line) => self.wrong(line.name(), value, legal),
            None if value.is_empty() => ConfigError::Missing {
                path: self.path.to_owned(),
                key: key.to_owned(),
                legal: legal.to_owned(),
            },
            None => self.wrong(key.to_owned(), value, legal),
        }
    }

    fn refused(&self, line: &Line, reason: &str) -> ConfigError {
        self.wrong(line.name(), &line.value, reason)
    }

    fn wrong(&self, key: String, value: &str, legal: &str) -> ConfigError {
        ConfigError::Value {
            path: self.path.to_owned(),
            key,
            value: value.to_owned(),
            legal: legal.to_owned(),
        }
    }

    fn note(&self, line: &Line, reason: &str) -> String {
        format!("{}={} ({}): {reason}", line.key, line.value, line.place())
    }
}
