//! `config explain`: one setting.

use std::{collections::BTreeMap, fmt::Write as _, path::PathBuf};

use clap::Args;
use serde::Serialize;
use serde_json::Value;
use temporal_kms_codec_service::{settings::closest, terminal};

use super::{
    super::exit::{Failure, Status, print_answer},
    effective::{Effective, effective},
};
use crate::config::reference::{self, Fallback, Reference};

pub(super) const HELP: &str = "\
Examples:
  codec-server config explain server.max_body
  codec-server config explain on_undecodable --config codec.toml
  codec-server config explain CODEC_CACHE_TTL
  codec-server config explain cache";

#[derive(Debug, Args)]
pub(in crate::cli) struct ExplainArgs {
    /// A setting with or without its section, a section, or a variable.
    name: String,
    /// The configuration whose values are shown.
    #[arg(long, value_name = "FILE", env = "CODEC_CONFIG")]
    config: Option<PathBuf>,
    /// Print `settings` as JSON, each with `setting`, `help`, `type`, `default`, `variables` and `values`.
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report {
    settings: Vec<Explained>,
}

#[derive(Serialize)]
struct Explained {
    setting: String,
    help: String,
    r#type: String,
    default: Option<Value>,
    variables: Vec<String>,
    /// Empty without a configuration.
    values: Vec<Effective>,
}

pub(super) fn run(args: &ExplainArgs) -> Result<(), Failure> {
    let all = reference::all();
    let found = find(&all, &args.name);
    if found.is_empty() {
        return Err(unknown(&all, &args.name));
    }
    let values = match &args.config {
        Some(file) => effective(Some(file))?,
        None => Vec::new(),
    };
    let explained = found.into_iter().map(|reference| {
        let own = values.iter().filter(|one| one.pattern == reference.setting);
        Explained::new(reference, own.cloned().collect())
    });
    let report = Report {
        settings: explained.collect(),
    };
    print_answer(args.json, &report, || {
        let texts: Vec<String> = report.settings.iter().map(Explained::text).collect();
        texts.join("\n")
    })
}

/// The settings that `name` means: one by its name or variable, or all of a section.
fn find<'r>(all: &'r [Reference], name: &str) -> Vec<&'r Reference> {
    let by = |is_meant: &dyn Fn(&Reference) -> bool| -> Vec<&'r Reference> {
        all.iter().filter(|reference| is_meant(reference)).collect()
    };
    let declared = reference::of(all, name).map(|(reference, _)| &reference.setting);
    let is_named = |reference: &Reference| {
        declared == Some(&reference.setting)
            || reference.variable.as_deref() == Some(name)
            || reference.further_variables.contains(&name)
    };
    let exact = by(&is_named);
    if !exact.is_empty() {
        return exact;
    }
    let section = format!("{}.", name.trim_matches(['[', ']']));
    let in_section = by(&|reference| {
        reference.setting.starts_with(&section)
            || reference.setting.replace("*.", "").starts_with(&section)
    });
    if !in_section.is_empty() {
        return in_section;
    }
    let suffix = format!(".{name}");
    by(&|reference| reference.setting.ends_with(&suffix))
}

fn unknown(all: &[Reference], name: &str) -> Failure {
    let wanted = name.trim_matches(['[', ']']);
    let (section, key) = wanted.rsplit_once('.').unwrap_or(("", wanted));
    let beside = in_section(all, section);
    let advice = if let Some(setting) = closest(key, beside.keys().copied()) {
        format!("did you mean {}?", beside.get(setting).unwrap_or(&setting))
    } else if let Some(meant) = anywhere(all, wanted).or_else(|| anywhere(all, key)) {
        format!("did you mean {meant}?")
    } else if beside.is_empty() {
        "`config schema` and codec.example.toml have all of them".to_owned()
    } else {
        let keys: Vec<&str> = beside.into_keys().collect();
        format!("known in {}: {}", terminal::line(section), keys.join(", "))
    };
    let name = terminal::line(name);
    Failure::new(
        Status::Usage,
        format_args!("there is no setting {name}; {advice}"),
    )
}

/// The settings of a section, by their names in it.
fn in_section<'r>(all: &'r [Reference], section: &str) -> BTreeMap<&'r str, &'r str> {
    let settings = all.iter().map(|reference| reference.setting.as_str());
    let settings = settings.filter_map(|setting| {
        let (own, key) = setting.rsplit_once('.')?;
        let is_meant = own == section
            || own.replace(".*", "") == section
            || reference::name_in(own, section).is_some();
        is_meant.then_some((key, setting))
    });
    settings.collect()
}

