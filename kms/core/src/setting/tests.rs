//! Settings from variables and in the example file, and what they refuse.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use super::*;

#[derive(Default)]
struct Options {
    region: Option<String>,
    module: Option<PathBuf>,
}

const TABLE: SettingTable<Options> = SettingTable(&[
    SettingRow::new(
        Setting::new("x_region", SettingKind::Text, "The region.")
            .variables(&["X_REGION", "X_DEFAULT_REGION"])
            .flag("x-region", "REGION")
            .example("\"here\""),
        |options, value| options.region = value.into_text(),
    ),
    SettingRow::new(
        Setting::new("x_module", SettingKind::AbsolutePath, "The module.")
            .variables(&["X_MODULE"])
            .example("\"/lib/x.so\"")
            .suggested(),
        |options, value| options.module = value.into_path(),
    ),
    SettingRow::only_combined_variables(
        Setting::new("x_pin", SettingKind::Text, "The PIN.")
            .variables(&["X_PIN"])
            .secret(),
    ),
]);

#[test]
fn the_first_variable_that_is_set_counts() {
    let mut options = Options::default();
    let variable = |name: &str| match name {
        "X_DEFAULT_REGION" => Some("there".to_owned()),
        "X_MODULE" => Some("/m".to_owned()),
        _ => None,
    };
    TABLE.read_variables(&mut options, &variable).unwrap();
    assert_eq!(options.region.as_deref(), Some("there"));
    assert_eq!(options.module.as_deref(), Some(Path::new("/m")));
}

#[test]
fn only_a_list_of_labels_may_have_several() {
    let of = |kind| Setting::new("x", kind, "X.").any_folder(AnyFolder::HostLabels);
    assert!(of(SettingKind::List).is_for_any_folder("us-west-2, eu-west-1"));
    assert!(!of(SettingKind::Text).is_for_any_folder("us-west-2,eu-west-1"));
    assert!(!Setting::new("x", SettingKind::Text, "X.").is_for_any_folder("a"));
}

#[test]
fn a_wrong_value_is_refused_by_the_name_of_its_variable() {
    let variable = |name: &str| (name == "X_MODULE").then(|| "sEcReT".to_owned());
    let refused = TABLE.read_variables(&mut Options::default(), &variable);
    let error = refused.unwrap_err().to_string();
    assert_eq!(error, "X_MODULE: must be an absolute path");
}

#[test]
fn the_example_file_has_what_a_file_may_have() {
    let lines: String = TABLE
        .settings()
        .into_iter()
        .map(Setting::example_lines)
        .collect();
    assert_eq!(
        lines,
        "# The region. Variable: X_REGION, X_DEFAULT_REGION.\n# x_region = \"here\"\n\
         # The module. Variable: X_MODULE.\nx_module = \"/lib/x.so\"\n"
    );
}

#[test]
fn values_are_of_their_kind() {
    let read = |kind: SettingKind, text: &str| kind.read(OsStr::new(text));
    let list = read(SettingKind::List, "a, b,,").unwrap();
    assert_eq!(list.into_list().unwrap(), ["a", "b"]);
    assert!(read(SettingKind::Bool, "TRUE").unwrap().is_true());
    assert_eq!(read(SettingKind::Count, "8").unwrap().into_count(), Some(8));
    for (kind, text) in [
        (SettingKind::Bool, "yes"),
        (SettingKind::Count, "0"),
        (SettingKind::Count, "-1"),
        (SettingKind::AbsolutePath, "lib.so"),
    ] {
        assert!(read(kind, text).is_err(), "{text}");
    }
}
