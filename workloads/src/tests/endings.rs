//! The rows of the outcome table that a network can bring about, brought about.

use super::fake::{Fake, HANDSHAKE, Misbehaviour};
use crate::options::{Reads, Server};
use crate::outcome::Ending;
use crate::steps::carry_out;
use crate::wire::frame::FrameLimits;
use crate::wire::request::op;
use crate::wire::{
    ConnectOptions, Connection, ErrorCode, Request, Sent, Session, SessionId, Trouble, Zxid,
};
use crate::workload::Action;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::Instant;

const OPTIONS: ConnectOptions = ConnectOptions {
    session_timeout: Duration::from_secs(4),
    connect_timeout: Duration::from_millis(300),
    limits: FrameLimits {
        incoming: 1 << 20,
        outgoing: 1 << 20,
    },
};

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

async fn connect(server: &Server) -> Connection {
    Connection::open(server, None, &OPTIONS).await.unwrap()
}

async fn connect_ending(server: &Server, resume: Option<&Session>) -> Ending {
    Ending::from(
        &Connection::open(server, resume, &OPTIONS)
            .await
            .unwrap_err(),
    )
}

fn write() -> Action {
    Action::Set {
        path: "/".into(),
        data: b"1".to_vec(),
        version: None,
    }
}

fn read(mode: Reads) -> Action {
    Action::Read {
        path: "/".into(),
        mode,
    }
}

/// How an action ends at a server of which this was ordered.
async fn ending(orders: &[(i32, Misbehaviour)], action: &Action, deadline: Instant) -> Ending {
    let fake = Fake::start().await;
    for (op, what) in orders {
        fake.order(*op, *what);
    }
    let mut connection = connect(&fake.server).await;
    match carry_out(&mut connection, action, deadline).await {
        Ok(_) => Ending::Answered,
        Err(no_answer) => no_answer.ending,
    }
}

#[tokio::test]
async fn an_answer_is_an_answer_and_an_error_is_its_code() {
    assert_eq!(ending(&[], &write(), soon()).await, Ending::Answered);
    for code in ErrorCode::KNOWN {
        let order = (op::SET_DATA, Misbehaviour::Code(code.number()));
        assert_eq!(
            ending(&[order], &write(), soon()).await,
            Ending::Error(*code)
        );
    }
}

#[tokio::test]
async fn a_connection_that_is_lost_after_the_request_left_may_have_done_it() {
    let order = (op::SET_DATA, Misbehaviour::Close);
    assert_eq!(
        ending(&[order], &write(), soon()).await,
        Ending::Lost(Sent::Perhaps)
    );
}

#[tokio::test]
async fn silence_ends_at_the_deadline() {
    let order = (op::SET_DATA, Misbehaviour::Silence);
    let deadline = Instant::now() + Duration::from_millis(100);
    assert_eq!(
        ending(&[order], &write(), deadline).await,
        Ending::TimedOut(Sent::Perhaps)
    );
}

#[tokio::test]
async fn garbage_endless_frames_and_replies_out_of_order_are_garbled() {
    for what in [
        Misbehaviour::Garbage,
        Misbehaviour::EndlessFrame,
        Misbehaviour::OtherXid,
    ] {
        let order = (op::SET_DATA, what);
        assert_eq!(
            ending(&[order], &write(), soon()).await,
            Ending::Garbled(Sent::Perhaps)
        );
    }
}

#[tokio::test]
async fn a_connection_that_was_closed_before_is_noticed_before_anything_is_sent() {
    let fake = Fake::start().await;
    fake.order(op::GET_DATA, Misbehaviour::AnswerAndClose);
    let mut connection = connect(&fake.server).await;
    carry_out(&mut connection, &read(Reads::Local), soon())
        .await
        .unwrap();
    // The close is noticed while idle, or at the latest by the look before sending.
    let noticed = connection.idle(soon()).await.unwrap_err();
    assert_eq!(Ending::from(&noticed), Ending::Lost(Sent::Nothing));
    let no_answer = carry_out(&mut connection, &write(), soon())
        .await
        .unwrap_err();
    assert_eq!(no_answer.ending, Ending::Lost(Sent::Nothing));
    assert!(!fake.state().asked.contains(&op::SET_DATA));
}

#[tokio::test]
async fn a_server_that_reads_nothing_holds_a_request_back_until_the_deadline() {
    let fake = Fake::start().await;
    fake.order(op::SET_DATA, Misbehaviour::Silence);
    let mut connection = connect(&fake.server).await;
    let request = Request::SetData {
        path: "/".into(),
        data: vec![0; 1 << 19],
        version: -1,
    };
    let mut error = None;
    for _ in 0..200 {
        let deadline = Instant::now() + Duration::from_millis(200);
        if let Err(stuck) = connection.send(&request, deadline).await {
            error = Some(stuck);
            break;
        }
    }
    let error = error.expect("no kernel buffers 100 MiB");
    assert!(matches!(error.trouble, Trouble::TimedOut));
    assert!(connection.is_spent());
}

