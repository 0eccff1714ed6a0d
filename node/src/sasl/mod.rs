//! SASL with DIGEST-MD5 (RFC 2831), the server's side, as ZooKeeper uses it: the service `zookeeper` on the host `zk-sasl-md5`, which
//! is the realm too, and the quality of protection `auth` alone.
//!
//! The client begins with an empty token; the server's challenge has a nonce; the client's answer shows that it knows the
//! password without telling it; the server's last word shows that it knows it too. Pure: the nonce is given. MD5 is broken as a
//! hash, and whoever listens can try passwords: on a network that is not trusted this belongs inside TLS.
//!
//! [`jaas`] reads the users from the file that operators of ZooKeeper have.

pub mod jaas;

use md5::{Digest, Md5};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;

/// Names and passwords.
#[derive(Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(transparent)]
pub struct Users(pub BTreeMap<String, String>);

/// Passwords are not for logs.
impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

const SERVICE: &str = "zookeeper";
const REALM: &str = "zk-sasl-md5";

/// The longest answer, in bytes, as RFC 2831 limits it.
const LONGEST: usize = 4096;

/// Why an answer does not show anything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// A token came where none belongs, or was missing where one does.
    #[error("a token came out of turn")]
    OutOfTurn,
    /// The answer is no list of directives.
    #[error("the answer cannot be read")]
    Garbage,
    /// A directive is missing, comes twice, or says something else than the challenge.
    #[error("the answer's {0} is missing, given twice, or not what was asked for")]
    Directive(&'static str),
    /// Nobody has this name.
    #[error("there is no user {0:?}")]
    NoUser(String),
    /// The password is another.
    #[error("{0:?} does not know the password")]
    Wrong(String),
}

/// A conversation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Exchange {
    /// Nothing has been said.
    #[default]
    New,
    /// The challenge with this nonce has been sent.
    Challenged(String),
    /// It is over.
    Over,
}

/// What the server says next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// The challenge: more is to come.
    Challenge(Vec<u8>),
    /// The last word: the client is this user.
    Welcome {
        /// Who.
        user: String,
        /// What shows the client that the server knows the password.
        token: Vec<u8>,
    },
}

impl Exchange {
    /// The client has said this. `nonce` is for a challenge, if there is to be one: never given twice, and not to be guessed.
    pub fn hear(
        &mut self,
        token: &[u8],
        nonce: impl FnOnce() -> String,
        users: &Users,
    ) -> Result<Said, Failure> {
        match std::mem::replace(self, Exchange::Over) {
            Exchange::New if token.is_empty() => {
                let nonce = nonce();
                let challenge = format!(
                    "realm=\"{REALM}\",nonce=\"{nonce}\",qop=\"auth\",charset=utf-8,algorithm=md5-sess"
                );
                *self = Exchange::Challenged(nonce);
                Ok(Said::Challenge(challenge.into_bytes()))
            }
            Exchange::Challenged(nonce) if !token.is_empty() => judge(token, &nonce, users),
            _ => Err(Failure::OutOfTurn),
        }
    }
}

fn judge(token: &[u8], nonce: &str, users: &Users) -> Result<Said, Failure> {
    if token.len() > LONGEST {
        return Err(Failure::Garbage);
    }
    let answer = Directives::parse(token)?;
    let utf8 = answer.get("charset")?.is_some();
    let expected = [
        ("realm", REALM),
        ("nonce", nonce),
        ("nc", "00000001"),
        ("qop", "auth"),
        ("charset", "utf-8"),
    ];
    for (name, value) in expected {
        match answer.get(name)? {
            Some(found) if found.eq_ignore_ascii_case(value.as_bytes()) => {}
            // Who leaves them out means these.
            None if matches!(name, "qop" | "charset") => {}
            _ => return Err(Failure::Directive(name)),
        }
    }
    let uri = answer.need("digest-uri")?;
    if !uri.eq_ignore_ascii_case(format!("{SERVICE}/{REALM}").as_bytes()) {
        return Err(Failure::Directive("digest-uri"));
    }
    let (username, cnonce) = (answer.need("username")?, answer.need("cnonce")?);
    let user = match utf8 {
        true => String::from_utf8(username.to_vec()).map_err(|_| Failure::Directive("username"))?,
        false => username.iter().map(|byte| char::from(*byte)).collect(),
    };
    let Some(password) = users.0.get(&user) else {
        return Err(Failure::NoUser(user));
    };
    let proof = Proof {
        username: latin1(&user),
        realm: REALM.as_bytes(),
        password: latin1(password),
        nonce: nonce.as_bytes(),
        cnonce,
        authzid: answer.get("authzid")?,
        uri,
    };
    let shown = answer.need("response")?;
    if !same(shown, proof.response("AUTHENTICATE").as_bytes()) {
        return Err(Failure::Wrong(user));
    }
    let token = format!("rspauth={}", proof.response("")).into_bytes();
    Ok(Said::Welcome { user, token })
}

