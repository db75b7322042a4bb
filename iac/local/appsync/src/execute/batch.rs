//! Gathers what sibling fields ask of one function into one invocation.
//!
//! Siblings are polled one after another in one task, so whoever comes first yields once and finds every other
//! sibling's payload waiting when it runs again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use futures::future::join_all;
use serde_json::value::RawValue;
use tokio::sync::oneshot;

use super::Executor;
use super::lambda::{self, Fault};

/// One field's step of one resolver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct BatchKey {
    pub(super) step: usize,
    /// The field's address in the document.
    pub(super) field: usize,
}

type Reply = Result<Box<RawValue>, Fault>;

/// The batches of one execution.
#[derive(Default)]
pub(super) struct Batches {
    waiting: Mutex<HashMap<BatchKey, Vec<Waiting>>>,
}

struct Waiting {
    payload: Box<RawValue>,
    reply: oneshot::Sender<Reply>,
}

impl Batches {
    /// Puts `payload` into the batch of `key` and waits for its own answer.
    pub(super) async fn call(
        &self,
        executor: &Executor,
        function: &str,
        key: BatchKey,
        max: usize,
        payload: Box<RawValue>,
    ) -> Reply {
        let (reply, answer) = oneshot::channel();
        let first = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let batch = waiting.entry(key).or_default();
            batch.push(Waiting { payload, reply });
            batch.len() == 1
        };
        if first {
            tokio::task::yield_now().await;
            let mut batch =
                self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&key).unwrap_or_default();
            let mut chunks = Vec::new();
            while !batch.is_empty() {
                let rest = batch.split_off(batch.len().min(max));
                chunks.push(std::mem::replace(&mut batch, rest));
            }
            join_all(chunks.into_iter().map(|chunk| send(executor, function, chunk))).await;
        }
        answer.await.unwrap_or_else(|_| Err(Fault::new("Lambda:Unknown", "The batch was not answered.")))
    }
}

async fn send(executor: &Executor, function: &str, chunk: Vec<Waiting>) {
    let (payloads, replies): (Vec<_>, Vec<_>) =
        chunk.into_iter().map(|waiting| (waiting.payload, waiting.reply)).unzip();
    let answers = match lambda::invoke(executor, function, &payloads).await {
        Ok(answer) => match serde_json::from_str::<Vec<Box<RawValue>>>(answer.get()) {
            Ok(answers) if answers.len() == replies.len() => Ok(answers),
            Ok(answers) => Err(Fault::new(
                "Lambda:IllegalArgument",
                format!("The function answered {} items to a batch of {}.", answers.len(), replies.len()),
            )),
            Err(_) => {
                Err(Fault::new("Lambda:IllegalArgument", "The function's answer to a batch is not a list."))
            }
        },
        Err(fault) => Err(fault),
    };
    // A receiver that is gone belongs to a request that is gone.
    match answers {
        Ok(answers) => {
            for (answer, reply) in answers.into_iter().zip(replies) {
                let _ = reply.send(Ok(answer));
            }
        }
        Err(fault) => {
            for reply in replies {
                let _ = reply.send(Err(fault.clone()));
            }
        }
    }
}
