//! TLS as ZooKeeper's configuration says it: `secureClientPort` with `ssl.*`, `sslQuorum` with `ssl.quorum.*`.
//!
//! SASL and who must show what: the JAAS file's `Server` section, `sessionRequireClientSASLAuth`, `enforce.auth.*`.
//!
//! Stores are PEM: what Java keeps in JKS or PKCS12 is refused, with the words that convert it.

use super::{Line, Reader};
use crate::config::{ClientAuth, ConfigError, Keys, PeerTls, Sasl, SecureClients, Security, Tls};
use crate::sasl::jaas;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The file with the users of SASL, as Java calls it.
pub(super) const JAAS: &str = "java.security.auth.login.config";

/// Options that are taken over, below `ssl.` and `ssl.quorum.`.
const KNOWN: [&str; 6] = [
    "keyStore.location",
    "keyStore.type",
    "trustStore.location",
    "trustStore.type",
    "clientAuth",
    "hostnameVerification",
];

/// What ZooKeeper's providers are called, whose schemes are built in here.
const PROVIDERS: [&str; 5] = [
    "zookeeper.server.auth.SASLAuthenticationProvider",
    "zookeeper.server.auth.X509AuthenticationProvider",
    "zookeeper.server.auth.DigestAuthenticationProvider",
    "zookeeper.server.auth.IPAuthenticationProvider",
    "x509",
];

/// Options without effect, and why that does no harm.
const WITHOUT_EFFECT: [(&str, &str); 7] = [
    (
        "keyStore.password",
        "keys in PEM are read without a password; one that needs it is refused",
    ),
    (
        "trustStore.password",
        "certificates in PEM have no password",
    ),
    ("protocol", "TLS 1.2 and 1.3 are spoken"),
    ("enabledProtocols", "TLS 1.2 and 1.3 are spoken"),
    ("ciphersuites", "the suites of rustls are offered"),
    (
        "handshakeDetectionTimeoutMillis",
        "limits.greeting_ms in a TOML configuration is for handshakes too",
    ),
    ("authProvider", "certificates are of the scheme x509"),
];

