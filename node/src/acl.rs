//! Access control lists: who is allowed what, as ZooKeeper decides it.
//!
//! The schemes: `world` (everybody), `auth` (whoever sets the list: replaced by his own identities), `digest` (name and
//! password), `sasl` (a user of DIGEST-MD5), `x509` (the subject of a certificate), `ip` (an IPv4 address or network), and `super`
//! (everything; only by what the configuration says).
//! Permissions of a znode are not inherited, and creating and deleting is allowed by the parent's list. Pure.

use crate::request::{Acl, ErrorCode, Id, Identity};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};
use std::collections::HashSet;
use std::net::Ipv4Addr;

/// A permission, as ZooKeeper's bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permission(i32);

impl Permission {
    /// Data and children may be read.
    pub const READ: Permission = Permission(1);
    /// Data may be set.
    pub const WRITE: Permission = Permission(2);
    /// Children may be created.
    pub const CREATE: Permission = Permission(4);
    /// Children may be deleted.
    pub const DELETE: Permission = Permission(8);
    /// The list may be set.
    pub const ADMIN: Permission = Permission(16);

    /// One of the two.
    pub const fn or(self, other: Permission) -> Permission {
        Permission(self.0 | other.0)
    }
}

/// The schemes that are there only if the configuration has what they need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Schemes {
    /// Users of SASL.
    pub sasl: bool,
    /// Subjects of certificates.
    pub x509: bool,
}

/// Refuses what the list does not allow; `None` is the list that is open to all.
pub fn check(
    list: Option<&[Acl]>,
    permission: Permission,
    identity: &Identity,
) -> Result<(), ErrorCode> {
    let Some(list) = list else {
        return Ok(());
    };
    let allows = |entry: &Acl| entry.permissions & permission.0 != 0 && meets(entry, identity);
    if identity.is_super() || list.iter().any(allows) {
        Ok(())
    } else {
        Err(ErrorCode::NoAuth)
    }
}

fn meets(entry: &Acl, identity: &Identity) -> bool {
    match entry.scheme.as_str() {
        "world" => entry.id == "anyone",
        "ip" => match (Network::parse(&entry.id), identity.address.to_canonical()) {
            (Some(network), std::net::IpAddr::V4(address)) => network.holds(address),
            _ => false,
        },
        "digest" | "x509" => identity
            .ids
            .iter()
            .any(|id| id.scheme == entry.scheme && id.id == entry.id),
        // As in ZooKeeper, its user `super` is each of them.
        "sasl" => identity
            .ids
            .iter()
            .any(|id| id.scheme == "sasl" && (id.id == entry.id || id.id == "super")),
        _ => false,
    }
}

/// The most that a client may show, in bytes: each of its writes carries all of it to the leader.
const SHOWN: usize = 16 << 10;

/// How much a request may grow by what stands for its `auth`, in bytes.
pub const GROWTH: usize = 1 << 20;

/// The list as it is kept: `auth` replaced by who asks, nothing twice; refused if it is empty or makes no sense, or grows by more than
/// there is `room` for.
pub fn to_keep(
    list: Vec<Acl>,
    identity: &Identity,
    schemes: Schemes,
    room: &mut usize,
) -> Result<Vec<Acl>, ErrorCode> {
    let mut seen = HashSet::new();
    let is_first: Vec<bool> = list.iter().map(|entry| seen.insert(entry)).collect();
    let unique = list.into_iter().zip(is_first).filter(|(_, first)| *first);
    let mut kept = Vec::with_capacity(unique.size_hint().1.unwrap_or_default());
    for (entry, _) in unique {
        match entry.scheme.as_str() {
            "world" if entry.id == "anyone" => kept.push(entry),
            "auth" => {
                let before = kept.len();
                *room = room
                    .checked_sub(identity.size())
                    .ok_or(ErrorCode::InvalidAcl)?;
                let own = identity.ids.iter().filter(|id| id.scheme != "super");
                kept.extend(own.map(|id| Acl {
                    permissions: entry.permissions,
                    scheme: id.scheme.clone(),
                    id: id.id.clone(),
                }));
                if kept.len() == before {
                    return Err(ErrorCode::InvalidAcl);
                }
            }
            "digest" if is_digest(&entry.id) => kept.push(entry),
            "ip" if Network::parse(&entry.id).is_some() => kept.push(entry),
            "sasl" if schemes.sasl && is_principal(&entry.id) => kept.push(entry),
            "x509" if schemes.x509 && is_subject(&entry.id) => kept.push(entry),
            _ => return Err(ErrorCode::InvalidAcl),
        }
    }
    if kept.is_empty() {
        return Err(ErrorCode::InvalidAcl);
    }
    Ok(kept)
}

