//! Appending without a group: single acknowledged records, and transactions of a named writer.

use std::sync::Arc;

use async_trait::async_trait;

use super::Running;
use super::core::{Job, Refusal, Request};
use crate::log::{AppendError, Appender, Outgoing, Position, Writer};

pub(super) struct EmbeddedAppender {
    pub log: Arc<Running>,
}

#[async_trait]
impl Appender for EmbeddedAppender {
    async fn append(&self, record: Outgoing) -> Result<Position, AppendError> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        // Who stopped waiting does not want the answer.
        let reply = Box::new(move |answer| drop(sender.send(answer)));
        self.log.core.submit(Job { request: Request::Append(Box::new(record)), reply });
        let none = || AppendError::Unknown("the committer ended without an answer".into());
        let positions = receiver.await.map_err(|_| none())?.map_err(append_error)?;
        positions.first().copied().ok_or_else(none)
    }
}

pub(super) struct EmbeddedWriter {
    log: Arc<Running>,
    name: String,
    epoch: u64,
}

impl EmbeddedWriter {
    /// Takes the name; whoever wrote under it is fenced.
    pub fn open(log: Arc<Running>, name: &str) -> Self {
        let mut state = log.core.state.lock();
        let epoch = state.next_epoch();
        state.writers.insert(name.to_owned(), epoch);
        drop(state);
        Self { log, name: name.to_owned(), epoch }
    }
}

impl Writer for EmbeddedWriter {
    fn write(&mut self, records: Vec<Outgoing>) -> Result<Vec<Position>, AppendError> {
        let request = Request::Write { name: self.name.clone(), epoch: self.epoch, records };
        self.log.core.ask(request).map_err(append_error)
    }

    /// One taking, one writer.
    fn term(&self) -> u64 {
        self.epoch
    }
}

fn append_error(refusal: Refusal) -> AppendError {
    match refusal {
        Refusal::Fenced => AppendError::Fenced,
        Refusal::Refused(why) | Refusal::Broken(why) => AppendError::NotTaken(why),
        // A failed store may yet have the bytes: after a restart they may be found.
        Refusal::StoreFailed(why) | Refusal::Unknown(why) => AppendError::Unknown(why),
    }
}
