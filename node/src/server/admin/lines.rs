//! A body that never ends: lines as they are sent to all who listen.

use axum::body::{Bytes, HttpBody};
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::{Receiver, error::RecvError};

type Heard = (Result<Arc<str>, RecvError>, Receiver<Arc<str>>);

/// The lines from now on.
pub(super) struct Lines {
    next: Pin<Box<dyn Future<Output = Heard> + Send>>,
    _place: OwnedSemaphorePermit,
}

impl Lines {
    /// `place` is kept as long as somebody reads.
    pub(super) fn new(receiver: Receiver<Arc<str>>, place: OwnedSemaphorePermit) -> Lines {
        Lines {
            next: Box::pin(hear(receiver)),
            _place: place,
        }
    }
}

async fn hear(mut receiver: Receiver<Arc<str>>) -> Heard {
    let heard = receiver.recv().await;
    (heard, receiver)
}

impl HttpBody for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, Infallible>>> {
        let (heard, receiver) = ready!(self.next.as_mut().poll(context));
        let line = match heard {
            Ok(line) => format!("{line}\n"),
            Err(RecvError::Lagged(missed)) => format!("{{\"missed\":{missed}}}\n"),
            Err(RecvError::Closed) => return Poll::Ready(None),
        };
        self.next = Box::pin(hear(receiver));
        Poll::Ready(Some(Ok(hyper::body::Frame::data(line.into()))))
    }
}