/// A name, a colon and something: empty parts at the end do not count, as in Java's `split`.
fn is_digest(id: &str) -> bool {
    id.trim_end_matches(':').matches(':').count() == 1
}

/// As ZooKeeper judges it: a name alone, or Kerberos's `name[/host]@REALM`.
fn is_principal(id: &str) -> bool {
    let Some((name, realm)) = id.split_once('@') else {
        return true;
    };
    !realm.contains(['@', '/']) && name.matches('/').count() <= 1
}

/// Whether it can be a certificate's subject: parts `KEY=value`, where a backslash takes the next character its meaning.
fn is_subject(id: &str) -> bool {
    let (mut key, mut in_key, mut quoted) = (String::new(), true, false);
    let mut characters = id.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' if characters.next().is_none() => return false,
            '\\' => {}
            '"' => quoted = !quoted,
            '=' if in_key => in_key = false,
            ',' | ';' | '+' if !quoted => {
                if in_key || !is_attribute(&key) {
                    return false;
                }
                (key, in_key) = (String::new(), true);
            }
            c if in_key => key.push(c),
            _ => {}
        }
    }
    id.trim().is_empty() || !in_key && !quoted && is_attribute(&key)
}

fn is_attribute(key: &str) -> bool {
    let key = key.trim();
    !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '.')
}

/// The list without the digests, for those who may read but not administrate.
pub fn masked(list: &[Acl]) -> Vec<Acl> {
    let mask = |entry: &Acl| {
        let mut entry = entry.clone();
        if let Some((name, _)) = entry
            .id
            .split_once(':')
            .filter(|_| entry.scheme == "digest")
        {
            entry.id = format!("{name}:x");
        }
        entry
    };
    list.iter().map(mask).collect()
}

/// What a list has instead of `name:password`: `name:BASE64(SHA1(name:password))`.
pub fn digest(name_and_password: &str) -> String {
    let name = name_and_password
        .split_once(':')
        .map_or(name_and_password, |(name, _)| name);
    let hash = Sha1::digest(name_and_password.as_bytes());
    format!("{name}:{}", STANDARD.encode(hash))
}

/// Whether it can be what [`digest`] makes of a name and a password.
pub fn is_whole_digest(digest: &str) -> bool {
    let hash = digest.split_once(':').map(|(_, hash)| hash);
    hash.is_some_and(|hash| STANDARD.decode(hash).is_ok_and(|hash| hash.len() == 20))
}

/// Adds what a client shows to its identity; `super_digest` is the one that opens everything.
pub fn authenticate(
    identity: &mut Identity,
    scheme: &str,
    shown: Option<&[u8]>,
    super_digest: Option<&str>,
) -> Result<(), ErrorCode> {
    match (scheme, shown) {
        // The address is known already, and so is the certificate.
        ("ip", _) => Ok(()),
        ("x509", _) if identity.ids.iter().any(|id| id.scheme == "x509") => Ok(()),
        ("digest", Some(shown)) => {
            let digest = digest(&String::from_utf8_lossy(shown));
            if super_digest == Some(&*digest) {
                identity.add(Id {
                    scheme: "super".into(),
                    id: String::new(),
                });
            }
            let id = Id {
                scheme: "digest".into(),
                id: digest,
            };
            if !identity.ids.contains(&id) && identity.size() + id.size() > SHOWN {
                return Err(ErrorCode::AuthFailed);
            }
            identity.add(id);
            Ok(())
        }
        _ => Err(ErrorCode::AuthFailed),
    }
}

