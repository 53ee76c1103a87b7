//! `[namespaces.NAME]`: keys, formats and policy of one namespace.

use std::{cell::RefCell, collections::BTreeMap, str::FromStr};

use temporal_kms_codec::{
    CacheLimits, Codec, CodecBuilder, CodecSettings, Compression, ConfigurationError, DekLimits,
    Format, KeyUri, Namespace, PlaintextPolicy, RequiredContext, StaticKeySource, kms::Kms,
};

use super::{limits::NamespaceLimits, pattern::Pattern};
use crate::settings::{Section, values};

/// Below this size zstd gains nothing.
const DEFAULT_COMPRESSION_MIN_BYTES: usize = 512;
const DEFAULT_COMPRESSION_LEVEL: i32 = 3;
/// Less than the library's limit, because the clients of a server share its memory.
const DEFAULT_MAX_DECOMPRESSED: usize = 16 << 20;

/// How the payloads of one namespace are encoded and decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceConfig {
    /// `encrypt`: keys to encrypt with; several are several recipients. Without any, the namespace decodes only.
    pub encrypt: Vec<KeyUri>,
    /// `decrypt`: further keys to decrypt with.
    pub decrypt: Vec<KeyUri>,
    /// `format`: `envelope` (default), `envelope-v1` or `direct`.
    pub format: Format,
    /// `decrypt_formats`: the formats to open. Default: the written one and `envelope`.
    pub decrypt_formats: Option<Vec<Format>>,
    /// `static_keys`: where the static keys of other codecs come from, by their ids.
    pub static_keys: BTreeMap<String, StaticKeySource>,
    /// `accept_namespaces`: other namespaces whose payloads are decoded too, such as those of callers through Nexus.
    pub accept_namespaces: Vec<Namespace>,
    /// `context`: pairs of the encryption context beside the namespace.
    pub context: BTreeMap<String, String>,
    /// `require_context`: the pairs that a payload must carry; `true` for all, or a list of names. Default: none.
    pub require_context: RequiredContext,
    /// `compression`: `none` (default) or `zstd`; `compression_level`, `compression_min_bytes`.
    pub compression: Compression,
    /// `max_decompressed`: the most bytes of a payload after decompression. Default: 16 MiB.
    pub max_decompressed: usize,
    /// `plaintext`: `allow` (default) or `reject` payloads that are not encrypted when decoding.
    pub plaintext: PlaintextPolicy,
    /// `dek`: a table of `max_age`, `renew_before`, `hard_max_age`, `max_messages`, `max_bytes`.
    pub dek_limits: DekLimits,
    /// `on_undecodable`: `fail` (default) or `placeholder`.
    pub on_undecodable: OnUndecodable,
    /// `max_body`, `max_payloads`, `max_requests`, `max_rate`, `max_burst`: limits of the namespace's requests. Default: the server's.
    pub limits: NamespaceLimits,
    /// `cache`: unwrapped data keys that are kept, a table of `data_keys` and `ttl`. Default: those of the section `[cache]`.
    pub cache: CacheLimits,
}

/// What happens when a payload of a request cannot be decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnUndecodable {
    /// The request fails and says why.
    #[default]
    Fail,
    /// A text that says why replaces the payload. This is for people who read histories: a worker that decodes through
    /// the server would take the text for the value.
    Placeholder,
}

impl FromStr for OnUndecodable {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "fail" => Ok(Self::Fail),
            "placeholder" => Ok(Self::Placeholder),
            _ => Err("it must be `fail` or `placeholder`"),
        }
    }
}

impl NamespaceConfig {
    /// A namespace that encrypts with `key`, with defaults for everything else.
    #[must_use]
    pub fn with_key(key: KeyUri) -> Self {
        Self {
            encrypt: vec![key],
            decrypt: Vec::new(),
            format: Format::default(),
            decrypt_formats: None,
            static_keys: BTreeMap::new(),
            accept_namespaces: Vec::new(),
            context: BTreeMap::new(),
            require_context: RequiredContext::default(),
            compression: Compression::default(),
            max_decompressed: DEFAULT_MAX_DECOMPRESSED,
            // People read histories from before encryption with a server.
            plaintext: PlaintextPolicy::Allow,
            dek_limits: DekLimits::default(),
            on_undecodable: OnUndecodable::default(),
            limits: NamespaceLimits::default(),
            cache: CacheLimits::default(),
        }
    }

