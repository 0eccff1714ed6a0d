//! Which program the nodes are: found or built, looked at, and named in the plan.
//!
//! `--node-bin` comes first; else, when `keelhaul` is run by cargo from its own workspace, the node is built in the same
//! profile; else it is the one beside `keelhaul`. A node with planted bugs is built into a target directory of its own,
//! and is never used when no bug was asked for.

use crate::aside;
use crate::failure::Failure;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

const PROGRAM: &str = "keelhaul-node";

/// The feature under which a node has planted bugs.
const BUGS: &str = "bugs";

/// A build that takes longer than this is told of.
const PATIENCE: Duration = Duration::from_millis(700);

/// The program that the nodes run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeBinary {
    /// Where it is.
    pub path: PathBuf,
    /// What it answered to `--version`.
    pub version: String,
    /// SHA-256 of the file, in hex.
    pub sha256: String,
}

/// Finds the program, building it where that is due. Takes long when it builds.
///
/// # Errors
/// If there is none, or it cannot be built.
pub fn find(asked: Option<&Path>, bug: Option<&str>) -> Result<PathBuf, Failure> {
    if let Some(path) = asked {
        return existing(path, "--node-bin names it");
    }
    let keelhaul = std::env::current_exe().map_err(Failure::file("find", Path::new("keelhaul")))?;
    match (bug, Workspace::of(&keelhaul)) {
        (Some(_), Some(workspace)) => workspace.build(true),
        (Some(bug), None) => Err(Failure::Usage(format!(
            "a node with the bug {bug} must be built from keelhaul's sources, which are not here: \
             run it with cargo inside the workspace, or name a node that was built with `--features {BUGS}` by --node-bin"
        ))),
        (None, Some(workspace)) if std::env::var_os("CARGO").is_some() => workspace.build(false),
        (None, _) => existing(
            &keelhaul.with_file_name(PROGRAM),
            "it should stand beside keelhaul",
        ),
    }
}

/// Asks the program for its version, and refuses planted bugs that nobody asked for.
///
/// # Errors
/// If it cannot be run or read, or its features do not fit.
pub fn inspect(path: &Path, bug: Option<&str>) -> Result<NodeBinary, Failure> {
    let version = version(path)?;
    let has_bugs = features(&version).any(|feature| feature == BUGS);
    match bug {
        None if has_bugs => {
            return Err(Failure::Usage(format!(
                "{} is `{version}`: it was built with planted bugs, and no --bug was asked for; \
                 build it without the feature `{BUGS}`, or choose another with --node-bin",
                path.display()
            )));
        }
        Some(bug) if !has_bugs => {
            return Err(Failure::Usage(format!(
                "{} is `{version}`: it has no planted bugs, so it cannot show {bug}; build it with `--features {BUGS}`",
                path.display()
            )));
        }
        Some(bug) => knows_bug(path, bug)?,
        None => {}
    }
    Ok(NodeBinary {
        path: path.to_owned(),
        version,
        sha256: sha256(path)?,
    })
}

/// The node knows its bugs' names, the harness does not.
fn knows_bug(path: &Path, bug: &str) -> Result<(), Failure> {
    let output = Command::new(path)
        .args(["--bug", bug, "--version"])
        .stdin(Stdio::null())
        .output()
        .map_err(Failure::file("run", path))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().next().unwrap_or("it does not say why");
    Err(Failure::Usage(format!(
        "{} cannot show the bug {bug}: {said}",
        path.display()
    )))
}

fn existing(path: &Path, why: &str) -> Result<PathBuf, Failure> {
    match path.canonicalize() {
        Ok(path) if path.is_file() => Ok(path),
        _ => Err(Failure::Usage(format!(
            "there is no node program at {} ({why}); build it with `cargo build --release -p {PROGRAM}` \
             and name it with --node-bin PATH",
            path.display()
        ))),
    }
}

/// `keelhaul-node 0.1.0 (features: bugs, other)`.
fn features(version: &str) -> impl Iterator<Item = &str> {
    let list = version
        .split_once("(features:")
        .and_then(|(_, rest)| rest.split_once(')'));
    list.map_or("", |(list, _)| list).split(',').map(str::trim)
}

fn version(path: &Path) -> Result<String, Failure> {
    let wrong = |what: String| {
        Failure::Usage(format!(
            "{} {what}; name a {PROGRAM} with --node-bin PATH",
            path.display()
        ))
    };
    let output = Command::new(path)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| wrong(format!("is not a program that can be run ({error})")))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().next().unwrap_or_default().trim();
    match output.status.success() && line.starts_with(PROGRAM) {
        true => Ok(line.to_owned()),
        false => Err(wrong(format!(
            "is not a {PROGRAM}: --version answered `{line}` ({})",
            output.status
        ))),
    }
}

