//! From a body to the answer: parse, encode or decode, write.

use bytes::Bytes;
use temporal_kms_codec::{Codec, Payload, PayloadExt as _};
use temporal_kms_codec_proto::json;

use super::{placeholder::placeholder, refusal::Refusal, route::Operation};
use crate::{
    config::{Limits, OnUndecodable},
    namespaces::Served,
};

/// Payloads that are decoded before the size of the answer is looked at again. As many as one codec works on at the
/// same time, so that nothing is lost by it.
const STEP: usize = 16;

/// What was done.
pub(super) struct Done {
    pub(super) answer: Bytes,
    pub(super) payloads: usize,
}

pub(super) struct Request<'r> {
    pub(super) operation: Operation,
    pub(super) served: &'r Served,
    pub(super) preserve_storage_refs: bool,
    pub(super) limits: &'r Limits,
}

impl Request<'_> {
    pub(super) async fn run(&self, body: Vec<u8>) -> Result<Done, Refusal> {
        let limits = json::Limits {
            max_payloads: self.limits.max_payloads,
        };
        let asked = json::parse_payloads(&body, &limits)?.payloads;
        drop(body);
        let payloads = asked.len();
        let answered = match self.operation {
            Operation::Encode => self.codec().encode(asked).await.map_err(Refusal::Encode)?,
            Operation::Decode => self.decode(asked).await?,
            Operation::Download => return Err(Refusal::NoDownload),
        };
        // A client takes payloads by their position: fewer of them would be others.
        if answered.len() != payloads {
            return Err(Refusal::Miscounted);
        }
        Ok(Done {
            answer: json::write_payloads(&answered).into(),
            payloads,
        })
    }

    async fn decode(&self, asked: Vec<Payload>) -> Result<Vec<Payload>, Refusal> {
        let mut answered = Vec::with_capacity(asked.len());
        let mut left = self.limits.max_answer;
        let mut asked = asked.into_iter();
        loop {
            let step: Vec<Payload> = asked.by_ref().take(STEP).collect();
            if step.is_empty() {
                return Ok(answered);
            }
            for payload in self.decode_step(step, answered.len()).await? {
                left = left
                    .checked_sub(size(&payload))
                    .ok_or(Refusal::AnswerTooLarge {
                        limit: self.limits.max_answer,
                    })?;
                answered.push(payload);
            }
        }
    }

    async fn decode_step(&self, step: Vec<Payload>, start: usize) -> Result<Vec<Payload>, Refusal> {
        // A reference is no ciphertext; where the caller asks for it back, policy has no say.
        let is_kept =
            |payload: &Payload| self.preserve_storage_refs && payload.is_storage_reference();
        let kept: Vec<Option<Payload>> = step
            .iter()
            .map(|payload| is_kept(payload).then(|| payload.clone()))
            .collect();
        let sealed = step
            .into_iter()
            .filter(|payload| !is_kept(payload))
            .collect();
        let mut decoded = self.codec().decode_each(sealed).await.into_iter();

        let mut payloads = Vec::with_capacity(kept.len());
        for (offset, kept) in kept.into_iter().enumerate() {
            payloads.extend(match kept {
                Some(reference) => Some(reference),
                None => match decoded.next() {
                    Some(Ok(payload)) => Some(payload),
                    Some(Err(error)) => Some(self.undecodable(start + offset, error)?),
                    None => None,
                },
            });
        }
        Ok(payloads)
    }

    /// A payload that may be readable in a moment is never answered by a text that looks like a value.
    fn undecodable(
        &self,
        index: usize,
        error: temporal_kms_codec::Error,
    ) -> Result<Payload, Refusal> {
        match self.served.on_undecodable {
            OnUndecodable::Placeholder if !error.is_transient() => {
                let namespace = self.codec().namespace().as_str();
                tracing::info!(namespace, index, %error, "a placeholder stands for a payload");
                Ok(placeholder(&error))
            }
            _ => Err(Refusal::Decode { index, error }),
        }
    }

    fn codec(&self) -> &Codec {
        &self.served.codec
    }
}

fn size(payload: &Payload) -> usize {
    let metadata: usize = payload
        .metadata
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum();
    payload.data.len() + metadata
}

#[cfg(test)]
mod tests;
