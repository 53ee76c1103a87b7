//! Measures the library in this process, and prints one JSON document. `cargo xtask bench` builds it with optimisation, and
//! shows its numbers as tables.

mod batches;
mod economy;
mod in_process;
mod payloads;
mod rounds;
mod scaling;
#[cfg(feature = "sdk")]
mod sdk;
mod shared;
mod simulated_kms;
#[cfg(feature = "sdk")]
mod worker;

use clap::Parser;

#[derive(Parser)]
enum Arguments {
    /// Encoding and decoding beside the raw AEAD, with allocations counted
    InProcess,
    /// The calls of a key service for a million payloads
    Economy,
    /// Cost over the size of a payload, and the number of payloads, data keys and namespaces
    Scaling,
    /// Workflows per second of workers on a Temporal server
    #[cfg(feature = "sdk")]
    Worker {
        /// The server's URL
        address: String,
    },
}

fn main() -> anyhow::Result<()> {
    let document = match Arguments::parse() {
        Arguments::InProcess => serde_json::to_value(in_process::measure()?)?,
        Arguments::Economy => serde_json::to_value(economy::measure()?)?,
        Arguments::Scaling => serde_json::to_value(scaling::measure()?)?,
        #[cfg(feature = "sdk")]
        Arguments::Worker { address } => serde_json::to_value(worker::measure(&address)?)?,
    };
    println!("{document}");
    Ok(())
}