fn sha256(path: &Path) -> Result<String, Failure> {
    let mut file = File::open(path).map_err(Failure::file("read", path))?;
    let mut hash = Sha256::new();
    let mut chunk = vec![0; 1 << 16];
    loop {
        let count = file.read(&mut chunk).map_err(Failure::file("read", path))?;
        if count == 0 {
            break;
        }
        hash.update(&chunk[..count]);
    }
    Ok(hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

/// The sources that this `keelhaul` was built from, and where it was built to.
struct Workspace {
    root: PathBuf,
    target: PathBuf,
    profile: String,
}

impl Workspace {
    /// The workspace of a `keelhaul` that stands where cargo put it: in `<target>/<profile>/`.
    fn of(keelhaul: &Path) -> Option<Workspace> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
        if !root.join("node/Cargo.toml").is_file() {
            return None;
        }
        let directory = keelhaul.parent()?;
        let target = directory.parent()?;
        // Cargo marks its target directories: a copy that was installed elsewhere is no build of this workspace.
        if !target.join("CACHEDIR.TAG").is_file() {
            return None;
        }
        Some(Workspace {
            root: root.to_owned(),
            target: target.to_owned(),
            profile: directory.file_name()?.to_str()?.to_owned(),
        })
    }

    fn build(&self, with_bugs: bool) -> Result<PathBuf, Failure> {
        let target = match with_bugs {
            true => self.target.join(BUGS),
            false => self.target.clone(),
        };
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(&cargo);
        command
            .current_dir(&self.root)
            .args(["build", "--quiet", "-p", PROGRAM, "--profile"])
            // The directory of the profile `dev` is the only one with another name.
            .arg(if self.profile == "debug" {
                "dev"
            } else {
                &self.profile
            })
            .arg("--target-dir")
            .arg(&target)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        if with_bugs {
            command.args(["--features", BUGS]);
        }
        let status = with_notice(
            &format!("building {PROGRAM} into {} …", target.display()),
            || command.status(),
        );
        let built = target.join(&self.profile).join(PROGRAM);
        match status.map_err(Failure::file("run", Path::new(&cargo)))? {
            status if status.success() => existing(&built, "cargo has just built it"),
            status => Err(Failure::Machinery(format!(
                "cargo could not build {PROGRAM} ({status}); see its messages above, or name a built one with --node-bin PATH"
            ))),
        }
    }
}

/// Prints the notice if the work takes long.
fn with_notice<T>(notice: &str, work: impl FnOnce() -> T) -> T {
    let (done, is_done) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            if is_done.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
                aside::say(notice);
            }
        });
        let result = work();
        drop(done);
        result
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_read_from_the_version() {
        let of = |version| features(version).collect::<Vec<_>>();
        assert_eq!(of("keelhaul-node 0.1.0 (features: none)"), ["none"]);
        assert_eq!(
            of("keelhaul-node 0.1.0 (features: bugs, more)"),
            ["bugs", "more"]
        );
        assert_eq!(of("something else"), [""]);
    }

    #[test]
    fn a_missing_program_is_named_with_the_way_to_get_it() {
        let error = find(Some(Path::new("/no/such/node")), None).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("/no/such/node") && text.contains("cargo build"),
            "{text}"
        );
    }

    #[test]
    fn planted_bugs_are_refused_unless_asked_for_and_asked_for_only_where_planted() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let program = |features: &str| {
            let path = directory.path().join(features);
            let script = format!("#!/bin/sh\necho 'keelhaul-node 0.1.0 (features: {features})'\n");
            std::fs::write(&path, script).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
            path
        };
        let (buggy, sound) = (program("bugs"), program("none"));
        assert!(
            inspect(&buggy, None)
                .unwrap_err()
                .to_string()
                .contains("planted bugs")
        );
        assert!(inspect(&sound, Some("stale-sync")).is_err());
        assert!(inspect(&buggy, Some("stale-sync")).is_ok());
        assert_eq!(inspect(&sound, None).unwrap().sha256.len(), 64);
        for (other, wanted) in [
            ("/etc/passwd", "is not a program"),
            ("/bin/true", "is not a keelhaul-node"),
        ] {
            let error = inspect(Path::new(other), None).unwrap_err();
            assert_eq!(error.exit(), crate::Exit::Usage);
            assert!(error.to_string().contains(wanted), "{error}");
        }
    }
}
