//! Where Cloud KMS is called: at Google, also at its private addresses, or in an emulator on this machine.

use http::Uri;
use temporal_kms::endpoint;

/// Why another endpoint is refused.
pub(super) const REFUSED: &str = "it must be Cloud KMS at Google, such as https://cloudkms-NAME.p.googleapis.com, or an emulator on this machine, such as http://127.0.0.1:8080";
/// What to do about it.
pub(super) const REMEDY: &str = "correct it, or leave it out for the public endpoint";

/// What answers at an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Cloud KMS. It gets the credentials that Google's own programs would find.
    Google,
    /// A program on this machine. It gets credentials only if the options name a file.
    Emulator,
}

impl Target {
    /// What answers at the endpoint of the options. `None` where nothing is called.
    pub(super) fn of(endpoint: Option<&str>) -> Option<Self> {
        let Some(url) = endpoint else {
            return Some(Self::Google);
        };
        endpoint::check(url).ok()?;
        let uri: Uri = url.parse().ok()?;
        let host = uri.host()?;
        if endpoint::is_loopback(host) {
            return Some(Self::Emulator);
        }
        is_cloud_kms(host).then_some(Self::Google)
    }
}

/// The names at which Google serves Cloud KMS: `cloudkms.googleapis.com`, the addresses for private networks
/// (<https://cloud.google.com/vpc/docs/about-accessing-google-apis-endpoints>), and those of one location
/// (<https://cloud.google.com/kms/docs/reference/rest>). Other names of the domain are of other services, and some are of
/// Google's customers, such as buckets.
fn is_cloud_kms(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    let Some(name) = host.strip_suffix(".googleapis.com") else {
        return false;
    };
    let labels: Vec<&str> = name.split('.').collect();
    let is_some = |text: Option<&str>| text.is_some_and(|text| !text.is_empty());
    match labels.as_slice() {
        ["cloudkms" | "private" | "restricted"] => true,
        [one] => is_some(one.strip_suffix("-cloudkms")),
        // Private Service Connect.
        [one, "p"] => is_some(one.strip_prefix("cloudkms-")),
        ["cloudkms", location, "rep"] => !location.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_go_to_cloud_kms_only() {
        assert_eq!(Target::of(None), Some(Target::Google));
        for google in [
            "https://cloudkms.googleapis.com",
            "https://CloudKMS.googleapis.com/",
            "https://cloudkms-prod.p.googleapis.com",
            "https://cloudkms-prod.p.googleapis.com:443",
            "https://private.googleapis.com",
            "https://restricted.googleapis.com",
            "https://europe-west1-cloudkms.googleapis.com",
            "https://cloudkms.europe-west3.rep.googleapis.com",
        ] {
            assert_eq!(Target::of(Some(google)), Some(Target::Google), "{google}");
        }
        for emulator in [
            "http://127.0.0.1:8080",
            "https://127.0.0.1:8443",
            "http://localhost:1",
            "http://[::1]:8080/",
        ] {
            let found = Target::of(Some(emulator));
            assert_eq!(found, Some(Target::Emulator), "{emulator}");
        }
        for other in [
            "http://kms.example.com",
            "https://kms.example.com",
            // In the clear.
            "http://cloudkms.googleapis.com",
            "http://cloudkms-prod.p.googleapis.com",
            "https://cloudkms.googleapis.com.evil.example",
            "https://cloudkms.googleapis.com@evil.example",
            "https://evil-googleapis.com",
            "https://googleapis.com",
            "https://cloudkms.googleapis.com/path",
            // Other services, and names that their customers choose.
            "https://storage.googleapis.com",
            "https://cloudkms.storage.googleapis.com",
            "https://cloudkms-bucket.storage.googleapis.com",
            "https://storage-prod.p.googleapis.com",
            "https://cloudkms-.p.googleapis.com",
            "https://-cloudkms.googleapis.com",
            "https://cloudkms..rep.googleapis.com",
            "https://p.googleapis.com",
            "http://127.0.0.1.example.com",
            "http://127.0.0.1@example.com",
            "http://localhost.example.com:80",
            "http://0.0.0.0:80",
            "http://user@127.0.0.1:80",
            "http://[::ffff:10.0.0.1]",
            "http://127.0.0.1:80/path",
            "ftp://127.0.0.1",
            "127.0.0.1:8080",
            "",
        ] {
            assert_eq!(Target::of(Some(other)), None, "{other}");
        }
    }
}