#[tokio::test]
async fn a_request_that_no_server_would_accept_is_not_sent() {
    let action = Action::Set {
        path: "/".into(),
        data: vec![0; 2 << 20],
        version: None,
    };
    assert_eq!(ending(&[], &action, soon()).await, Ending::TooLong);
}

#[tokio::test]
async fn a_read_whose_fence_or_sync_failed_was_never_sent() {
    for (mode, op) in [(Reads::Fenced, op::MULTI), (Reads::Sync, op::SYNC)] {
        for what in [
            Misbehaviour::Close,
            Misbehaviour::Code(-101),
            Misbehaviour::Garbage,
        ] {
            assert_eq!(
                ending(&[(op, what)], &read(mode), soon()).await,
                Ending::StepBefore
            );
        }
    }
    // The fence's znode does not exist at this server: the multi itself fails.
    assert_eq!(
        ending(&[], &read(Reads::Fenced), soon()).await,
        Ending::StepBefore
    );
}

#[tokio::test]
async fn a_create_whose_parent_failed_was_never_sent() {
    let action = Action::Create {
        parent: Some("/p".into()),
        path: "/p/e".into(),
        data: vec![],
    };
    assert_eq!(ending(&[], &action, soon()).await, Ending::Answered);
    let lost = (op::CREATE2, Misbehaviour::Close);
    assert_eq!(ending(&[lost], &action, soon()).await, Ending::StepBefore);
    let exists = (op::CREATE2, Misbehaviour::Code(-110));
    // The parent "exists", and the create itself then finds that it does not.
    assert_eq!(
        ending(&[exists], &action, soon()).await,
        Ending::Error(ErrorCode::NoNode)
    );
}

#[tokio::test]
async fn every_way_not_to_connect_has_its_ending() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = Server {
        name: "n1".into(),
        address: listener.local_addr().unwrap(),
    };
    assert_eq!(connect_ending(&silent, None).await, Ending::ConnectTimedOut);
    drop(listener);
    assert_eq!(connect_ending(&silent, None).await, Ending::ConnectRefused);

    let fake = Fake::start().await;
    fake.order(HANDSHAKE, Misbehaviour::Close);
    assert_eq!(
        connect_ending(&fake.server, None).await,
        Ending::ConnectLost
    );
    for what in [Misbehaviour::Garbage, Misbehaviour::EndlessFrame] {
        fake.order(HANDSHAKE, what);
        assert_eq!(
            connect_ending(&fake.server, None).await,
            Ending::ConnectGarbled
        );
    }
    let gone = Session {
        id: SessionId(7),
        password: vec![0; 16],
        timeout: Duration::from_secs(4),
        last_zxid: Zxid(0),
    };
    assert_eq!(
        connect_ending(&fake.server, Some(&gone)).await,
        Ending::SessionExpired
    );
}

#[tokio::test]
async fn an_idle_connection_pings_and_notices_silence() {
    let fake = Fake::start().await;
    let quick = ConnectOptions {
        session_timeout: Duration::from_millis(300),
        ..OPTIONS
    };
    let mut connection = Connection::open(&fake.server, None, &quick).await.unwrap();
    connection
        .idle(Instant::now() + Duration::from_millis(1000))
        .await
        .unwrap();
    let pings = fake
        .state()
        .asked
        .iter()
        .filter(|asked| **asked == op::PING)
        .count();
    assert!(
        pings >= 5,
        "{pings} pings in ten thirds of a session's time-out"
    );
    fake.order(op::PING, Misbehaviour::Silence);
    let error = connection.idle(soon()).await.unwrap_err();
    assert!(matches!(error.trouble, Trouble::TimedOut));
}

#[tokio::test]
async fn a_session_is_taken_along_to_another_connection() {
    let fake = Fake::start().await;
    let mut connection = connect(&fake.server).await;
    carry_out(&mut connection, &write(), soon()).await.unwrap();
    let session = connection.session().clone();
    assert!(session.last_zxid > Zxid(0));
    drop(connection);
    let again = Connection::open(&fake.server, Some(&session), &OPTIONS)
        .await
        .unwrap();
    assert_eq!(again.session(), &session);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let fake = Fake::start().await;
    let mut connection = connect(&fake.server).await;
    let mut xids = Vec::new();
    for _ in 0..100 {
        let request = Request::GetData { path: "/".into() };
        xids.push(connection.send(&request, soon()).await.unwrap());
    }
    for xid in xids {
        assert_eq!(connection.receive(soon()).await.unwrap().xid, xid);
    }
}
