//! Where a static key comes from: a file or an environment variable.

use std::{
    fmt,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    str::FromStr,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use crate::{ConfigurationError, Dek};

/// More than any form of a key has.
const MAX_LEN: u64 = 1024;
const SETTING: &str = "static_keys";

/// Where a static key comes from: the absolute path of a file, or `env:NAME` for an environment variable.
///
/// The content is the key: its 32 bytes as they are, or in hexadecimal or base64. White space around it does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StaticKeySource {
    /// A file.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
}

impl StaticKeySource {
    /// The file, if it is one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Variable(_) => None,
        }
    }

    /// Reads the key.
    ///
    /// # Errors
    /// When the file cannot be read, the variable is not set, or the content is not a key. The error repeats nothing of the
    /// content.
    pub fn load(&self) -> Result<Dek, ConfigurationError> {
        let invalid = |reason: String| ConfigurationError::invalid(SETTING, reason);
        let content = match self {
            Self::File(path) => read(path)
                .map_err(|error| invalid(format!("cannot read {}: {error}", path.display())))?,
            Self::Variable(name) => {
                let value = std::env::var_os(name)
                    .filter(|value| !value.is_empty())
                    .ok_or_else(|| invalid(format!("the variable {name} is not set")))?;
                Zeroizing::new(value.into_encoded_bytes())
            }
        };
        parse(&content).ok_or_else(|| {
            invalid(format!(
                "{self} does not hold a key: expected 32 bytes, as they are, in hexadecimal or in base64"
            ))
        })
    }
}

impl FromStr for StaticKeySource {
    type Err = ConfigurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = |reason| Err(ConfigurationError::invalid(SETTING, reason));
        if let Some(name) = text.strip_prefix("env:") {
            if name.is_empty() || name.contains(['=', '\0']) {
                return invalid("`env:` must be followed by the name of a variable");
            }
            return Ok(Self::Variable(name.to_owned()));
        }
        let path = Path::new(text);
        if path.is_absolute() {
            return Ok(Self::File(path.to_owned()));
        }
        invalid(
            "it must be the absolute path of a file with the key, or `env:NAME`; the key itself does not belong here",
        )
    }
}

/// The form that is parsed.
impl fmt::Display for StaticKeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Variable(name) => write!(f, "env:{name}"),
        }
    }
}

fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    // It never grows, so that no copy is left behind.
    let mut content = Zeroizing::new(Vec::with_capacity(MAX_LEN as usize));
    File::open(path)?.take(MAX_LEN).read_to_end(&mut content)?;
    Ok(content)
}

fn parse(content: &[u8]) -> Option<Dek> {
    // Bytes first: they may begin or end with what looks like white space.
    if let Some(key) = Dek::from_slice(content) {
        return Some(key);
    }
    let text = content.trim_ascii();
    match text.len() {
        Dek::LEN => Dek::from_slice(text),
        64 => Dek::try_init_with_mut(|key| unhex(text, key)).ok(),
        44 => {
            let mut bytes = Zeroizing::new([0; 33]);
            let len = STANDARD.decode_slice(text, &mut *bytes).ok()?;
            Dek::from_slice(bytes.get(..len)?)
        }
        _ => None,
    }
}

fn unhex(text: &[u8], key: &mut [u8; Dek::LEN]) -> Result<(), ()> {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    for (byte, digits) in key.iter_mut().zip(text.as_chunks::<2>().0) {
        let [high, low] = digits.map(digit);
        *byte = high.ok_or(())? << 4 | low.ok_or(())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8; 32] = b"test-key-test-key-test-key-test!";

    #[test]
    fn a_key_has_three_forms() {
        let hexadecimal = hex::encode(KEY);
        let base64 = STANDARD.encode(KEY);
        for content in [
            &KEY[..],
            b"test-key-test-key-test-key-test!\n",
            hexadecimal.as_bytes(),
            hexadecimal.to_uppercase().as_bytes(),
            format!("{base64}\n").as_bytes(),
        ] {
            assert_eq!(parse(content).unwrap().expose(), KEY);
        }
        for content in [&b""[..], b"short", &[b'g'; 64], &[b'?'; 44], &[1; 33]] {
            assert!(parse(content).is_none());
        }
        let with_spaces = *b" bytes that begin with a space. ";
        assert_eq!(parse(&with_spaces).unwrap().expose(), &with_spaces);
    }

    #[test]
    fn a_source_is_a_path_or_a_variable_and_never_the_key() {
        let source = |text: &str| text.parse::<StaticKeySource>();
        for text in ["/run/secrets/key", "env:OLD_KEY"] {
            assert_eq!(source(text).unwrap().to_string(), text);
        }
        for text in [
            "",
            "keys/old",
            "test-key-test-key-test-key-test!",
            "env:",
            "env:A=B",
        ] {
            let error = source(text).unwrap_err().to_string();
            assert!(
                !error.contains("test-key") && !error.contains("A=B"),
                "{error}"
            );
        }
    }

    #[test]
    fn an_error_names_the_source_and_repeats_no_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let source: StaticKeySource = path.to_str().unwrap().parse().unwrap();
        let missing = source.load().unwrap_err().to_string();
        assert!(missing.contains(path.to_str().unwrap()), "{missing}");
        std::fs::write(&path, "secret").unwrap();
        let wrong = source.load().unwrap_err().to_string();
        assert!(
            wrong.contains("32 bytes") && !wrong.contains("secret"),
            "{wrong}"
        );
        std::fs::write(&path, KEY).unwrap();
        assert_eq!(source.load().unwrap().expose(), KEY);
        let unset: StaticKeySource = "env:TKC_NO_SUCH_VARIABLE".parse().unwrap();
        let unset = unset.load().unwrap_err().to_string();
        assert!(unset.contains("TKC_NO_SUCH_VARIABLE is not set"), "{unset}");
    }
}
