//! The metrics of the program itself: its version, its start, its configuration, and whether it is ready.

use std::{
    sync::{Arc, Weak},
    time::{SystemTime, UNIX_EPOCH},
};

use opentelemetry::{KeyValue, metrics::Counter};
use parking_lot::Mutex;

use super::{
    catalogue::{
        BUILD, CONFIGURATION_GENERATION, CONFIGURATION_LAST_RELOAD,
        CONFIGURATION_LAST_RELOAD_SUCCESS, CONFIGURATION_RELOADS, READY, START,
    },
    instruments::Instruments,
};
use crate::lifecycle::Readiness;

/// The metrics of the program itself.
#[derive(Debug)]
pub struct ProcessMetrics {
    reloads: Counter<u64>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    generation: u32,
    last_reload: Option<(bool, SystemTime)>,
    readiness: Weak<Readiness>,
}

impl ProcessMetrics {
    pub(super) fn new(instruments: &Instruments<'_>, version: &'static str) -> Self {
        let started = SystemTime::now();
        instruments.gauge(&START, move |seen| seen.set(seconds(started), &[]));
        instruments.gauge(&BUILD, move |seen| {
            seen.set(1.0, &[KeyValue::new("version", version)]);
        });
        let state = Arc::<Mutex<State>>::default();
        let read = Arc::clone(&state);
        instruments.gauge(&READY, move |seen| {
            let readiness = read.lock().readiness.upgrade();
            if let Some(readiness) = readiness {
                seen.set(truth(readiness.report().is_ready()), &[]);
            }
        });
        let read = Arc::clone(&state);
        instruments.gauge(&CONFIGURATION_GENERATION, move |seen| {
            seen.set(read.lock().generation.into(), &[]);
        });
        let read = Arc::clone(&state);
        instruments.gauge(&CONFIGURATION_LAST_RELOAD_SUCCESS, move |seen| {
            if let Some((success, _)) = read.lock().last_reload {
                seen.set(truth(success), &[]);
            }
        });
        let read = Arc::clone(&state);
        instruments.gauge(&CONFIGURATION_LAST_RELOAD, move |seen| {
            if let Some((_, at)) = read.lock().last_reload {
                seen.set(seconds(at), &[]);
            }
        });
        Self {
            reloads: instruments.counter(&CONFIGURATION_RELOADS),
            state,
        }
    }

    /// Reads from now on whether the server is ready.
    pub fn watch_readiness(&self, readiness: &Arc<Readiness>) {
        self.state.lock().readiness = Arc::downgrade(readiness);
    }

    /// Counts a configuration that took effect: the first one, and each that replaces it.
    pub fn configuration_loaded(&self) {
        let mut state = self.state.lock();
        state.generation = state.generation.saturating_add(1);
        state.last_reload = Some((true, SystemTime::now()));
        let reloads = u64::from(state.generation > 1);
        self.reloads.add(reloads, &[KeyValue::new("result", "ok")]);
        self.reloads.add(0, &[KeyValue::new("result", "failed")]);
    }

    /// Counts a changed configuration that was refused.
    pub fn configuration_refused(&self) {
        self.state.lock().last_reload = Some((false, SystemTime::now()));
        self.reloads.add(1, &[KeyValue::new("result", "failed")]);
    }
}

/// A time in seconds since 1970.
pub(super) fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64()
}

pub(super) fn truth(value: bool) -> f64 {
    f64::from(u8::from(value))
}
