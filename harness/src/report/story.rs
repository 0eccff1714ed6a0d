//! What the controller and the nemesis wrote between the clients' lines, read for drawing.
//!
//! A line that cannot be read is passed over here: the checkers read the same lines, and report it.

use keelhaul_checkers::{EventRef, History, Nanos, Process};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The run around its operations.
#[derive(Debug, Default)]
pub(super) struct Story {
    /// When the last line was written.
    pub(super) end: Nanos,
    pub(super) phases: Vec<Phase>,
    /// In the order of the cluster.
    pub(super) nodes: Vec<Node>,
    /// By number.
    pub(super) episodes: BTreeMap<u64, Episode>,
    /// Stretches in which the controller itself did not run.
    pub(super) stalls: Vec<(Nanos, Nanos)>,
    /// The value of the last `replicas` line.
    pub(super) replicas: Option<Value>,
}

/// A part of the run, from here to the next.
#[derive(Debug)]
pub(super) struct Phase {
    pub(super) name: String,
    pub(super) from: Nanos,
}

/// A node, and its roles from these moments on.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) roles: Vec<(Nanos, Role)>,
}

/// What a node said that it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    Leader,
    Follower,
    Observer,
    Looking,
    Unreachable,
}

impl Role {
    pub(super) const ALL: [Role; 5] = [
        Role::Leader,
        Role::Follower,
        Role::Observer,
        Role::Looking,
        Role::Unreachable,
    ];

    fn of(word: &Value) -> Role {
        match word.as_str() {
            Some("leader") => Role::Leader,
            Some("follower") => Role::Follower,
            Some("observer") => Role::Observer,
            Some(_) => Role::Looking,
            None => Role::Unreachable,
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Role::Leader => "leader",
            Role::Follower => "follower",
            Role::Observer => "observer",
            Role::Looking => "looking",
            Role::Unreachable => "unreachable",
        }
    }
}

/// A fault with its target and time.
#[derive(Debug, Clone)]
pub(super) struct Episode {
    pub(super) number: u64,
    pub(super) kind: String,
    /// Of a partition.
    pub(super) shape: Option<String>,
    /// As it was asked for: `leader`, `n3`.
    pub(super) target: String,
    /// What it resolved to.
    pub(super) targets: Vec<String>,
    /// Ordered pairs of nodes that were cut.
    pub(super) links: Vec<(String, String)>,
    pub(super) skipped: bool,
    pub(super) installed: Nanos,
    pub(super) healed: Option<Nanos>,
    /// Whether its effect was seen, and what was looked at.
    pub(super) observed: Option<(bool, String)>,
}

/// How much of the others a node has lost by cut links.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Loss {
    /// Some links, but with itself it still reaches a majority both ways.
    Some,
    /// It cannot reach a majority both ways.
    CutOff,
}

impl Story {
    /// Reads the lines of a history; `nodes` gives the order of the cluster.
    pub(super) fn of(history: &History, nodes: &[String]) -> Story {
        let mut story = Story {
            end: history.last().map_or(Nanos(0), EventRef::time),
            ..Story::default()
        };
        for name in nodes {
            story.node(name);
        }
        for event in history.events() {
            match event.process() {
                Process::Named(name) if &**name == "controller" => story.controller(event),
                Process::Named(name) if &**name == "nemesis" => story.nemesis(event),
                _ => {}
            }
        }
        story
    }

    fn node(&mut self, name: &str) -> &mut Node {
        let place = self.nodes.iter().position(|node| node.name == name);
        let place = place.unwrap_or_else(|| {
            self.nodes.push(Node {
                name: name.to_owned(),
                roles: Vec::new(),
            });
            self.nodes.len() - 1
        });
        &mut self.nodes[place]
    }

    fn controller(&mut self, event: EventRef<'_>) {
        let value = &event.value().to_json();
        match event.f() {
            "phase" => self
                .phases
                .extend(value["phase"].as_str().map(|name| Phase {
                    name: name.to_owned(),
                    from: event.time(),
                })),
            "role" => {
                if let Some(name) = value["node"].as_str() {
                    let role = Role::of(&value["role"]);
                    self.node(name).roles.push((event.time(), role));
                }
            }
            "stall" => {
                if let (Some(from), Some(to)) = (value["from"].as_u64(), value["to"].as_u64()) {
                    self.stalls.push((Nanos(from), Nanos(to)));
                }
            }
            "replicas" => self.replicas = Some(value.clone()),
            _ => {}
        }
    }

    fn nemesis(&mut self, event: EventRef<'_>) {
        let value = &event.value().to_json();
        let Some(number) = value["episode"].as_u64() else {
            return;
        };
        match value["phase"].as_str() {
            Some("install") => {
                self.episodes
                    .insert(number, Episode::installed(number, event));
            }
            Some("observe") => {
                if let Some(episode) = self.episodes.get_mut(&number) {
                    let detail = value["detail"].as_str().unwrap_or_default().to_owned();
                    let seen = value["observed"].as_bool() == Some(true);
                    episode.observed = Some((seen, detail));
                }
            }
            Some("heal") => {
                if let Some(episode) = self.episodes.get_mut(&number) {
                    // Healing is repeated until it is certain; the page shows when it first came.
                    episode.healed.get_or_insert(event.time());
                }
            }
            _ => {}
        }
    }

