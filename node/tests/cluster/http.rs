//! As much of HTTP as the tests need.

use crate::process::LIMIT;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) kind: String,
    pub(crate) body: String,
}

/// Sends these bytes, and reads until the other side closes.
pub(crate) fn exchange(address: SocketAddr, bytes: &[u8]) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(bytes).ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let kind = head
        .lines()
        .find_map(|line| line.strip_prefix("content-type: "));
    Some(Answer {
        status,
        kind: kind.unwrap_or_default().to_owned(),
        body: body.to_owned(),
    })
}

pub(crate) fn request(address: SocketAddr, method: &str, path: &str) -> Answer {
    let head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    exchange(address, head.as_bytes()).expect("the admin server answers")
}

pub(crate) fn get(address: SocketAddr, path: &str) -> Answer {
    request(address, "GET", path)
}

/// A command's answer.
pub(crate) fn command(address: SocketAddr, name: &str) -> Value {
    let answer = get(address, &format!("/commands/{name}"));
    assert_eq!(
        (answer.status, answer.kind.as_str()),
        (200, "application/json"),
        "{name}"
    );
    serde_json::from_str(&answer.body).unwrap()
}
