//! The committed Rust is what the committed `.proto` files compile to.

use std::{env, fs, path::Path};

/// Regenerates and compares; with `UPDATE_GENERATED=1` (that is `cargo xtask codegen`) it writes instead.
#[test]
fn generated_code_is_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let includes = [root.join("proto")];
    let descriptors =
        protox::compile(["temporal/api/common/v1/message.proto"], &includes).expect("compiles");

    let out = tempfile::tempdir().expect("temporary folder");
    prost_build::Config::new()
        .btree_map(["."])
        .skip_debug(["."])
        .out_dir(out.path())
        .compile_fds(descriptors)
        .expect("generates");

    let name = "temporal.api.common.v1.rs";
    let fresh = fs::read_to_string(out.path().join(name)).expect("generated file");
    let committed = root.join("src/generated").join(name);
    if env::var_os("UPDATE_GENERATED").is_some() {
        fs::write(&committed, &fresh).expect("write generated file");
    }
    assert_eq!(
        fs::read_to_string(&committed).unwrap_or_default(),
        fresh,
        "src/generated is not what proto/ compiles to; run `cargo xtask codegen`"
    );
}