    /// Whether a codec that was made with `other` does the same as one that is made with this.
    #[must_use]
    pub fn has_codec_of(&self, other: &Self) -> bool {
        let mut other = other.clone();
        // What a server does around the codec.
        other.on_undecodable = self.on_undecodable;
        other.limits.clone_from(&self.limits);
        *self == other
    }

    /// The settings of the library's variables, with a server's defaults for the rest. `None` without a key to encrypt with.
    #[must_use]
    pub fn from_settings(settings: &CodecSettings) -> Option<Self> {
        let (first, others) = settings.encrypt.split_first()?;
        let mut config = Self::with_key(first.clone());
        config.encrypt.extend_from_slice(others);
        config.decrypt.clone_from(&settings.decrypt);
        config.format = settings.format;
        config.decrypt_formats.clone_from(&settings.decrypt_formats);
        config.static_keys.clone_from(&settings.static_keys);
        config.context.clone_from(&settings.context);
        config.require_context = settings.require_context.clone();
        config.cache = settings.cache_limits.clone();
        // As in `with_key`.
        config.plaintext = settings.plaintext.unwrap_or(PlaintextPolicy::Allow);
        Some(config)
    }

    /// Opens `formats` in addition.
    pub fn open_formats_too(&mut self, formats: &[Format]) {
        if formats.is_empty() {
            return;
        }
        let mut opened = self.opened_formats();
        opened.extend_from_slice(formats);
        self.decrypt_formats = Some(opened);
    }

    /// The formats that are opened: those that are named, or else the written one and `envelope`.
    #[must_use]
    pub fn opened_formats(&self) -> Vec<Format> {
        let named = self.decrypt_formats.clone();
        named.unwrap_or_else(|| vec![self.format, Format::Envelope])
    }

    /// A builder with every setting except the keys, which must be opened first.
    pub fn builder(&self, namespace: Namespace) -> CodecBuilder {
        let builder = Codec::builder(namespace)
            .format(self.format)
            .require_context(self.require_context.clone())
            .compression(self.compression)
            .max_decompressed(self.max_decompressed)
            .plaintext_policy(self.plaintext)
            .dek_limits(self.dek_limits.clone())
            .cache_limits(self.cache.clone());
        let builder = match &self.decrypt_formats {
            Some(formats) => builder.decrypt_formats(formats.iter().copied()),
            None => builder,
        };
        let builder = if self.encrypt.is_empty() {
            builder.decrypt_only()
        } else {
            builder
        };
        let accepted = self.accept_namespaces.iter().cloned();
        let builder = accepted.fold(builder, CodecBuilder::accept_namespace);
        self.context.iter().fold(builder, |builder, (name, value)| {
            builder.context(name, value)
        })
    }

    /// Reads the section. Key URIs may hold settings of their service, which go into `keys`. What its table `cache` does not
    /// set stays as in `cache`.
    pub(super) fn read(
        mut section: Section<'_>,
        keys: &mut Kms,
        cache: &CacheLimits,
    ) -> Option<Self> {
        let keys = RefCell::new(keys);
        let key = |text: &str| {
            let read = keys.borrow_mut().read_key(text);
            read.map_err(|error| format!("{}: {}", KeyUri::redact(text), error.reason()))
        };
        let encrypt = section.list("encrypt", key);
        let decrypt = section.list("decrypt", key).unwrap_or_default();
        let format = section.value("format", setting).unwrap_or_default();
        let decrypt_formats = section.list("decrypt_formats", setting);
        let static_keys = static_keys(&mut section);
        let accept_namespaces = section.list("accept_namespaces", accepted);
        let context = section.pairs("context");
        let require_context = require_context(&mut section);
        let compression = compression(&mut section);
        let max_decompressed = section
            .value("max_decompressed", values::bytes)
            .unwrap_or(DEFAULT_MAX_DECOMPRESSED);
        let plaintext = section
            .value("plaintext", setting)
            .unwrap_or(PlaintextPolicy::Allow);
        let dek_limits = dek_limits(section.table("dek"));
        let cache = read_cache(section.table("cache"), cache.clone());
        let on_undecodable = section
            .value("on_undecodable", values::any)
            .unwrap_or_default();
        let limits = NamespaceLimits::read(&mut section);
        // A name with dots without quotes, so this table is not a namespace.
        let is_part_of_name = !section.holds("encrypt") && section.stray_table().is_some();
        if is_part_of_name {
            section.finish();
            return None;
        }
        if section.holds("encrypt") && encrypt.as_ref().is_some_and(Vec::is_empty) {
            section.report("`encrypt` names no key; name the key to encrypt with, such as encrypt = [\"local://default\"], or remove `encrypt` for a namespace that decodes only");
        } else if !["encrypt", "decrypt", "static_keys"]
            .iter()
            .any(|key| section.holds(key))
        {
            section.report("there is no key; name the key to encrypt with, such as encrypt = [\"local://default\"], or the keys to decrypt with under `decrypt`");
        }
        let decodes_only = !section.holds("encrypt");
        section.finish();
        Some(Self {
            encrypt: if decodes_only { Vec::new() } else { encrypt? },
            decrypt,
            accept_namespaces: accept_namespaces.unwrap_or_default(),
            format,
            decrypt_formats,
            static_keys,
            context,
            require_context,
            compression,
            max_decompressed,
            plaintext,
            dek_limits,
            on_undecodable,
            limits,
            cache,
        })
    }
}

