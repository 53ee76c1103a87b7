//! From settings to a codec.

use std::{collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwapOption;

use super::{
    Codec, Encryption, Inner,
    policy::{ContextPolicy, FormatPolicy, PlaintextPolicy, Policy, RequiredContext},
    turns::CompressionTurns,
};
use crate::{
    CacheLimits, Compression, ConfigurationError, DekLimits, EncryptionContext, Error, Format,
    Namespace, StaticKeys,
    dek::DataKeySettings,
    format::{envelope_v1, envelope_v2},
    kms::KeyProvider,
    stats::Counters,
};

/// Temporal refuses payloads over 2 MiB by default; what was compressed may be larger by far.
const DEFAULT_MAX_DECOMPRESSED: usize = 64 << 20;
/// The payloads of one call become at most so many times [`max_decompressed`](CodecBuilder::max_decompressed), or as many times
/// its default, whichever is more. They stay in memory until all of them are decoded, so no honest call reaches that.
const TOTAL: usize = 16;

/// Builds a [`Codec`]; made by [`Codec::builder`].
#[derive(Debug)]
#[must_use]
pub struct CodecBuilder {
    namespace: Namespace,
    further_namespaces: Vec<Namespace>,
    keys: DataKeySettings,
    format: Format,
    decrypt_formats: Option<Vec<Format>>,
    pairs: BTreeMap<String, String>,
    required_context: RequiredContext,
    compression: Compression,
    max_decompressed: usize,
    max_decompressed_total: Option<usize>,
    turns: Option<CompressionTurns>,
    plaintext: PlaintextPolicy,
    static_keys: StaticKeys,
    decrypt_only: bool,
    counters: Option<Arc<Counters>>,
}

impl Codec {
    /// Starts to build a codec for `namespace`.
    pub fn builder(namespace: Namespace) -> CodecBuilder {
        CodecBuilder::new(namespace)
    }
}

impl CodecBuilder {
    fn new(namespace: Namespace) -> Self {
        Self {
            namespace,
            further_namespaces: Vec::new(),
            keys: DataKeySettings::default(),
            format: Format::default(),
            decrypt_formats: None,
            pairs: BTreeMap::new(),
            required_context: RequiredContext::default(),
            compression: Compression::default(),
            max_decompressed: DEFAULT_MAX_DECOMPRESSED,
            max_decompressed_total: None,
            turns: None,
            plaintext: PlaintextPolicy::default(),
            static_keys: StaticKeys::new(),
            decrypt_only: false,
            counters: None,
        }
    }

    /// Adds a key to encrypt with, and to decrypt with. Several keys are several recipients: each can open every payload,
    /// so that a payload outlives the loss of a key or a region.
    pub fn encrypt_with(mut self, key: Arc<dyn KeyProvider>) -> Self {
        self.keys.encrypting.push(key);
        self
    }

    /// Adds a key to decrypt with only, such as the one that was used before. Where a payload names several keys, those
    /// added first are tried first, after the encrypting ones.
    pub fn decrypt_with(mut self, key: Arc<dyn KeyProvider>) -> Self {
        self.keys.decrypting.push(key);
        self
    }

    /// Makes a codec that only decrypts: it has no key to encrypt with, and [`Codec::encode`] returns
    /// [`Error::DecryptOnly`].
    pub fn decrypt_only(mut self) -> Self {
        self.decrypt_only = true;
        self
    }

    /// The keys of [`Format::Static`], which other codecs used. They are for decryption only.
    pub fn static_keys(mut self, keys: StaticKeys) -> Self {
        self.static_keys = keys;
        self
    }

    /// Adds a namespace whose payloads are decrypted too, such as the one that workflows were moved from.
    pub fn accept_namespace(mut self, namespace: Namespace) -> Self {
        self.further_namespaces.push(namespace);
        self
    }

    /// The format to write. Default: [`Format::Envelope`].
    pub fn format(mut self, format: Format) -> Self {
        self.format = format;
        self
    }

    /// The formats to open. Default: the written one and [`Format::Envelope`].
    ///
    /// Open [`Format::EnvelopeV1`] and [`Format::Direct`] only while payloads in them are in use. They bind no context,
    /// so such a payload can be copied from any namespace under the same key. The same holds for [`Format::Static`] and
    /// [`Format::TemporalProxy`]. [`Format::Zlib`], [`Format::Snappy`] and [`Format::Gzip`] are compressed and not
    /// encrypted. The [plaintext policy](Self::plaintext_policy) decides about them, unless they are inside of an encrypted
    /// payload.
    pub fn decrypt_formats(mut self, formats: impl IntoIterator<Item = Format>) -> Self {
        self.decrypt_formats = Some(formats.into_iter().collect());
        self
    }

    /// Adds a pair to the encryption context, beside `namespace`. It is stored in the clear.
    pub fn context(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.pairs.insert(name.into(), value.into());
        self
    }

    /// Which context pairs a payload must carry to be decoded: `true` for every configured pair, or
    /// [`RequiredContext::named`]. Default: none.
    ///
    /// Only the format [`Envelope`](Format::Envelope) carries a context, so no other format can be opened beside it.
    pub fn require_context(mut self, required: impl Into<RequiredContext>) -> Self {
        self.required_context = required.into();
        self
    }

    /// Compression before encryption, in envelopes of version 2. Default: none.
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// How large a payload may become by decompression, in bytes. Default: 64 MiB.
    pub fn max_decompressed(mut self, bytes: usize) -> Self {
        self.max_decompressed = bytes;
        self
    }

    /// How large the payloads of one call may become by decompression together, in bytes. Default: 1 GiB, or 16 times
    /// [`max_decompressed`](Self::max_decompressed) if that is more. [`Decoder`](crate::Decoder) has a limit for one request.
    ///
    /// Each layer counts when it is decompressed, also where it fails or holds nothing of use. Where layers within other
    /// compressed layers become shorter by decompression, the difference counts 16 times beside that. Payloads whose layers tell
    /// that they are larger than [`max_decompressed`](Self::max_decompressed) do not count. Payloads above the limit fail with
    /// [`PayloadError::TooLargeTogether`](crate::PayloadError::TooLargeTogether).
    pub fn max_decompressed_total(mut self, bytes: usize) -> Self {
        self.max_decompressed_total = Some(bytes);
        self
    }

    /// Takes turns with the codecs that share `turns` where a payload is large. Default: no turns.
    pub fn compression_turns(mut self, turns: &CompressionTurns) -> Self {
        self.turns = Some(turns.clone());
        self
    }

    /// What happens to payloads that are not encrypted when they are decoded. Default: [`PlaintextPolicy::Reject`].
    pub fn plaintext_policy(mut self, policy: PlaintextPolicy) -> Self {
        self.plaintext = policy;
        self
    }

    /// How long one data key seals.
    pub fn dek_limits(mut self, limits: DekLimits) -> Self {
        self.keys.dek_limits = limits;
        self
    }

    /// How many unwrapped data keys are kept for decoding, and for how long.
    ///
    /// Every codec has its own cache, active data key and budget of failed KMS calls. A process with a codec for each of ten
    /// namespaces keeps up to ten times as many keys, and may waste up to ten times as many calls.
    pub fn cache_limits(mut self, limits: CacheLimits) -> Self {
        self.keys.cache_limits = limits;
        self
    }

    /// Counts what the codec does together with `codec`: the [`stats`](Codec::stats) of both are the sum.
    pub fn count_with(mut self, codec: &Codec) -> Self {
        self.counters = Some(codec.0.counters.clone());
        self
    }

    /// Makes the codec. No KMS is called; ask [`Codec::ready`] whether the keys can be used.
    ///
    /// # Errors
    /// [`Error::Configuration`] when a setting, or a combination of them, cannot work.
    pub fn build(self) -> Result<Codec, Error> {
        self.check()?;
        let context = EncryptionContext::for_namespace(&self.namespace, self.pairs)?;
        let policy = Policy {
            namespace: self.namespace.clone(),
            further_namespaces: self.further_namespaces.into_iter().collect(),
            formats: FormatPolicy::new(
                (!self.decrypt_only).then_some(self.format),
                self.decrypt_formats,
            )?,
            context: ContextPolicy::new(context.clone(), self.required_context)?,
            plaintext: self.plaintext,
        };
        policy.check()?;
        check_static_keys(&policy.formats, &self.static_keys)?;
        let counters = self.counters.unwrap_or_default();
        let (opening, encryption) = if self.decrypt_only {
            (self.keys.build_opening(&counters)?, None)
        } else {
            let (sealing, opening) = self.keys.build(&counters)?;
            let encryption = Encryption {
                active_v2: sealing.active(&context, envelope_v2::metadata),
                active_v1: sealing.active(&EncryptionContext::empty(), envelope_v1::metadata),
                directly: sealing.rest(),
                sealing,
            };
            (opening, Some(encryption))
        };
        Ok(Codec::new(Inner {
            opening,
            encryption,
            static_keys: self.static_keys,
            policy,
            namespace: self.namespace,
            format: self.format,
            compression: self.compression,
            max_decompressed: self.max_decompressed,
            max_decompressed_total: self.max_decompressed_total.unwrap_or_else(|| {
                let one = self.max_decompressed.max(DEFAULT_MAX_DECOMPRESSED);
                one.saturating_mul(TOTAL)
            }),
            turns: self.turns,
            counters,
            last_envelope: ArcSwapOption::empty(),
        }))
    }

    fn check(&self) -> Result<(), ConfigurationError> {
        self.compression.check()?;
        if !self.format.is_written() {
            return Err(ConfigurationError::invalid(
                "format",
                format!(
                    "`{}` is the format of another codec, and is not written; write `envelope`, and open the other one by `decrypt_formats`",
                    self.format
                ),
            ));
        }
        if self.decrypt_only && !self.keys.encrypting.is_empty() {
            return Err(ConfigurationError::invalid(
                "encrypting keys",
                "a codec that only decrypts cannot have them; name the keys under `decrypt`",
            ));
        }
        if self.decrypt_only && self.keys.decrypting.is_empty() && self.static_keys.is_empty() {
            return Err(ConfigurationError::invalid(
                "encrypting keys",
                "there is neither a key to encrypt with nor one to decrypt with; name one",
            ));
        }
        if self.keys.encrypting.len() > 1 && self.format != Format::Envelope {
            return Err(ConfigurationError::invalid(
                "encrypting keys",
                "only the format `envelope` has several recipients; name one key, or write `envelope`",
            ));
        }
        // Nothing would tell such payloads from those that are not encrypted.
        let mut keys = self.keys.encrypting.iter();
        if self.format == Format::Direct
            && let Some(key) = keys.find(|key| !key.uri().scheme().has_direct_mode())
        {
            return Err(ConfigurationError::invalid(
                "format",
                format!(
                    "payloads cannot be encrypted directly by {}; use the format `envelope`",
                    key.uri()
                ),
            ));
        }
        Ok(())
    }
}

/// Static keys and their format belong together.
fn check_static_keys(formats: &FormatPolicy, keys: &StaticKeys) -> Result<(), ConfigurationError> {
    match (formats.opens(Format::Static), keys.is_empty()) {
        (true, true) => Err(ConfigurationError::invalid(
            "static_keys",
            "the format `static` is opened, and no static key is set; set one, or remove `static` from `decrypt_formats`",
        )),
        (false, false) => Err(ConfigurationError::invalid(
            "static_keys",
            "static keys are set, and the format `static` is not opened; add it to `decrypt_formats`",
        )),
        _ => Ok(()),
    }
}
