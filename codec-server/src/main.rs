//! `codec-server`: see `codec-server --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    temporal_kms_codec_server::cli::main()
}
