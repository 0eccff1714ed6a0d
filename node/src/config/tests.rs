//! Configurations as users write them, right and wrong.

use super::*;

fn parse(text: &str) -> Result<NodeConfig, String> {
    NodeConfig::parse(Path::new("n.toml"), text).map_err(|e| e.to_string())
}

const SMALL: &str = r#"
    id = 2
    data_dir = "d"
    members = [
        { id = 1, peer_address = "127.0.0.1:1", client_address = "127.0.0.1:2" },
        { id = 2, peer_address = "127.0.0.1:3", client_address = "127.0.0.1:4", role = "voter" },
    ]
"#;

#[test]
fn the_example_is_legal_and_shows_the_defaults() {
    let config = parse(EXAMPLE).unwrap();
    assert_eq!(
        (config.timing, config.log, config.limits),
        Default::default()
    );
}

#[test]
fn what_is_left_out_has_its_default() {
    let config = parse(SMALL).unwrap();
    assert_eq!(config.client_address, "127.0.0.1:4".parse().unwrap());
    assert_eq!(config.peer_address, "127.0.0.1:3".parse().unwrap());
    assert_eq!(
        config.dial_address(&config.members[&NodeId(1)]),
        "127.0.0.1:1".parse().unwrap()
    );
    assert_eq!(config.timing, Timing::default());
}

#[test]
fn a_dial_address_stands_in_for_the_members_address() {
    let config = parse(&format!("{SMALL}\n[dial]\n\"1\" = \"127.0.0.1:9\"")).unwrap();
    assert_eq!(
        config.dial_address(&config.members[&NodeId(1)]),
        "127.0.0.1:9".parse().unwrap()
    );
}

#[test]
fn errors_name_file_key_and_what_is_legal() {
    for (text, parts) in [
        (
            SMALL.replace("id = 2\n", "id = 64\n"),
            ["n.toml", "id = 64", "1 to 63"],
        ),
        (
            SMALL.replace("id = 2\n", "id = 3\n"),
            ["n.toml", "id = 3", "one of the members"],
        ),
        (
            SMALL.replace("id = 1,", "id = 2,"),
            ["n.toml", "members.id = 2", "unique"],
        ),
        (
            SMALL.replace(":3", ":1"),
            ["n.toml", "127.0.0.1:1", "unique"],
        ),
        (SMALL.replace("voter", "king"), ["n.toml", "king", "voter"]),
        (
            SMALL.replace("data_dir", "dtaa_dir"),
            ["n.toml", "dtaa_dir", "data_dir"],
        ),
        (
            format!("{SMALL}\n[dial]\n2 = \"127.0.0.1:9\""),
            ["n.toml", "dial.2", "itself"],
        ),
        (
            format!("{SMALL}\n[dial]\n7 = \"127.0.0.1:9\""),
            ["n.toml", "dial.7", "id of a member"],
        ),
        (
            format!("{SMALL}\n[timing]\ntick_ms = 0"),
            ["n.toml", "timing.tick_ms = 0", "at least 10"],
        ),
    ] {
        let error = parse(&text).unwrap_err();
        for part in parts {
            assert!(error.contains(part), "{part:?} is not in {error:?}");
        }
    }
}
