//! What a certificate says of its owner: the subject as text, and the hosts that it is for.
//!
//! The text is ZooKeeper's id in the scheme `x509`: Java's `X500Principal.getName()`, which is RFC 2253 with Java's few keywords.

use crate::config::Member;
use std::fmt::Write;
use std::net::IpAddr;
use tokio_rustls::rustls::client::verify_server_name;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::server::ParsedCertificate;
use x509_cert::Certificate;
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::der::asn1::{
    BmpString, Ia5StringRef, PrintableStringRef, TeletexStringRef, Utf8StringRef,
};
use x509_cert::der::{Decode, Encode, Tag, Tagged};

/// The attributes that Java names in RFC 2253's form; all others are numbers.
const KEYWORDS: [(&str, &str); 9] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
];

/// The certificate's subject; `None` if the certificate cannot be read.
pub fn subject(certificate: &CertificateDer<'_>) -> Option<String> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let mut parts = Vec::new();
    for relative in certificate.tbs_certificate().subject().iter_rdn() {
        let values: Option<Vec<String>> = relative.iter().map(attribute).collect();
        parts.push(values?.join("+"));
    }
    parts.reverse();
    Some(parts.join(","))
}

fn attribute(attribute: &AttributeTypeAndValue) -> Option<String> {
    let oid = attribute.oid.to_string();
    let keyword = KEYWORDS.iter().find(|(known, _)| *known == oid);
    if let (Some((_, keyword)), Some(text)) = (keyword, text(attribute)) {
        return Some(format!("{keyword}={}", escaped(&text)));
    }
    let mut hex = format!("{oid}=#");
    for byte in attribute.value.to_der().ok()? {
        write!(hex, "{byte:02x}").expect("a String takes everything");
    }
    Some(hex)
}

fn text(attribute: &AttributeTypeAndValue) -> Option<String> {
    let value = &attribute.value;
    match value.tag() {
        Tag::PrintableString => Some(PrintableStringRef::try_from(value).ok()?.to_string()),
        Tag::Utf8String => Some(Utf8StringRef::try_from(value).ok()?.to_string()),
        Tag::Ia5String => Some(Ia5StringRef::try_from(value).ok()?.to_string()),
        Tag::TeletexString => Some(TeletexStringRef::try_from(value).ok()?.to_string()),
        Tag::BmpString => Some(
            BmpString::from_ucs2(value.value().to_vec())
                .ok()?
                .to_string(),
        ),
        _ => None,
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (first, last) = (0, text.chars().count().saturating_sub(1));
    for (n, c) in text.chars().enumerate() {
        match c {
            ' ' if n == first || n == last => out.push_str("\\ "),
            ',' | '=' | '+' | '<' | '>' | '#' | ';' | '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '\0' => out.push_str("\\00"),
            c => out.push(c),
        }
    }
    out
}

/// Whether the certificate is for this member: for the host of its address, or for the one that the configuration has for its certificate.
/// A member that is not known yet must have a certificate for the address that it connects from.
pub fn is_of(
    certificate: &CertificateDer<'_>,
    host: Option<&str>,
    member: Option<&Member>,
    from: IpAddr,
) -> bool {
    let Ok(parsed) = ParsedCertificate::try_from(certificate) else {
        return false;
    };
    let is_for = |name: ServerName<'_>| verify_server_name(&parsed, &name).is_ok();
    let by_host = |host: &str| ServerName::try_from(host).is_ok_and(is_for);
    let by_number = |ip: IpAddr| is_for(ServerName::IpAddress(ip.to_canonical().into()));
    let by_address = match member.map(|member| &member.peer_address) {
        Some(address) => match address.ip() {
            Some(ip) => by_number(ip),
            None => by_host(address.host()),
        },
        None => by_number(from),
    };
    by_address || host.is_some_and(by_host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Role;
    use crate::zab::NodeId;
    use rcgen::{CertificateParams, DnType, DnValue, KeyPair};

    fn certificate(names: &[&str], subject: &[(DnType, DnValue)]) -> CertificateDer<'static> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, value) in subject {
            params.distinguished_name.push(kind.clone(), value.clone());
        }
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().clone()
    }

    fn utf8(text: &str) -> DnValue {
        DnValue::Utf8String(text.into())
    }

    #[test]
    fn a_subject_reads_as_java_writes_it() {
        let of = |parts: &[(DnType, DnValue)]| subject(&certificate(&[], parts)).unwrap();
        let country = DnValue::PrintableString("DE".try_into().unwrap());
        assert_eq!(
            of(&[
                (DnType::CountryName, country),
                (DnType::OrganizationName, utf8("Example, Inc.")),
                (DnType::CommonName, utf8("client 1")),
            ]),
            "CN=client 1,O=Example\\, Inc.,C=DE"
        );
        assert_eq!(
            of(&[(DnType::CommonName, utf8(" a=b\\c "))]),
            "CN=\\ a\\=b\\\\c\\ "
        );
        let mail = DnType::CustomDnType(vec![1, 2, 840, 113549, 1, 9, 1]);
        let mail = (mail, DnValue::Ia5String("a@b".try_into().unwrap()));
        assert_eq!(of(&[mail]), "1.2.840.113549.1.9.1=#1603614062");
        assert_eq!(of(&[]), "");
        assert_eq!(subject(&CertificateDer::from(vec![1, 2, 3])), None);
    }

    #[test]
    fn a_certificate_is_of_whom_it_names() {
        let member = Member {
            id: NodeId(1),
            peer_address: "10.0.0.1:2888".parse().unwrap(),
            election_port: None,
            client_address: None,
            role: Role::Voter,
        };
        let named = Member {
            peer_address: "n1.example:2888".parse().unwrap(),
            ..member.clone()
        };
        let (from, known) = ("10.9.9.9".parse().unwrap(), Some(&member));
        let of = |names: &[&str], host, member| is_of(&certificate(names, &[]), host, member, from);
        assert!(of(&["10.0.0.1"], None, known));
        assert!(of(&["n1.example"], Some("n1.example"), known));
        assert!(of(&["n1.example"], None, Some(&named)));
        assert!(!of(&["n2.example"], None, Some(&named)));
        assert!(!of(&["n2.example"], Some("n1.example"), known));
        assert!(
            !of(&["10.9.9.9"], None, known),
            "where a member dials from says nothing"
        );
        assert!(
            of(&["10.9.9.9"], None, None),
            "but of a stranger it is all that is known"
        );
        assert!(!of(&["10.0.0.1"], None, None));
    }
}
