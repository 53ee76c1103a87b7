//! The memory of an answer: how much its payloads take, and how much they may take.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;
use temporal_kms_codec::{SharedPayload, payload::Metadata};
use temporal_kms_codec_proto::OncePerMetadata;

use super::super::{memory::Share, request_error::RequestError};

/// How much memory the decoded payloads of one answer may take.
pub(super) struct Room<'s> {
    limit: usize,
    left: AtomicUsize,
    /// Whether a payload did not fit. Then no further payload is decoded.
    is_exceeded: AtomicBool,
    share: Mutex<&'s mut Share>,
}

/// What payloads of an answer take.
#[derive(Default)]
pub(super) struct Taken {
    pub(super) content: usize,
    footprint: usize,
}

impl Taken {
    pub(super) fn add(&mut self, payload: &SharedPayload) {
        self.content = self.content.saturating_add(content(payload));
        self.footprint = self.footprint.saturating_add(footprint(payload));
    }
}

impl<'s> Room<'s> {
    pub(super) fn new(limit: usize, share: &'s mut Share) -> Self {
        Self {
            limit,
            left: AtomicUsize::new(limit),
            is_exceeded: AtomicBool::new(false),
            share: Mutex::new(share),
        }
    }

    pub(super) fn take(&self, taken: &Taken) -> Result<(), RequestError> {
        let fits = self.try_take(taken);
        if fits.is_err() {
            self.is_exceeded.store(true, Ordering::Relaxed);
        }
        fits
    }

    pub(super) fn is_exceeded(&self) -> bool {
        self.is_exceeded.load(Ordering::Relaxed)
    }

    fn try_take(&self, taken: &Taken) -> Result<(), RequestError> {
        let left = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(taken.content)
            });
        if left.is_err() {
            return Err(RequestError::AnswerTooLarge { limit: self.limit });
        }
        let mut share = self.share.lock();
        share.try_grow(taken.footprint)
    }
}

/// The bytes of a payload's data and metadata.
fn content(payload: &SharedPayload) -> usize {
    payload.data.len() + metadata_content(&payload.metadata)
}

fn metadata_content(metadata: &Metadata) -> usize {
    let entries = metadata.iter();
    entries.map(|(key, value)| key.len() + value.len()).sum()
}

/// Roughly the memory that a payload takes.
fn footprint(payload: &SharedPayload) -> usize {
    metadata_footprint(&payload.metadata) + own_footprint(payload)
}

fn metadata_footprint(metadata: &Metadata) -> usize {
    /// One node of the map and two allocations.
    const ENTRY: usize = 112;
    metadata_content(metadata) + metadata.len() * ENTRY
}

/// Without the metadata.
fn own_footprint(payload: &SharedPayload) -> usize {
    payload.data.len()
        + std::mem::size_of_val(payload.external_payloads.as_slice())
        + size_of::<SharedPayload>()
}

/// The footprints of all of them together.
pub(super) fn total(payloads: &[SharedPayload]) -> usize {
    let mut footprints = OncePerMetadata::default();
    let footprints = payloads.iter().map(|payload| {
        let metadata = &*payload.metadata;
        footprints.get(metadata, || metadata_footprint(metadata)) + own_footprint(payload)
    });
    footprints.sum()
}
