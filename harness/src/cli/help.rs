//! `keelhaul --help`: the commands, grouped by what they are for.

use clap::Command;
use std::fmt::Write;

/// What each group is for, and its commands. `help` is clap's own.
const GROUPS: [(&str, &[&str]); 4] = [
    ("Tests", &["run", "check"]),
    ("Histories", &["convert", "generate"]),
    ("Clusters", &["up", "bench", "heal"]),
    ("Reference", &["list", "help"]),
];

const HELP: &str = "A command with all its options: help COMMAND";

/// The command with its help grouped.
pub(super) fn grouped(command: Command) -> Command {
    let mut text = String::new();
    for (group, names) in GROUPS {
        writeln!(text, "{group}:").expect("writing to a string does not fail");
        for name in names {
            let about = command.find_subcommand(name).and_then(Command::get_about);
            let about = about.map_or(HELP.to_owned(), ToString::to_string);
            writeln!(text, "  {name:<10}{about}").expect("writing to a string does not fail");
        }
    }
    command.before_help(text).help_template(
        "{about-with-newline}\n{usage-heading} {usage}\n\n{before-help}Options:\n{options}{after-help}",
    )
}

#[cfg(test)]
mod tests {
    use super::super::Cli;
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn every_command_is_in_one_group() {
        let command = Cli::command();
        let mut grouped: Vec<&str> = GROUPS
            .iter()
            .flat_map(|(_, names)| *names)
            .copied()
            .collect();
        let mut all: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
        all.push("help");
        grouped.sort_unstable();
        all.sort_unstable();
        assert_eq!(grouped, all);
    }
}
