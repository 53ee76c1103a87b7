//! What the payloads of one call may become by decompression, and when they let other tasks run.
//!
//! A payload of a few hundred bytes can take the time of sixteen megabytes and become nothing, or fail in the end. So bytes count
//! when they are made, before anything reads them. Where compressed data were compressed themselves, a few bytes can become
//! megabytes that take long and become nothing. So the bytes count by which such data become shorter. Honest data become longer.

use std::{mem, ops::Range};

use temporal_kms::support::SecretVec;
use tokio::{
    sync::{Mutex, MutexGuard, SemaphorePermit},
    task::yield_now,
};

use super::{STEP, turns::CompressionTurns};
use crate::{
    PayloadError,
    crypto::{
        bounded::{self, Decompressing, StepReport},
        compression,
        decompression::{self, Algorithm},
    },
    format::compressed::Compressed,
};

/// The work for a compressed byte, where that for a byte that is made of it is 1. A byte of deflate that becomes nothing, such
/// as one in the table of codes of an empty block, takes more than 100 ns.
const INPUT_WEIGHT: usize = 16;
/// How much a decoder reads before it makes something of it: zstd makes a block of 128 KiB at once.
const HELD_BACK: usize = 128 << 10;
/// The work for data that cannot be decompressed to their end.
const FAILURE: usize = 64 << 10;

/// The content of a payload in compressed form.
pub(super) struct CompressedContent {
    /// That of another codec. This one writes zstd.
    algorithm: Option<Algorithm>,
    buffer: SecretVec,
    /// Where it is in the buffer.
    place: Range<usize>,
}

impl CompressedContent {
    /// One frame of zstd, which is the content of an envelope version 2.
    pub(super) const fn frame(buffer: SecretVec, place: Range<usize>) -> Self {
        Self {
            algorithm: None,
            buffer,
            place,
        }
    }

    /// The compressed bytes.
    fn bytes(&self) -> &[u8] {
        self.buffer.get(self.place.clone()).unwrap_or_default()
    }

    /// The length that the content claims to become, if it tells one. What becomes more is malformed.
    fn told_len(&self) -> Option<usize> {
        match self.algorithm {
            Some(algorithm) => decompression::told_len(algorithm, self.bytes()),
            None => compression::told_len(self.bytes()),
        }
    }

    fn start(&self, limit: usize) -> Result<Decompressing<'_>, PayloadError> {
        match self.algorithm {
            Some(algorithm) => decompression::decompressing(algorithm, self.bytes(), limit),
            None => compression::decompressing(self.bytes(), limit),
        }
    }
}

impl From<Compressed> for CompressedContent {
    fn from(Compressed { algorithm, data }: Compressed) -> Self {
        Self {
            algorithm: Some(algorithm),
            place: 0..data.len(),
            buffer: data,
        }
    }
}

/// What the payloads of one call may become by decompression.
pub(super) struct Decompression {
    limit: usize,
    spent: Mutex<Spent>,
}

#[derive(Default)]
struct Spent {
    /// Of the limit.
    bytes: usize,
    /// Since other tasks ran last.
    work: usize,
    /// What was read of the last content that was compressed twice, and what was made of that.
    nested: (usize, usize),
    /// By how much all such content before it became shorter.
    lost_before: usize,
    /// How much of what was lost is counted.
    counted: usize,
}

impl Spent {
    /// Begins content that was compressed twice. What other content became does not make up for what it loses.
    fn begin_nested(&mut self) {
        let (read, made) = mem::take(&mut self.nested);
        let lost = read.saturating_sub(made);
        self.lost_before = self.lost_before.saturating_add(lost);
    }

    /// Counts a step of it.
    fn add_nested(&mut self, step: &StepReport) {
        let (read, made) = &mut self.nested;
        *read = read.saturating_add(step.read);
        *made = made.saturating_add(step.made);
        let lost = self.lost_before.saturating_add(read.saturating_sub(*made));
        let more = lost.saturating_sub(self.counted.saturating_add(HELD_BACK));
        self.counted = self.counted.saturating_add(more);
        let weight = more.saturating_mul(INPUT_WEIGHT);
        self.bytes = self.bytes.saturating_add(weight);
    }
}

