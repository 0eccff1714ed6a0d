//! Reads Prometheus's text format (0.0.4), and accepts nothing that breaks its rules: every family has one HELP and one TYPE line
//! before its samples, which stand together and come once each; a summary has quantiles, one count and one sum.

use std::collections::{BTreeMap, BTreeSet};

/// One family of samples.
#[derive(Debug, Default)]
pub(crate) struct Family {
    pub(crate) kind: String,
    /// By name and labels, as they stand.
    pub(crate) samples: BTreeMap<String, f64>,
}

/// The families of a text, by name.
pub(crate) fn parse(text: &str) -> Result<BTreeMap<String, Family>, String> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let (mut helped, mut current) = (BTreeSet::new(), String::new());
    if !text.ends_with('\n') {
        return Err("the last line has no end".into());
    }
    for line in text.lines() {
        let wrong = |why: &str| Err(format!("{why}: {line:?}"));
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let Some((name, help)) = rest.split_once(' ') else {
                return wrong("no help");
            };
            if !is_name(name) || help.trim().is_empty() || !helped.insert(name.to_owned()) {
                return wrong("a bad HELP line");
            }
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let Some((name, kind)) = rest.split_once(' ') else {
                return wrong("no type");
            };
            if !["counter", "gauge", "summary", "histogram", "untyped"].contains(&kind)
                || !helped.contains(name)
            {
                return wrong("a bad TYPE line");
            }
            let family = Family {
                kind: kind.to_owned(),
                ..Family::default()
            };
            if families.insert(name.to_owned(), family).is_some() {
                return wrong("a family twice");
            }
            name.clone_into(&mut current);
        } else {
            let family = families.get_mut(&current).ok_or("samples without a type")?;
            sample(&current, family, line).map_err(|why| format!("{why}: {line:?}"))?;
        }
    }
    for (name, family) in &families {
        check(name, family)?;
    }
    Ok(families)
}

fn is_name(text: &str) -> bool {
    let first = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == ':');
    first
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
}

fn sample(of: &str, family: &mut Family, line: &str) -> Result<(), String> {
    let (series, value) = line.rsplit_once(' ').ok_or("no value")?;
    let value: f64 = value.parse().map_err(|_| "a value that is no number")?;
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let labels = labels.strip_suffix('}').ok_or("labels without an end")?;
    for label in labels.split(',').filter(|label| !label.is_empty()) {
        let (key, value) = label.split_once('=').ok_or("a label without a value")?;
        let quoted = value.len() >= 2 && value.starts_with('"') && value.ends_with('"');
        if !is_name(key) || !quoted || value[1..value.len() - 1].contains(['"', '\\']) {
            return Err("a bad label".into());
        }
    }
    let part = name.strip_prefix(of).ok_or("a sample of another family")?;
    let legal: &[&str] = match family.kind.as_str() {
        "summary" => &["", "_count", "_sum"],
        _ => &[""],
    };
    if !legal.contains(&part)
        || (family.kind == "summary" && part.is_empty() != labels.contains("quantile="))
    {
        return Err("a sample that its family does not have".into());
    }
    if (family.kind == "counter" || part == "_count")
        && !(value >= 0.0 && value.fract() == 0.0 || of.ends_with("_total"))
    {
        return Err("a count that is no whole number".into());
    }
    match family.samples.insert(series.to_owned(), value) {
        None => Ok(()),
        Some(_) => Err("a sample twice".into()),
    }
}

fn check(name: &str, family: &Family) -> Result<(), String> {
    if family.samples.is_empty() {
        return Err(format!("{name} has no samples"));
    }
    let count = |part: &str| {
        family
            .samples
            .keys()
            .filter(|key| key.starts_with(&format!("{name}{part}")))
            .count()
    };
    if family.kind == "summary"
        && (count("_count") != count("_sum") || count("{") < count("_count"))
    {
        return Err(format!("{name} is not a whole summary"));
    }
    Ok(())
}

#[test]
fn the_reader_refuses_what_is_not_the_format() {
    let good = "# HELP a It is.\n# TYPE a summary\na{quantile=\"0.5\"} NaN\na_count 0\na_sum 0\n# HELP b B.\n# TYPE b gauge\nb 1.5\n";
    assert_eq!(parse(good).unwrap().len(), 2);
    for (from, to) in [
        ("# TYPE b gauge\n", ""),
        ("# HELP b B.\n", ""),
        ("b 1.5\n", ""),
        ("b 1.5\n", "b 1.5\nb 2\n"),
        ("b 1.5\n", "b x\n"),
        ("b 1.5\n", "b 1.5"),
        ("b 1.5\n", "c 1.5\n"),
        ("a_sum 0\n", ""),
        ("a_count 0", "a_count 0.5"),
        ("a_count 0", "a 0"),
        ("{quantile=\"0.5\"}", "{quantile=0.5}"),
        ("# HELP b B.", "# HELP a B."),
        ("gauge", "number"),
    ] {
        let bad = good.replacen(from, to, 1);
        assert!(parse(&bad).is_err(), "{bad}");
    }
}