/// The setting, the section or the variable that was probably meant.
fn anywhere<'r>(all: &'r [Reference], name: &str) -> Option<&'r str> {
    let names = all.iter().flat_map(|reference| {
        let setting = reference.setting.as_str();
        let (outer, key) = setting.rsplit_once('.').unwrap_or((setting, setting));
        let section = setting.split('.').next();
        let variables = reference.variable.as_deref().into_iter();
        let variables = variables.chain(reference.further_variables.iter().copied());
        [setting, outer, key]
            .into_iter()
            .chain(section)
            .chain(variables)
    });
    let meant = closest(name, names)?;
    // A name in one section only is told with it.
    match find(all, meant).as_slice() {
        [one] if one.setting.ends_with(meant) => Some(one.setting.as_str()),
        _ => Some(meant),
    }
}

impl Explained {
    fn new(reference: &Reference, values: Vec<Effective>) -> Self {
        let forms: Vec<String> = reference
            .forms
            .iter()
            .map(temporal_kms_codec_service::settings::Form::describe)
            .collect();
        let further = reference
            .further_variables
            .iter()
            .map(|name| (*name).to_owned());
        Self {
            setting: reference.setting.replace('*', "NAME"),
            help: reference.help.clone(),
            r#type: forms.join(", or "),
            default: match &reference.default {
                Fallback::None => None,
                Fallback::Value(value) => serde_json::to_value(value).ok(),
                Fallback::Depends(words) => Some(words.as_str().into()),
            },
            variables: reference
                .variable
                .clone()
                .into_iter()
                .chain(further)
                .collect(),
            values,
        }
    }

    fn text(&self) -> String {
        let mut text = format!("{}\n  {}\n", self.setting, self.help);
        let default = match &self.default {
            Some(value) => value.to_string(),
            None => "none".to_owned(),
        };
        let _ = writeln!(text, "  type:     {}\n  default:  {default}", self.r#type);
        if !self.variables.is_empty() {
            let _ = writeln!(text, "  variable: {}", self.variables.join(", "));
        }
        for one in &self.values {
            let value = terminal::line(&one.text());
            let _ = match &one.name {
                Some(_) => writeln!(
                    text,
                    "  now:      {} = {value} ({})",
                    one.setting,
                    one.origin()
                ),
                None => writeln!(text, "  now:      {value} ({})", one.origin()),
            };
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str) -> Vec<String> {
        let all = reference::all();
        let found = find(&all, name);
        found.iter().map(|one| one.setting.clone()).collect()
    }

    #[test]
    fn a_setting_is_found_by_each_of_its_names() {
        for (name, setting) in [
            ("server.max_body", "server.max_body"),
            ("CODEC_SERVER_LISTEN", "server.listen"),
            ("KMS_ROLE_ARN", "keys.aws_role"),
            ("on_undecodable", "namespaces.*.on_undecodable"),
            ("namespaces.prod.plaintext", "namespaces.*.plaintext"),
            ("namespaces.prod.a1b2c.plaintext", "namespaces.*.plaintext"),
            ("namespaces.prod.dek.max_age", "namespaces.*.dek.max_age"),
        ] {
            assert_eq!(found(name), [setting], "{name}");
        }
        assert_eq!(found("cache"), ["cache.data_keys", "cache.ttl"]);
        assert_eq!(found("[cache]"), ["cache.data_keys", "cache.ttl"]);
        assert!(found("max_age").len() > 1);
    }

    #[test]
    fn a_mistyped_name_is_answered_with_the_one_that_is_meant() {
        let all = reference::all();
        for (name, advice) in [
            (
                "on_undecodabel",
                "did you mean namespaces.*.on_undecodable?",
            ),
            // As `config check`: the section's own settings first, and variables.
            ("server.max_bdy", "did you mean server.max_body?"),
            (
                "namespaces.prod.fromat",
                "did you mean namespaces.*.format?",
            ),
            ("namespaces.fromat", "did you mean namespaces.*.format?"),
            (
                "namespaces.prod.dek.max_ag",
                "did you mean namespaces.*.dek.max_age?",
            ),
            ("CODEC_SERVER_LISTN", "did you mean CODEC_SERVER_LISTEN?"),
            ("AWS_REGON", "did you mean AWS_REGION?"),
            ("[cahce]", "did you mean cache?"),
            ("sever.max_body", "did you mean server.max_body?"),
            ("max_bdy", "did you mean max_body?"),
            ("cache.nonsense", "known in cache: data_keys, ttl"),
            ("nonsense\u{1b}", "`config schema` and codec.example.toml"),
        ] {
            let told = unknown(&all, name).to_string();
            let (_, told) = told.split_once("; ").unwrap();
            assert!(told.starts_with(advice), "{name}: {told}");
        }
    }
}