/// An IPv4 network, such as `10.0.0.0/8`.
struct Network {
    address: u32,
    bits: u32,
}

impl Network {
    fn parse(text: &str) -> Option<Network> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, bits.parse().ok().filter(|bits| *bits <= 32)?),
            None => (text, 32),
        };
        let mut parts = address.split('.').map(|part| part.parse::<u8>().ok());
        let mut next = || parts.next().flatten().map(u32::from);
        let address = next()? << 24 | next()? << 16 | next()? << 8 | next()?;
        parts.next().is_none().then_some(Network { address, bits })
    }

    fn holds(&self, address: Ipv4Addr) -> bool {
        let differ = u32::from(address) ^ self.address;
        differ.checked_shr(32 - self.bits).unwrap_or(0) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to_keep(
        list: Vec<Acl>,
        identity: &Identity,
        schemes: Schemes,
    ) -> Result<Vec<Acl>, ErrorCode> {
        super::to_keep(list, identity, schemes, &mut { GROWTH })
    }

    fn acl(permissions: i32, scheme: &str, id: &str) -> Acl {
        Acl {
            permissions,
            scheme: scheme.into(),
            id: id.into(),
        }
    }

    fn client(address: &str, shown: &[&str]) -> Identity {
        let mut identity = Identity::at(address.parse().unwrap());
        for secret in shown {
            let secret = Some(secret.as_bytes());
            authenticate(&mut identity, "digest", secret, Some(&digest("super:s"))).unwrap();
        }
        identity
    }

    #[test]
    fn a_digest_is_zookeepers() {
        // As `DigestAuthenticationProvider.main` prints it.
        assert_eq!(digest("super:test"), "super:D/InIHSb7yEEbrWz8b9l71RjZJU=");
        assert_eq!(
            digest("nobody"),
            format!("nobody:{}", &digest("nobody")[7..])
        );
    }

    #[test]
    fn networks_hold_their_addresses_only() {
        for (network, address, holds) in [
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "10.1.2.4", false),
            ("10.0.0.0/8", "10.200.0.1", true),
            ("10.99.0.0/8", "10.200.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("1.2.3.4/0", "9.9.9.9", true),
            ("1.2.3.4/31", "1.2.3.5", true),
            ("1.2.3.4/31", "1.2.3.6", false),
            ("1.2.3.4", "::ffff:1.2.3.4", true),
            ("1.2.3.4", "::1", false),
        ] {
            let list = [acl(1, "ip", network)];
            let found = check(Some(&list), Permission::READ, &client(address, &[])).is_ok();
            assert_eq!(found, holds, "{network} {address}");
        }
        for bad in [
            "",
            "1.2.3",
            "1.2.3.4.5",
            "1.2.3.256",
            "1.2.3.4/33",
            "1.2.3.4/-1",
            "1.2.3.4/x",
        ] {
            assert!(Network::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn users_and_subjects_are_what_zookeeper_takes_for_them() {
        for (id, legal) in [
            ("bob", true),
            ("bob@REALM", true),
            ("bob/host@REALM", true),
            ("bob@a@b", false),
            ("bob/a/b@R", false),
            ("bob@R/x", false),
        ] {
            assert_eq!(is_principal(id), legal, "{id}");
        }
        for (id, legal) in [
            ("CN=client", true),
            ("CN=a\\,b,O=x + OU=y", true),
            ("1.2.3=#04", true),
            ("CN=\"a,b\"", true),
            ("", true),
            ("client", false),
            ("CN=a,client", false),
            ("CN=a,=b", false),
            ("CN=a\\", false),
        ] {
            assert_eq!(is_subject(id), legal, "{id}");
        }
    }

    #[test]
    fn a_permission_is_for_whom_the_entry_names() {
        let me = client("1.2.3.4", &["me:secret"]);
        let other = client("1.2.3.4", &["me:guess"]);
        let list = [
            acl(1, "world", "anyone"),
            acl(31, "digest", &digest("me:secret")),
        ];
        assert_eq!(check(Some(&list), Permission::READ, &other), Ok(()));
        assert_eq!(
            check(Some(&list), Permission::WRITE, &other),
            Err(ErrorCode::NoAuth)
        );
        assert_eq!(check(Some(&list), Permission::WRITE, &me), Ok(()));
        assert_eq!(check(None, Permission::ADMIN, &other), Ok(()));
        let root = client("1.2.3.4", &["super:s"]);
        assert_eq!(
            check(Some(&[acl(0, "ip", "9.9.9.9")]), Permission::ADMIN, &root),
            Ok(())
        );
    }

    #[test]
    fn a_list_is_kept_only_if_it_makes_sense() {
        let schemes = Schemes::default();
        let me = client("1.2.3.4", &["me:secret", "too:x"]);
        let stranger = client("1.2.3.4", &[]);
        let all = acl(31, "world", "anyone");
        assert_eq!(
            to_keep(vec![all.clone(), all.clone()], &me, schemes),
            Ok(vec![all])
        );
        let own = [digest("me:secret"), digest("too:x")].map(|id| acl(7, "digest", &id));
        assert_eq!(
            to_keep(vec![acl(7, "auth", "")], &me, schemes),
            Ok(own.to_vec())
        );
        for bad in [
            vec![],
            vec![acl(7, "auth", "")],
            vec![acl(7, "world", "me")],
            vec![acl(7, "digest", "name")],
            vec![acl(7, "digest", "name:")],
            vec![acl(7, "digest", "a:b:c")],
            vec![acl(7, "ip", "somewhere")],
            vec![acl(7, "super", "")],
            vec![acl(7, "sasl", "bob")],
            vec![acl(7, "x509", "CN=bob")],
            vec![acl(7, "", "")],
        ] {
            assert_eq!(
                to_keep(bad.clone(), &stranger, schemes),
                Err(ErrorCode::InvalidAcl),
                "{bad:?}"
            );
        }
        assert_eq!(masked(&own)[0].id, "me:x");
        let schemes = Schemes {
            sasl: true,
            x509: true,
        };
        let more = vec![acl(7, "sasl", "bob"), acl(7, "x509", "CN=bob")];
        assert_eq!(to_keep(more.clone(), &stranger, schemes), Ok(more));
    }

    #[test]
    fn what_a_client_shows_and_what_it_stands_for_have_limits() {
        let mut me = client("1.2.3.4", &[]);
        let mut show = |name: usize| {
            let shown = format!("{}:x", "n".repeat(name));
            authenticate(&mut me, "digest", Some(shown.as_bytes()), None)
        };
        assert_eq!(show(SHOWN), Err(ErrorCode::AuthFailed));
        assert_eq!(show(SHOWN / 2), Ok(()));
        assert_eq!(show(SHOWN / 2), Ok(()), "it is known already");
        assert_eq!(show(SHOWN / 2 + 1), Err(ErrorCode::AuthFailed));
        assert_eq!(me.ids.len(), 1);
        // Each permission makes another entry of the same identity.
        let list: Vec<Acl> = (0..1000).map(|n| acl(n, "auth", "")).collect();
        let kept = to_keep(list[..100].to_vec(), &me, Schemes::default());
        assert_eq!(kept.map(|kept| kept.len()), Ok(100));
        assert_eq!(
            to_keep(list, &me, Schemes::default()),
            Err(ErrorCode::InvalidAcl)
        );
    }

    #[test]
    fn a_list_of_many_entries_costs_no_more_than_its_length() {
        let list: Vec<Acl> = (0..100_000)
            .map(|n| acl(n, "digest", "a:b"))
            .chain([acl(0, "digest", "a:b")])
            .collect();
        let kept = to_keep(list, &client("1.2.3.4", &[]), Schemes::default()).unwrap();
        assert_eq!(kept.len(), 100_000);
        assert!(kept.iter().map(|entry| entry.permissions).eq(0..100_000));
    }
}
