//! The crate is used without the rest of the workspace.

use std::process::Command;

/// What the crate needs to be built, by name.
fn needed() -> Vec<String> {
    let tree = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "--edges",
            "normal,build",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(
        tree.status.success(),
        "{}",
        String::from_utf8_lossy(&tree.stderr)
    );
    let lines = String::from_utf8(tree.stdout).unwrap();
    lines
        .lines()
        .filter_map(|line| line.split(' ').next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn nothing_of_the_workspace_and_no_runtime_is_needed() {
    let needed = needed();
    assert_eq!(needed[0], "keelhaul-checkers");
    assert!(needed.iter().any(|name| name == "serde_json"), "{needed:?}");
    for name in &needed[1..] {
        assert!(
            !name.starts_with("keelhaul") && name != "tokio" && name != "mio",
            "{name} is needed"
        );
    }
}