/// What becomes of an option of this family.
pub(super) enum Judged {
    Known,
    WithoutEffect(&'static str),
    Refused(&'static str),
}

/// Judges an option by its name; `None` if it is not of this family.
pub(super) fn judge(key: &str, value: &str) -> Option<Judged> {
    match key {
        key if key.starts_with("superUser.") => return Some(Judged::Known),
        "secureClientPort" | "secureClientPortAddress" | "sslQuorum" => return Some(Judged::Known),
        "sslQuorumReloadCertFiles" => {
            let reason = "certificates are read when the node starts: start it again";
            return Some(Judged::WithoutEffect(reason));
        }
        _ => {}
    }
    if key.starts_with("authProvider") {
        let known = PROVIDERS.iter().any(|class| value.ends_with(class));
        return Some(match known {
            true => Judged::WithoutEffect(
                "its scheme is there when the rest of the configuration has what it needs",
            ),
            false => Judged::Refused("no provider can be loaded: remove it"),
        });
    }
    if key == "requireClientAuthScheme" {
        let reason = "ZooKeeper 3.8 does not know it: sessionRequireClientSASLAuth=true is what keeps out those without SASL";
        return Some(Judged::WithoutEffect(reason));
    }
    if key == "sasl.serverconfig" {
        return (value != "Server").then_some(Judged::Refused(
            "the section of the JAAS file is Server: rename it",
        ));
    }
    let option = key
        .strip_prefix("ssl.quorum.")
        .or_else(|| key.strip_prefix("ssl."))?;
    if option == "authProvider" && value != "x509" {
        let reason =
            "certificates are of the scheme x509, and no provider can be loaded: remove it";
        return Some(Judged::Refused(reason));
    }
    if KNOWN.contains(&option) {
        return Some(Judged::Known);
    }
    let without = WITHOUT_EFFECT
        .iter()
        .find(|(known, _)| option.starts_with(known));
    Some(match (without, option) {
        (Some((_, reason)), _) => Judged::WithoutEffect(reason),
        (None, "crl" | "ocsp") => Judged::Refused(
            "revocation is not looked at: remove it, and trust an authority whose certificates end soon",
        ),
        (None, _) => Judged::Refused("this node cannot do it: remove it"),
    })
}

impl Reader<'_> {
    /// Who may do what, and who must show who he is.
    pub(super) fn security(&self) -> Result<Security, ConfigError> {
        let text = |key: &str| self.get(key).map(str::to_owned);
        let mut sasl = Sasl {
            jaas: self.get(JAAS).map(PathBuf::from),
            super_users: self.super_users(),
            ..Sasl::default()
        };
        if let Some(path) = sasl.jaas.take() {
            let found = std::fs::read_to_string(&path)
                .map_err(|error| error.to_string())
                .and_then(|text| jaas::users(&text, "Server"));
            sasl.users = match found {
                Ok(users) => users,
                Err(problem) => {
                    return Err(self.illegal(JAAS, &path.display().to_string(), &problem));
                }
            };
        }
        if let Some(password) = text("SASLAuthenticationProvider.superPassword") {
            sasl.users.0.insert("super".into(), password);
        }
        let schemes = |schemes: &str| {
            schemes
                .split(',')
                .map(|one| one.trim().to_owned())
                .collect()
        };
        let require = match self.get("enforce.auth.schemes") {
            _ if self.is_on("sessionRequireClientSASLAuth") => vec!["sasl".into()],
            Some(given) if self.is_on("enforce.auth.enabled") => schemes(given),
            None if self.is_on("enforce.auth.enabled") => {
                let legal = "the schemes that are enforced must be given";
                return Err(self.illegal("enforce.auth.schemes", "", legal));
            }
            _ => Vec::new(),
        };
        Ok(Security {
            super_digest: text("DigestAuthenticationProvider.superDigest"),
            sasl,
            require,
        })
    }

    /// `superUser`, and `superUser.N` for more of them.
    fn super_users(&self) -> Vec<String> {
        let is = |line: &&Line| {
            let key = line.option();
            (key == "superUser" || key.starts_with("superUser."))
                && self.line(key).is_some_and(|last| std::ptr::eq(last, *line))
        };
        self.lines
            .iter()
            .filter(is)
            .map(|line| line.value.clone())
            .collect()
    }

    pub(super) fn tls(&self) -> Result<Tls, ConfigError> {
        let peers = match self.is_on("sslQuorum") {
            true => Some(PeerTls {
                keys: self.keys("ssl.quorum.")?,
                verify_names: !self.is_off("ssl.quorum.hostnameVerification"),
                hosts: BTreeMap::new(),
            }),
            false => None,
        };
        let clients = match self.get("secureClientPort") {
            Some(port) => Some(SecureClients {
                address: self.secure_address(port)?,
                keys: self.keys("ssl.")?,
                auth: self.client_auth()?,
                super_subject: self
                    .get("X509AuthenticationProvider.superUser")
                    .map(str::to_owned),
            }),
            None => None,
        };
        Ok(Tls { clients, peers })
    }

    fn secure_address(&self, port: &str) -> Result<SocketAddr, ConfigError> {
        let host = self
            .get("secureClientPortAddress")
            .or_else(|| self.get("clientPortAddress"))
            .unwrap_or("0.0.0.0");
        self.resolve("secureClientPort", host, port)
    }

    fn client_auth(&self) -> Result<ClientAuth, ConfigError> {
        match self.get("ssl.clientAuth").map(str::to_ascii_lowercase) {
            Some(text) if text == "none" => Ok(ClientAuth::None),
            Some(text) if text == "want" => Ok(ClientAuth::Want),
            None => Ok(ClientAuth::Need),
            Some(text) if text == "need" || text.is_empty() => Ok(ClientAuth::Need),
            Some(text) => Err(self.illegal("ssl.clientAuth", &text, "none, want or need")),
        }
    }

    /// The files of one family: certificate and key stand in one file, as in ZooKeeper's stores of type PEM.
    fn keys(&self, family: &str) -> Result<Keys, ConfigError> {
        let certificate = self.store(&format!("{family}keyStore"))?.ok_or_else(|| {
            self.illegal(
                &format!("{family}keyStore.location"),
                "",
                "a file in PEM must be given",
            )
        })?;
        Ok(Keys {
            certificate,
            key: None,
            trust: self.store(&format!("{family}trustStore"))?,
        })
    }

    fn store(&self, which: &str) -> Result<Option<PathBuf>, ConfigError> {
        let location = format!("{which}.location");
        let Some(path) = self.get(&location).filter(|path| !path.is_empty()) else {
            return Ok(None);
        };
        // As in ZooKeeper, a name says the type where nothing else does.
        let by_name = || path.rsplit_once('.').map_or("", |(_, extension)| extension);
        let kind = match self.get(&format!("{which}.type")) {
            Some(kind) if !kind.is_empty() => kind,
            _ => by_name(),
        };
        if kind.eq_ignore_ascii_case("pem") {
            return Ok(Some(PathBuf::from(path)));
        }
        let legal = "a file in PEM (name.pem, or type PEM). From JKS: `keytool -importkeystore -srckeystore store.jks -destkeystore \
             store.p12 -deststoretype PKCS12`; from PKCS12: `openssl pkcs12 -in store.p12 -nodes -out store.pem`";
        Err(self.illegal(&location, path, legal))
    }
}
