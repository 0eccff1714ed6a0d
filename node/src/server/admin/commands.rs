//! ZooKeeper's commands, as data: their names, and whether the server must serve to answer.

/// One command.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::server) struct Command {
    /// Its name, and those that it is known by too.
    names: &'static [&'static str],
    /// While the server does not serve, it is refused.
    pub(super) needs_service: bool,
    pub(super) what: What,
}

/// What a command tells, or does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Alerts,
    Configuration,
    ConnectionStatReset,
    Connections,
    Dirs,
    Dump,
    Environment,
    TraceMask,
    Hash,
    InitialConfiguration,
    IsReadOnly,
    LastSnapshot,
    Leader,
    Monitor,
    ObserverConnectionStatReset,
    Observers,
    Ruok,
    ServerStats,
    Stats,
    StatReset,
    SystemProperties,
    VotingView,
    WatchSummary,
    Watches,
    WatchesByPath,
    ZabState,
}

const fn command(names: &'static [&'static str], needs_service: bool, what: What) -> Command {
    Command {
        names,
        needs_service,
        what,
    }
}

/// All of them, by their first names; `alerts` is ours.
const COMMANDS: [Command; 27] = [
    command(&["alerts", "warn"], false, What::Alerts),
    command(
        &["configuration", "conf", "config"],
        true,
        What::Configuration,
    ),
    command(
        &["connection_stat_reset", "crst"],
        true,
        What::ConnectionStatReset,
    ),
    command(&["connections", "cons"], true, What::Connections),
    command(&["dirs"], true, What::Dirs),
    command(&["dump"], true, What::Dump),
    command(&["environment", "env", "envi"], false, What::Environment),
    command(&["get_trace_mask", "gtmk"], false, What::TraceMask),
    command(&["hash"], true, What::Hash),
    command(
        &["initial_configuration", "icfg"],
        true,
        What::InitialConfiguration,
    ),
    command(&["is_read_only", "isro"], true, What::IsReadOnly),
    command(&["last_snapshot", "lsnp"], true, What::LastSnapshot),
    command(&["leader", "lead"], true, What::Leader),
    command(&["monitor", "mntr"], false, What::Monitor),
    command(
        &["observer_connection_stat_reset", "orst"],
        true,
        What::ObserverConnectionStatReset,
    ),
    command(&["observers", "obsr"], true, What::Observers),
    command(&["ruok"], true, What::Ruok),
    command(&["server_stats", "srvr"], true, What::ServerStats),
    command(&["set_trace_mask", "stmk"], false, What::TraceMask),
    command(&["stat_reset", "srst"], true, What::StatReset),
    command(&["stats", "stat"], true, What::Stats),
    command(
        &["system_properties", "sysp"],
        false,
        What::SystemProperties,
    ),
    command(&["voting_view"], true, What::VotingView),
    command(&["watch_summary", "wchs"], true, What::WatchSummary),
    command(&["watches", "wchc"], true, What::Watches),
    command(&["watches_by_path", "wchp"], true, What::WatchesByPath),
    command(&["zabstate"], false, What::ZabState),
];

impl Command {
    /// The first names of all, in order.
    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        COMMANDS.iter().map(Command::name)
    }

    /// The command that is known by this name.
    pub(super) fn named(name: &str) -> Option<&'static Command> {
        COMMANDS
            .iter()
            .find(|command| command.names.contains(&name))
    }

    /// Its first name.
    pub(super) fn name(&self) -> &'static str {
        self.names[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_order_and_nobody_has_two_owners() {
        let first: Vec<_> = Command::names().collect();
        assert!(first.is_sorted());
        let mut all: Vec<_> = COMMANDS.iter().flat_map(|command| command.names).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
        for command in &COMMANDS {
            for name in command.names {
                assert_eq!(Command::named(name), Some(command));
            }
        }
        assert_eq!(Command::named("nonsense"), None);
    }
}
