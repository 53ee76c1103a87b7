//! A client that sends many large requests at once. The server may refuse some of them while its memory is taken.

use std::{thread, time::Duration};

use super::{
    caller::{Caller, body},
    tally::{Operation, Shared},
};

/// How often large requests come. All clients send them at the same time. The time has no divisor in common with a cycle of the
/// key service, so that they meet each of its phases.
const EVERY: Duration = Duration::from_secs(13);
/// The requests of one client at the same time.
const AT_ONCE: u32 = 8;
/// The bytes of a payload. Its body has 4 MiB, because it is base64.
const SIZE: usize = 3 << 20;
/// How often a client looks whether it is time.
const PAUSE: Duration = Duration::from_millis(50);

pub(super) struct LargeClient {
    caller: Caller,
    number: u32,
    bursts: u32,
}

impl LargeClient {
    pub(super) fn new(url: &str, number: u32) -> Self {
        Self {
            caller: Caller::new(url),
            number,
            bursts: 0,
        }
    }

    /// Sends the next requests when it is time, or waits a moment.
    pub(super) fn turn(&mut self, shared: &Shared) {
        if shared.age() < EVERY * self.bursts {
            return thread::sleep(PAUSE);
        }
        let burst = shared.burst();
        thread::scope(|scope| {
            for request in 0..AT_ONCE {
                let client = &*self;
                scope.spawn(move || client.request(request, shared));
            }
        });
        drop(burst);
        self.bursts += 1;
    }

    fn request(&self, request: u32, shared: &Shared) {
        let name = format!("large-{}-{}-{request}", self.number, self.bursts);
        let operations = [Operation::EncodeLarge, Operation::DecodeLarge];
        let plain = body(&name, SIZE, 1);
        self.caller.encode_and_decode(shared, plain, operations);
    }
}