    /// The episodes that were, or may have been, in place, by number.
    pub(super) fn in_place(&self) -> impl Iterator<Item = (&Episode, Nanos, Nanos)> {
        self.episodes
            .values()
            .filter(|episode| !episode.skipped)
            .map(|episode| {
                (
                    episode,
                    episode.installed,
                    episode.healed.unwrap_or(self.end),
                )
            })
            .take(super::EPISODES)
    }

    /// The kinds of fault that took place, in order.
    pub(super) fn kinds(&self) -> Vec<&str> {
        let kinds: BTreeSet<&str> = self
            .in_place()
            .map(|(episode, _, _)| &*episode.kind)
            .collect();
        kinds.into_iter().collect()
    }
}

impl Episode {
    fn installed(number: u64, event: EventRef<'_>) -> Episode {
        let value = &event.value().to_json();
        Episode {
            number,
            kind: event.f().to_owned(),
            shape: value["fault"]["shape"].as_str().map(str::to_owned),
            target: target(&value["target"]),
            targets: names(&value["targets"]),
            links: value["links"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|pair| {
                    Some((pair[0].as_str()?.to_owned(), pair[1].as_str()?.to_owned()))
                })
                .collect(),
            skipped: value["outcome"].as_str() == Some("skipped"),
            installed: event.time(),
            healed: None,
            observed: None,
        }
    }

    /// What was done to whom: `kill leader n2`, `partition halves n1 n4 | n2 n3 n5`.
    pub(super) fn what(&self, nodes: &[Node]) -> String {
        let shape = self.shape.as_deref().map(|shape| format!(" {shape}"));
        let whom = self.whom(nodes);
        format!("{}{} {whom}", self.kind, shape.unwrap_or_default())
    }

    /// Whom it hit: the symbolic target with what it resolved to; of a partition, who could reach whom.
    pub(super) fn whom(&self, nodes: &[Node]) -> String {
        let hit = self.targets.join(" ");
        match self.sides(nodes) {
            Some(sides) if self.target == "leader" => format!("leader: {sides}"),
            Some(sides) => sides,
            None if hit.is_empty() || hit == self.target => self.target.clone(),
            None if self.targets.len() == nodes.len() => "all".to_owned(),
            None => format!("{} {hit}", self.target),
        }
    }

    /// The same from the longest to the shortest, for a bar whose row says the kind.
    pub(super) fn labels(&self, nodes: &[Node]) -> Vec<String> {
        let number = format!("#{}", self.number);
        let whom = self.whom(nodes);
        let full = match &self.shape {
            Some(shape) => format!("{shape} {whom}"),
            None => whom.clone(),
        };
        let short = match &self.shape {
            Some(shape) => shape.clone(),
            None => self.targets.join(" "),
        };
        vec![format!("{number} {full}"), full, whom, short, number]
    }

    /// `n1 n4 | n2 n3 n5`, if the cut links part the nodes into groups that hear nothing of each other.
    fn sides(&self, nodes: &[Node]) -> Option<String> {
        if self.links.is_empty() {
            return None;
        }
        let mut left: Vec<&str> = nodes.iter().map(|node| &*node.name).collect();
        let mut groups: Vec<String> = Vec::new();
        while !left.is_empty() {
            let mut group = vec![left.remove(0)];
            let mut place = 0;
            while place < group.len() {
                let here = group[place];
                let (near, far) = left
                    .iter()
                    .partition(|there| self.open(here, there) || self.open(there, here));
                group.extend::<Vec<&str>>(near);
                left = far;
                place += 1;
            }
            group.sort_unstable();
            groups.push(group.join(" "));
        }
        // The side that was aimed at first.
        groups.sort_by_key(|group| {
            !group
                .split(' ')
                .any(|node| self.targets.iter().any(|hit| hit == node))
        });
        (groups.len() > 1).then(|| groups.join(" | "))
    }

    fn open(&self, from: &str, to: &str) -> bool {
        !self.links.iter().any(|(f, t)| f == from && t == to)
    }

    /// What the cut links took from a node; `None` if nothing.
    pub(super) fn loss(&self, node: &str, nodes: &[Node]) -> Option<Loss> {
        if !self
            .links
            .iter()
            .any(|(from, to)| from == node || to == node)
        {
            return None;
        }
        let both_ways = |other: &&Node| {
            other.name == node || (self.open(node, &other.name) && self.open(&other.name, node))
        };
        let reached = nodes.iter().filter(both_ways).count();
        Some(if 2 * reached > nodes.len() {
            Loss::Some
        } else {
            Loss::CutOff
        })
    }
}

/// A target as it is asked for: a word, or `{"node": "n3"}`.
pub(super) fn target(value: &Value) -> String {
    let word = value.as_str().or_else(|| value["node"].as_str());
    word.map_or_else(|| super::text::plain(value), str::to_owned)
}

fn names(value: &Value) -> Vec<String> {
    let names = value.as_array().into_iter().flatten();
    names.filter_map(Value::as_str).map(str::to_owned).collect()
}
