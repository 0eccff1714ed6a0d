//! One operation from its invocation's line to its completion's.

use crate::failure::HarnessFailure;
use crate::outcome::{Class, Ending, sort};
use crate::record::Record;
use crate::steps::{NoAnswer, carry_out};
use crate::wire::{Connection, Zxid};
use crate::workload::{Lesson, Operation, Seen, Workload};
use keelhaul_checkers::{Kind, Process};
use serde_json::{Map, Value, json};
use std::time::Duration;
use tokio::time::Instant;

/// How a recorded operation ended.
#[derive(Debug)]
pub(crate) struct Performed {
    /// How.
    pub ending: Ending,
    /// What that says.
    pub class: Class,
    /// What was seen, if it was answered.
    pub seen: Option<Seen>,
    /// From just before the invocation's line to the answer.
    pub latency: Duration,
}

impl Performed {
    /// What a generator learns from it.
    pub(crate) fn lesson(&self) -> Lesson<'_> {
        match (&self.seen, self.ending, self.class) {
            (Some(seen), ..) => Lesson::Seen(seen),
            (None, Ending::Error(code), Class::OkError) => Lesson::Error(code),
            (None, _, Class::Fail) => Lesson::Failed,
            (None, ..) => Lesson::Indeterminate,
        }
    }

    /// Whether the server answered, so that the connection can be used further.
    pub(crate) fn answered(&self) -> bool {
        matches!(self.class, Class::Ok | Class::OkError)
    }
}

/// Who performs, and where it is recorded.
pub(crate) struct Performer<'a> {
    /// The client process.
    pub process: u64,
    /// What interprets the answers.
    pub workload: &'a dyn Workload,
    /// Where the lines go.
    pub record: &'a dyn Record,
}

impl Performer<'_> {
    /// Records the invocation, carries the operation out, and records its completion.
    ///
    /// # Errors
    /// The harness's own failure; the operation is recorded as indeterminate then.
    pub(crate) async fn perform(
        &self,
        connection: &mut Connection,
        operation: &Operation,
    ) -> Result<Performed, HarnessFailure> {
        let began = Instant::now();
        let deadline = began + self.workload.options().operation_timeout();
        self.line(
            Kind::Invoke,
            operation,
            operation.value.clone(),
            operation.extra.clone(),
        );
        let answer = carry_out(connection, &operation.action, deadline).await;
        let result = answer.and_then(|(zxid, answer)| {
            let seen = self
                .workload
                .seen(operation, &answer)
                .map_err(NoAnswer::garbled)?;
            Ok((zxid, seen))
        });
        let latency = began.elapsed();
        match result {
            Ok((zxid, seen)) => {
                let fields = ok_fields(connection, operation, zxid, seen.fields.clone());
                self.line(Kind::Ok, operation, seen.value.clone(), fields);
                let ending = Ending::Answered;
                Ok(Performed {
                    ending,
                    class: Class::Ok,
                    seen: Some(seen),
                    latency,
                })
            }
            Err(no_answer) => self.unanswered(connection, operation, no_answer, latency),
        }
    }

    fn unanswered(
        &self,
        connection: &Connection,
        operation: &Operation,
        no_answer: NoAnswer,
        latency: Duration,
    ) -> Result<Performed, HarnessFailure> {
        let ending = no_answer.ending;
        let class = sort(ending, operation.action.effect());
        let mut fields = Map::new();
        fields.insert("error".into(), json!(ending.to_string()));
        let kind = match class {
            Class::Ok | Class::OkError => Kind::Ok,
            Class::Fail => Kind::Fail,
            Class::Info | Class::Harness => Kind::Info,
        };
        let mut fields = match (kind, no_answer.zxid) {
            (Kind::Ok, Some(zxid)) => ok_fields(connection, operation, zxid, fields),
            _ => unanswered_fields(connection, operation, fields),
        };
        if kind != Kind::Ok {
            fields.insert("detail".into(), json!(no_answer.detail));
        }
        self.line(kind, operation, operation.value.clone(), fields);
        match no_answer.failure {
            Some(failure) => Err(*failure),
            None => Ok(Performed {
                ending,
                class,
                seen: None,
                latency,
            }),
        }
    }

    fn line(&self, kind: Kind, operation: &Operation, value: Value, extra: Map<String, Value>) {
        let process = Process::Client(self.process);
        let key = operation.key.to_string();
        self.record
            .record(process, kind, operation.f, Some(&key), value, extra);
    }
}

/// Where the answer came from, what it carried, and what was asked.
fn ok_fields(
    connection: &Connection,
    operation: &Operation,
    zxid: Zxid,
    seen: Map<String, Value>,
) -> Map<String, Value> {
    let mut fields = unanswered_fields(connection, operation, Map::new());
    fields.insert("zxid".into(), json!(zxid));
    fields.extend(seen);
    fields
}

fn unanswered_fields(
    connection: &Connection,
    operation: &Operation,
    more: Map<String, Value>,
) -> Map<String, Value> {
    let mut fields = operation.extra.clone();
    fields.insert("server".into(), json!(connection.server().name));
    fields.insert("session".into(), json!(connection.session().id.to_string()));
    fields.extend(more);
    fields
}
