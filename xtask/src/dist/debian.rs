//! Debian packages with the program, its manual pages and its systemd unit.

use super::{Release, build::Builder};
use crate::{step, tools};

/// Packs what the section `[package.metadata.deb]` of the program's manifest says.
pub(super) fn pack(release: &Release<'_>, builder: &Builder<'_>) -> anyhow::Result<()> {
    let tool = tools::provide(release.workspace, &tools::CARGO_DEB)?;
    let mut pack = std::process::Command::new(tool);
    pack.current_dir(release.workspace.root());
    pack.args(["--no-build", "--no-strip", "--locked"]);
    pack.args([
        "--package",
        release.program.package,
        "--target",
        release.platform.triple,
    ]);
    pack.arg("--output").arg(&release.output);
    pack.env("CARGO_TARGET_DIR", builder.target());
    pack.env("SOURCE_DATE_EPOCH", release.time.to_string());
    step::loudly(pack)
}