impl Decompression {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            spent: Mutex::default(),
        }
    }

    pub(super) const fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Waits until no other payload of the call is being decompressed. All of them are work for one task. If they ran side by
    /// side, each would keep its memory while it lets others run, and where they exceed the limit, none might be decoded. A large
    /// payload takes one of `turns`, too: always after the lock, so that two payloads never wait for each other.
    pub(super) async fn turn<'d>(&'d self, turns: Option<&'d CompressionTurns>) -> Turn<'d> {
        Turn {
            limit: self.limit,
            spent: self.spent.lock().await,
            turns,
            permit: None,
        }
    }
}

/// The turn of one payload.
pub(super) struct Turn<'d> {
    limit: usize,
    spent: MutexGuard<'d, Spent>,
    turns: Option<&'d CompressionTurns>,
    /// Of a large payload.
    permit: Option<SemaphorePermit<'d>>,
}

impl Turn<'_> {
    /// Decompresses content to at most `max` bytes. `is_nested` tells that it was compressed itself.
    pub(super) async fn decompress(
        &mut self,
        content: &CompressedContent,
        max: usize,
        is_nested: bool,
    ) -> Result<SecretVec, PayloadError> {
        let left = self.limit.saturating_sub(self.spent.bytes);
        let told = content.told_len().unwrap_or_default();
        // It is too large for any call, and costs this one nothing.
        if told > max {
            return Err(bounded::too_large(max));
        }
        if left == 0 || told > left {
            return Err(self.exhausted());
        }
        let most = max.min(left);
        let mut decompressing = content.start(most)?;
        if is_nested {
            self.spent.begin_nested();
        }
        loop {
            let is_large = is_nested || decompressing.made() >= STEP;
            self.let_others_run(is_large).await;
            let step = decompressing.step();
            let work = step.read.saturating_mul(INPUT_WEIGHT);
            self.spent.bytes = self.spent.bytes.saturating_add(step.made);
            if is_nested {
                self.spent.add_nested(&step);
            }
            self.work(work.saturating_add(step.made));
            match step.is_last {
                Ok(true) => return Ok(decompressing.into_plain()),
                Ok(false) if self.spent.bytes > self.limit => return Err(self.exhausted()),
                Ok(false) => {}
                Err(error) => {
                    self.work(FAILURE);
                    let is_ours = matches!(error, PayloadError::TooLarge { .. }) && most < max;
                    return Err(if is_ours { self.exhausted() } else { error });
                }
            }
        }
    }

    /// Lets other tasks run, if enough work was done. A large payload waits for one of the turns of all calls before that.
    async fn let_others_run(&mut self, is_large: bool) {
        if self.spent.work < STEP {
            return;
        }
        if is_large {
            self.take_permit().await;
        }
        self.spent.work = 0;
        yield_now().await;
    }

    /// Waits for one of the turns of all calls, unless it has one.
    pub(super) async fn take_permit(&mut self) {
        if self.permit.is_none()
            && let Some(turns) = self.turns
        {
            self.permit = turns.decompressing().await;
        }
    }

    fn work(&mut self, work: usize) {
        self.spent.work = self.spent.work.saturating_add(work);
    }

    const fn exhausted(&self) -> PayloadError {
        PayloadError::TooLargeTogether { limit: self.limit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_layer_becomes_does_not_make_up_for_what_the_next_one_loses() {
        let mut spent = Spent::default();
        for (read, made) in [(20 << 10, 7 << 20), (7 << 20, 0)] {
            spent.begin_nested();
            spent.add_nested(&StepReport {
                read,
                made,
                is_last: Ok(true),
            });
        }
        assert_eq!(spent.bytes, INPUT_WEIGHT * ((7 << 20) - HELD_BACK));
    }
}
