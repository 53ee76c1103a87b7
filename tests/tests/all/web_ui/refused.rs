//! Who sees ciphertext only.

use integration_tests::web_ui::{Generation, Passes};
use serde_json::json;

use super::company::Company;

/// The Web UI shows the same message for every refusal. The log of the codec server has the reason.
async fn shows_nothing_to_people_without_the_role(generation: Generation) {
    let company = Company::open(generation, Passes::Tokens).await;
    let id = company.office.accept().await;
    let path = company.path(&id, "history");

    company.employs(&["default:write", "other:read"]);
    let page = company.shows(&path, &["Codec Server could not connect"]);
    company.assert_asked(&page, &[403]);
    Company::assert_nothing_shown(&page);

    // Its ID token is valid for the Web UI. It is not made for the codec server.
    company.employs(&["default:read"]);
    company
        .issuer
        .sign_in_with(json!({ "exp": 1_700_000_000, "iat": 1_699_999_400 }));
    let page = company.shows(&path, &["Codec Server could not connect"]);
    company.assert_asked(&page, &[401]);
    Company::assert_nothing_shown(&page);
    let log = company.codec.log();
    assert!(log.contains("expired"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_older_web_ui_shows_no_plaintext_for_a_wrong_role_and_an_expired_token() {
    shows_nothing_to_people_without_the_role(Generation::Older).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newer_web_ui_shows_no_plaintext_for_a_wrong_role_and_an_expired_token() {
    shows_nothing_to_people_without_the_role(Generation::Newer).await;
}
