//! The mechanism against the RFC's own example, and against what a client could get wrong.

use super::*;

fn users() -> Users {
    let users = [("bob", "secret"), ("zoë", "pässword"), ("界", "世")];
    Users(
        users
            .map(|(name, password)| (name.to_owned(), password.to_owned()))
            .into(),
    )
}

/// A conversation that has been challenged with `abc`.
fn challenged() -> Exchange {
    let mut exchange = Exchange::default();
    let said = exchange.hear(b"", || "abc".into(), &users()).unwrap();
    let Said::Challenge(challenge) = said else {
        panic!("{said:?}");
    };
    assert_eq!(
        String::from_utf8(challenge).unwrap(),
        "realm=\"zk-sasl-md5\",nonce=\"abc\",qop=\"auth\",charset=utf-8,algorithm=md5-sess"
    );
    exchange
}

/// What a client that knows the password answers.
fn answer(name: &str, password: &str) -> String {
    let proof = Proof {
        username: latin1(name),
        realm: REALM.as_bytes(),
        password: latin1(password),
        nonce: b"abc",
        cnonce: b"xyz",
        authzid: None,
        uri: b"zookeeper/zk-sasl-md5",
    };
    format!(
        "charset=utf-8,username=\"{name}\",realm=\"zk-sasl-md5\",nonce=\"abc\",nc=00000001,cnonce=\"xyz\",\
         digest-uri=\"zookeeper/zk-sasl-md5\",maxbuf=65536,response={},qop=auth",
        proof.response("AUTHENTICATE")
    )
}

fn hear(token: &str) -> Result<Said, Failure> {
    challenged().hear(token.as_bytes(), String::new, &users())
}

#[test]
fn the_example_of_rfc_2831_comes_out() {
    let proof = Proof {
        username: b"chris".to_vec(),
        realm: b"elwood.innosoft.com",
        password: b"secret".to_vec(),
        nonce: b"OA6MG9tEQGm2hh",
        cnonce: b"OA6MHXh6VqTrRk",
        authzid: None,
        uri: b"imap/elwood.innosoft.com",
    };
    assert_eq!(
        proof.response("AUTHENTICATE"),
        "d388dad90d4bbd760a152321f2143af7"
    );
    assert_eq!(proof.response(""), "ea40f60335c427b5527b84dbabcdfffd");
}

#[test]
fn who_knows_the_password_is_welcome_and_is_shown_that_the_server_knows_it_too() {
    for (name, password) in [("bob", "secret"), ("zoë", "pässword"), ("界", "世")] {
        let Said::Welcome { user, token } = hear(&answer(name, password)).unwrap() else {
            panic!("no welcome for {name}");
        };
        assert_eq!(user, name);
        assert!(token.starts_with(b"rspauth=") && token.len() == 40);
    }
    let spaced = answer("bob", "secret")
        .replace(',', " , ")
        .replace("nc=", "NC = ");
    assert!(hear(&spaced).is_ok(), "white space and case say nothing");
}

#[test]
fn who_does_not_is_not() {
    let good = answer("bob", "secret");
    assert_eq!(
        hear(&answer("bob", "guess")),
        Err(Failure::Wrong("bob".into()))
    );
    assert_eq!(
        hear(&answer("eve", "secret")),
        Err(Failure::NoUser("eve".into()))
    );
    for (part, other, problem) in [
        (
            "nonce=\"abc\"",
            "nonce=\"abd\"",
            Failure::Directive("nonce"),
        ),
        ("nc=00000001", "nc=00000002", Failure::Directive("nc")),
        ("qop=auth", "qop=auth-conf", Failure::Directive("qop")),
        ("realm=\"zk-sasl-md5\",", "", Failure::Directive("realm")),
        ("zookeeper/", "imap/", Failure::Directive("digest-uri")),
        ("cnonce=\"xyz\",", "", Failure::Directive("cnonce")),
        ("nc=", "nonce=\"abc\",nc=", Failure::Directive("nonce")),
        ("username=\"bob\"", "username=\"bob", Failure::Garbage),
        ("maxbuf=65536", "maxbuf", Failure::Garbage),
        ("cnonce=\"xyz\"", "cnonce=\"xyz", Failure::Garbage),
        (
            "cnonce=\"xyz\"",
            "cnonce=\"xyw\"",
            Failure::Wrong("bob".into()),
        ),
        ("nc=", "authzid=\"super\",nc=", Failure::Wrong("bob".into())),
    ] {
        let bad = good.replace(part, other);
        assert_ne!(bad, good, "{part}");
        let found = hear(&bad);
        match problem {
            // What is broken is not always noticed at the same place.
            Failure::Garbage => assert!(found.is_err(), "{other}"),
            problem => assert_eq!(found, Err(problem), "{other}"),
        }
    }
    let long = format!("{good},x=\"{}\"", "x".repeat(LONGEST));
    assert_eq!(hear(&long), Err(Failure::Garbage));
}

#[test]
fn tokens_have_their_turn() {
    let (users, nonce) = (users(), || "n".to_owned());
    assert_eq!(
        Exchange::default().hear(b"x", nonce, &users),
        Err(Failure::OutOfTurn)
    );
    let mut exchange = challenged();
    assert_eq!(exchange.hear(b"", nonce, &users), Err(Failure::OutOfTurn));
    let good = answer("bob", "secret");
    assert_eq!(
        exchange.hear(good.as_bytes(), nonce, &users),
        Err(Failure::OutOfTurn),
        "a nonce is good for one answer"
    );
}

#[test]
fn passwords_are_not_printed() {
    assert_eq!(format!("{:?}", users()), r#"{"bob", "zoë", "界"}"#);
}
