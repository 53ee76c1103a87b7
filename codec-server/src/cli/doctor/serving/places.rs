//! Where the Web UI and the server are: `--ui` and `--server`.

use std::{fmt, str::FromStr};

use reqwest::Url;
use temporal_kms_codec::endpoint::is_loopback;

/// Where the parties are, as far as the command line says it.
#[derive(Clone, Copy)]
pub(in super::super) struct Places<'a> {
    /// The Web UI.
    pub(in super::super) ui: Option<&'a UiUrl>,
    /// The codec server, as clients call it.
    pub(in super::super) codec: Option<&'a CodecUrl>,
}

impl Places<'_> {
    /// Whether the command line names one.
    pub(in super::super) fn are_named(&self) -> bool {
        self.ui.is_some() || self.codec.is_some()
    }
}

/// The address of the Web UI in a browser.
#[derive(Clone, Debug)]
pub(in super::super) struct UiUrl(Url);

/// The address of the codec server, as the Web UI has it. `{namespace}` is replaced as the Web UI does it.
#[derive(Clone, Debug)]
pub(in super::super) struct CodecUrl {
    text: String,
    url: Url,
}

impl UiUrl {
    /// What a browser sends as `Origin`.
    pub(super) fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    pub(super) fn is_secure(&self) -> bool {
        self.0.scheme() == "https"
    }

    pub(super) fn is_local(&self) -> bool {
        self.host().is_some_and(is_loopback)
    }

    pub(super) fn host(&self) -> Option<&str> {
        self.0.host_str()
    }
}

impl CodecUrl {
    /// The URL of an operation, such as `decode`, for a namespace.
    pub(super) fn of(&self, operation: &str, namespace: &str) -> Option<Url> {
        let base = self.text.replace("{namespace}", namespace);
        let base = base.trim_end_matches('/');
        format!("{base}/{operation}").parse().ok()
    }

    pub(super) fn is_secure(&self) -> bool {
        self.url.scheme() == "https"
    }

    pub(super) fn is_local(&self) -> bool {
        self.host().is_some_and(is_loopback)
    }

    pub(super) fn host(&self) -> Option<&str> {
        self.url.host_str()
    }

    /// The host, where TLS checks its name.
    pub(super) fn secure_host(&self) -> Option<&str> {
        self.host().filter(|_| self.is_secure())
    }
}

impl FromStr for UiUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        web(text, "https://temporal.example.com").map(Self)
    }
}

impl FromStr for CodecUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let url = web(
            &text.replace("{namespace}", "namespace"),
            "https://codec.example.com",
        )?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err("it must have no query and no fragment; remove them".to_owned());
        }
        let text = text.to_owned();
        Ok(Self { text, url })
    }
}

impl fmt::Display for CodecUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn web(text: &str, example: &str) -> Result<Url, String> {
    let wrong = || format!("expected a URL, such as {example}");
    let url: Url = text.parse().map_err(|_| wrong())?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(wrong());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it must hold no user name and no password; remove them".to_owned());
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_sends_the_origin_of_the_page() {
        for (url, origin) in [
            (
                "https://ui.example.com/namespaces/default",
                "https://ui.example.com",
            ),
            ("https://UI.example.com:443", "https://ui.example.com"),
            ("http://localhost:8233/", "http://localhost:8233"),
        ] {
            assert_eq!(url.parse::<UiUrl>().unwrap().origin(), origin);
        }
        for wrong in ["ui.example.com", "ftp://ui", "https://u:p@ui", ""] {
            assert!(wrong.parse::<UiUrl>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_namespace_is_put_in_as_the_web_ui_does_it() {
        let codec: CodecUrl = "https://codec.example.com/{namespace}/".parse().unwrap();
        let url = codec.of("decode", "prod").unwrap();
        assert_eq!(url.as_str(), "https://codec.example.com/prod/decode");
        assert!("https://codec?x".parse::<CodecUrl>().is_err());
    }
}