/// As the RFC wants names and passwords hashed: in ISO 8859-1 where that can say it, else in UTF-8.
fn latin1(text: &str) -> Vec<u8> {
    let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(c).ok()).collect();
    bytes.unwrap_or_else(|| text.as_bytes().to_vec())
}

/// In a time that does not depend on where they differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    let differ = a.iter().zip(b).fold(0, |differ, (a, b)| differ | (a ^ b));
    a.len() == b.len() && differ == 0
}

/// What both sides' last words are made from (RFC 2831, section 2.1.2.1).
struct Proof<'a> {
    username: Vec<u8>,
    realm: &'a [u8],
    password: Vec<u8>,
    nonce: &'a [u8],
    cnonce: &'a [u8],
    authzid: Option<&'a [u8]>,
    uri: &'a [u8],
}

impl Proof<'_> {
    /// `method` is `AUTHENTICATE` for the client's, and nothing for the server's.
    fn response(&self, method: &str) -> String {
        let secret = hash(&[&self.username, self.realm, &self.password]);
        let mut a1: Vec<&[u8]> = vec![&secret, self.nonce, self.cnonce];
        a1.extend(self.authzid);
        let (a1, a2) = (hex(&hash(&a1)), hex(&hash(&[method.as_bytes(), self.uri])));
        let parts: [&[u8]; 6] = [
            a1.as_bytes(),
            self.nonce,
            b"00000001",
            self.cnonce,
            b"auth",
            a2.as_bytes(),
        ];
        hex(&hash(&parts))
    }
}

/// Of the parts with colons between them.
fn hash(parts: &[&[u8]]) -> [u8; 16] {
    Md5::digest(parts.join(&b':')).into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `name=value,name="value",…`
struct Directives(Vec<(String, Vec<u8>)>);

impl Directives {
    fn parse(mut rest: &[u8]) -> Result<Directives, Failure> {
        let mut all = Vec::new();
        loop {
            rest = rest.trim_ascii_start();
            let Some(equals) = rest.iter().position(|byte| *byte == b'=') else {
                return match rest {
                    b"" => Ok(Directives(all)),
                    _ => Err(Failure::Garbage),
                };
            };
            let name = std::str::from_utf8(rest[..equals].trim_ascii())
                .map_err(|_| Failure::Garbage)?
                .to_ascii_lowercase();
            let (value, after) = value(rest[equals + 1..].trim_ascii_start())?;
            all.push((name, value));
            rest = match after.trim_ascii_start() {
                [b',', after @ ..] => after,
                b"" => b"",
                _ => return Err(Failure::Garbage),
            };
        }
    }

    /// The value of a directive that may come once.
    fn get(&self, name: &'static str) -> Result<Option<&[u8]>, Failure> {
        let mut found = self.0.iter().filter(|(known, _)| known == name);
        match (found.next(), found.next()) {
            (first, None) => Ok(first.map(|(_, value)| value.as_slice())),
            _ => Err(Failure::Directive(name)),
        }
    }

    fn need(&self, name: &'static str) -> Result<&[u8], Failure> {
        self.get(name)?.ok_or(Failure::Directive(name))
    }
}

/// The value at the front, and what follows.
fn value(text: &[u8]) -> Result<(Vec<u8>, &[u8]), Failure> {
    let Some(quoted) = text.strip_prefix(b"\"") else {
        let end = text.iter().position(|byte| *byte == b',');
        let (value, rest) = text.split_at(end.unwrap_or(text.len()));
        return Ok((value.trim_ascii_end().to_vec(), rest));
    };
    let (mut value, mut escaped) = (Vec::new(), false);
    for (n, byte) in quoted.iter().enumerate() {
        match byte {
            _ if escaped => {
                value.push(*byte);
                escaped = false;
            }
            b'\\' => escaped = true,
            b'"' => return Ok((value, &quoted[n + 1..])),
            _ => value.push(*byte),
        }
    }
    Err(Failure::Garbage)
}

#[cfg(test)]
mod tests;
