//! Carries an operation out: its steps on the wire, and how it ended.

use crate::failure::HarnessFailure;
use crate::options::Reads;
use crate::outcome::Ending;
use crate::wire::{
    Answer, CallError, Connection, CreateMode, ErrorCode, Garbled, Part, PartAnswer, Reply,
    Request, Sent, Trouble, Zxid,
};
use crate::workload::{Action, FENCE};
use tokio::time::Instant;

/// Why an operation has no answer of its own.
#[derive(Debug)]
pub(crate) struct NoAnswer {
    /// How it ended.
    pub ending: Ending,
    /// The zxid of the server's error, where the server answered with one.
    pub zxid: Option<Zxid>,
    /// What happened, for a person.
    pub detail: String,
    /// The harness's own failure, if that was it.
    pub failure: Option<Box<HarnessFailure>>,
}

impl From<CallError> for NoAnswer {
    fn from(error: CallError) -> NoAnswer {
        let ending = Ending::from(&error);
        let detail = error.to_string();
        let failure = match error.trouble {
            Trouble::Harness(failure) => Some(Box::new(failure)),
            _ => None,
        };
        NoAnswer {
            ending,
            zxid: None,
            detail,
            failure,
        }
    }
}

impl NoAnswer {
    /// The answer came and makes no sense.
    pub(crate) fn garbled(what: &'static str) -> NoAnswer {
        CallError {
            trouble: Garbled::Unfitting(what).into(),
            sent: Sent::Perhaps,
        }
        .into()
    }

    /// The same trouble, met by a step before the operation itself: the operation was never sent. The harness's own
    /// failure stays what it is.
    fn in_step_before(mut self, step: &str) -> NoAnswer {
        if self.failure.is_none() {
            self.ending = Ending::StepBefore;
        }
        self.zxid = None;
        self.detail = format!("{step}: {}", self.detail);
        self
    }
}

/// Carries an action out, steps before it included, by the deadline; the answer to the action itself, and the zxid that
/// came with it.
pub(crate) async fn carry_out(
    connection: &mut Connection,
    action: &Action,
    deadline: Instant,
) -> Result<(Zxid, Answer), NoAnswer> {
    let request = match action {
        Action::Create { parent, path, data } => {
            if let Some(parent) = parent {
                make_parent(connection, parent, deadline)
                    .await
                    .map_err(|no_answer| no_answer.in_step_before("making the parent"))?;
            }
            create(path, data.clone())
        }
        Action::Set {
            path,
            data,
            version,
        } => Request::SetData {
            path: path.clone(),
            data: data.clone(),
            version: version.unwrap_or(crate::wire::request::ANY_VERSION),
        },
        Action::Read { path, mode } => {
            before_read(connection, path, *mode, deadline).await?;
            Request::GetData { path: path.clone() }
        }
        Action::List { path, mode } => {
            before_read(connection, path, *mode, deadline).await?;
            Request::GetChildren2 { path: path.clone() }
        }
    };
    let reply = connection.call(&request, deadline).await?;
    answered(reply)
}

/// A create of a persistent znode, answered by its Stat.
pub(crate) fn create(path: &str, data: Vec<u8>) -> Request {
    Request::Create2 {
        path: path.to_owned(),
        data,
        mode: CreateMode::Persistent,
    }
}

/// A write through the quorum that changes nothing: a multi with only a check.
pub(crate) async fn fence(connection: &mut Connection, deadline: Instant) -> Result<(), NoAnswer> {
    let check = Part::Check {
        path: FENCE.to_owned(),
        version: crate::wire::request::ANY_VERSION,
    };
    let reply = connection
        .call(&Request::Multi(vec![check]), deadline)
        .await?;
    let zxid = reply.zxid;
    match answered(reply)? {
        (_, Answer::Multi(parts)) => match parts[..] {
            [PartAnswer::Done] => Ok(()),
            [PartAnswer::Error(Some(code))] => Err(refused(code, zxid)),
            _ => Err(NoAnswer::garbled(
                "a multi of one check was answered by other parts",
            )),
        },
        _ => Err(NoAnswer::garbled("a multi was answered by something else")),
    }
}

async fn before_read(
    connection: &mut Connection,
    path: &str,
    mode: Reads,
    deadline: Instant,
) -> Result<(), NoAnswer> {
    match mode {
        Reads::Fenced => fence(connection, deadline)
            .await
            .map_err(|no_answer| no_answer.in_step_before("fence")),
        Reads::Sync => sync(connection, path, deadline)
            .await
            .map_err(|no_answer| no_answer.in_step_before("sync")),
        Reads::Local => Ok(()),
    }
}

async fn sync(connection: &mut Connection, path: &str, deadline: Instant) -> Result<(), NoAnswer> {
    let reply = connection
        .call(
            &Request::Sync {
                path: path.to_owned(),
            },
            deadline,
        )
        .await?;
    answered(reply).map(|_| ())
}

async fn make_parent(
    connection: &mut Connection,
    path: &str,
    deadline: Instant,
) -> Result<(), NoAnswer> {
    let reply = connection.call(&create(path, Vec::new()), deadline).await?;
    match reply.result {
        Ok(_) | Err(ErrorCode::NodeExists) => Ok(()),
        Err(code) => Err(refused(code, reply.zxid)),
    }
}

fn answered(reply: Reply) -> Result<(Zxid, Answer), NoAnswer> {
    match reply.result {
        Ok(answer) => Ok((reply.zxid, answer)),
        Err(code) => Err(refused(code, reply.zxid)),
    }
}

fn refused(code: ErrorCode, zxid: Zxid) -> NoAnswer {
    let detail = format!("the server answered {code}");
    NoAnswer {
        ending: Ending::Error(code),
        zxid: Some(zxid),
        detail,
        failure: None,
    }
}
