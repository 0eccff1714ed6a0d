//! The comparison of the replicas, and whether what it says agrees with itself.
//!
//! A `replicas` line carries its verdict, the paths that differ, and each node's count of znodes and digest. It never trusts
//! the verdict alone: where the rest of the line contradicts it, nothing is known.

use serde::Deserialize;
use serde_json::Value;

/// The replicas' comparison, as the controller wrote it.
#[derive(Debug, Deserialize)]
pub(crate) struct Replicas {
    /// `None`: it could not be made.
    pub(crate) equal: Option<bool>,
    pub(crate) reason: Option<String>,
    /// Each node's `{"znodes": N, "digest": text}`, by name.
    #[serde(default)]
    pub(crate) nodes: Value,
    #[serde(default)]
    pub(crate) differences: Vec<Difference>,
}

/// A path on which replicas differ.
#[derive(Debug, Deserialize)]
pub(crate) struct Difference {
    pub(crate) path: String,
    #[serde(default)]
    pub(crate) nodes: Value,
}

impl Replicas {
    /// What on the line contradicts its own verdict, in one sentence.
    pub(crate) fn contradiction(&self) -> Option<String> {
        let unequal = ["digest", "znodes"]
            .into_iter()
            .find(|field| self.agree_on(field) == Some(false));
        match (self.equal?, unequal) {
            (true, Some(field)) => Some(format!(
                "the replicas are said to be equal, but their {} differ: {}",
                plural(field),
                self.listed(field)
            )),
            (true, None) => self.differences.first().map(|first| {
                format!(
                    "the replicas are said to be equal, but a difference on {} is recorded",
                    first.path
                )
            }),
            (false, None) if self.agree_on("digest") == Some(true) => {
                Some("the replicas are said to differ, but their digests are equal".to_owned())
            }
            (false, _) => None,
        }
    }

    /// Where they differ, in words that follow "replicas differ".
    pub(crate) fn where_they_differ(&self) -> String {
        if !self.differences.is_empty() {
            let paths: Vec<&str> = self
                .differences
                .iter()
                .map(|difference| &*difference.path)
                .collect();
            return format!(" on {}", crate::recovery::listed(&paths));
        }
        match self.agree_on("digest") {
            Some(false) => format!(": their digests differ ({})", self.listed("digest")),
            _ => ", and where was not recorded".to_owned(),
        }
    }

    /// Whether all nodes have the same in this field; `None` where fewer than two have any.
    fn agree_on(&self, field: &str) -> Option<bool> {
        let mut known = self.fields(field).map(|(_, value)| value);
        let first = known.next()?;
        let rest: Vec<&Value> = known.collect();
        (!rest.is_empty()).then(|| rest.iter().all(|value| *value == first))
    }

    fn listed(&self, field: &str) -> String {
        let each: Vec<String> = self
            .fields(field)
            .map(|(node, value)| match value.as_str() {
                // Enough to tell two of them apart.
                Some(text) => format!("{node} {:.12}", text),
                None => format!("{node} {value}"),
            })
            .collect();
        each.join(", ")
    }

    fn fields<'a>(&'a self, field: &'a str) -> impl Iterator<Item = (&'a String, &'a Value)> {
        let nodes = self.nodes.as_object().into_iter().flatten();
        nodes
            .map(move |(node, shown)| (node, &shown[field]))
            .filter(|(_, value)| !value.is_null())
    }
}

fn plural(field: &str) -> &'static str {
    match field {
        "digest" => "digests",
        _ => "counts of znodes",
    }
}