/// The limits of a cache of data keys: `data_keys`, and `ttl`. Settings that are not there stay as in `cache`.
pub(super) fn read_cache(mut section: Section<'_>, mut cache: CacheLimits) -> CacheLimits {
    section.set(
        "data_keys",
        &mut cache.max_keys,
        |text| match values::count(text)? {
            count if count > CacheLimits::MOST_KEYS => {
                Err(format!("it must be at most {}", CacheLimits::MOST_KEYS))
            }
            count => Ok(count),
        },
    );
    section.set("ttl", &mut cache.ttl, values::timeout);
    section.finish();
    cache
}

/// The ids of static keys, each with a file or a variable.
fn static_keys(section: &mut Section<'_>) -> BTreeMap<String, StaticKeySource> {
    let pairs = section.pairs("static_keys");
    let mut read = BTreeMap::new();
    for (id, source) in pairs {
        match source.parse::<StaticKeySource>() {
            Ok(source) => {
                read.insert(id, source);
            }
            Err(error) => section.report(format!("static_keys.{id:?}: {}", error.reason())),
        }
    }
    read
}

/// The name of a namespace. A pattern would accept the payloads of namespaces that do not exist yet.
fn accepted(text: &str) -> Result<Namespace, String> {
    if Pattern::is_in(text) {
        return Err("expected the name of a namespace; name each one, without `*`".to_owned());
    }
    Namespace::new(text).map_err(|error| format!("{}; name a namespace", error.reason()))
}

fn require_context(section: &mut Section<'_>) -> RequiredContext {
    if section.holds_list("require_context") {
        let name = |text: &str| Ok::<_, String>(text.to_owned());
        return RequiredContext::named(section.list("require_context", name).unwrap_or_default());
    }
    let all = section.value("require_context", |text| match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("expected true, false or a list of names".to_owned()),
    });
    all.unwrap_or_default().into()
}

fn compression(section: &mut Section<'_>) -> Compression {
    let zstd = section.value("compression", |text| match text {
        "none" => Ok(false),
        "zstd" => Ok(true),
        _ => Err("it must be `none` or `zstd`".to_owned()),
    });
    let level = section.value("compression_level", |text| match text.parse() {
        Ok(level @ 1..=19) => Ok(level),
        _ => Err("expected a number from 1 (fast) to 19 (small)".to_owned()),
    });
    let min_bytes = section.value("compression_min_bytes", values::bytes);
    match zstd {
        Some(true) => Compression::Zstd {
            level: level.unwrap_or(DEFAULT_COMPRESSION_LEVEL),
            min_bytes: min_bytes.unwrap_or(DEFAULT_COMPRESSION_MIN_BYTES),
        },
        _ => Compression::None,
    }
}

fn dek_limits(mut section: Section<'_>) -> DekLimits {
    let count = |text: &str| values::count(text).map(|count| count as u64);
    let bytes = |text: &str| values::bytes(text).map(|bytes| bytes as u64);
    let mut limits = DekLimits::default();
    section.set("max_age", &mut limits.max_age, values::timeout);
    section.set("renew_before", &mut limits.renew_before, values::duration);
    section.set("hard_max_age", &mut limits.hard_max_age, values::timeout);
    section.set("max_messages", &mut limits.max_messages, count);
    section.set("max_bytes", &mut limits.max_bytes, bytes);
    if limits.renew_before >= limits.max_age {
        section.report("`renew_before` must be shorter than `max_age`");
    }
    if limits.hard_max_age < limits.max_age {
        section.report("`hard_max_age` must not be shorter than `max_age`");
    }
    section.finish();
    limits
}

/// A setting of the library, without the name of the setting in its error.
fn setting<T: FromStr<Err = ConfigurationError>>(text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|error: ConfigurationError| error.reason().to_owned())
}
