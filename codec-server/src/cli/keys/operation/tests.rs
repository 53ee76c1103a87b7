use temporal_kms_codec::kms::Protection;

use super::*;

#[test]
fn the_newest_enabled_version_signs() {
    let signs = |purpose, versions: &[(&str, KeyState)]| {
        let uri = "gcp-kms://projects/p/locations/l/keyRings/r/cryptoKeys/k";
        let details = KeyDetails::new(uri.parse().unwrap(), purpose, Protection::Software);
        let versions = versions.iter();
        let versions: Vec<_> = versions
            .map(|(id, state)| KeyVersion::new(*id, *state))
            .collect();
        with_newest(details, &versions)
            .primary
            .map(|version| version.id)
    };
    let new = ("2", KeyState::Other);
    let sign = |versions: &[_]| signs(KeyPurpose::SignP256, versions);
    assert_eq!(sign(&[new, ("1", KeyState::Enabled)]).as_deref(), Some("1"));
    assert_eq!(
        sign(&[new, ("1", KeyState::Disabled)]).as_deref(),
        Some("2")
    );
    assert_eq!(sign(&[("1", KeyState::Disabled)]), None);
    // Each service tells the version that encrypts, if there is one.
    assert_eq!(
        signs(KeyPurpose::Encrypt, &[("1", KeyState::Enabled)]),
        None
    );
}
