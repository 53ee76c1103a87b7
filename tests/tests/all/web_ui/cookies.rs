//! A Web UI that cannot pass tokens on: people sign in at the codec server, and the browser sends the cookie. The browser
//! keeps cookies of other sites back, so both are reached by TLS at the same host.

use integration_tests::{
    ParcelOffice, browser,
    web_ui::{Generation, Passes},
};

use super::company::{Company, LIMIT};

async fn shows_plaintext_after_a_login_at_the_codec_server(generation: Generation) {
    let company = Company::open(generation, Passes::Cookies).await;
    let id = company.office.accept().await;
    let url = company.ui.page(&company.path(&id, "history"));
    let page = browser::open(&url, "Codec Server could not connect", LIMIT);
    company.assert_found(&page);
    assert!(!company.asked(&page).is_empty(), "{}", page.shown);
    assert!(
        company
            .asked(&page)
            .iter()
            .all(|answer| answer.status == 401)
    );
    Company::assert_nothing_shown(&page);

    let login = format!("{}/auth/login?return_to={url}", company.codec.url());
    let page = browser::open(&login, ParcelOffice::CONTENT, LIMIT);
    company.assert_found(&page);
    for answer in company.asked(&page) {
        assert_eq!(answer.proofs, ["cookie"], "{answer:?}");
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_older_web_ui_shows_plaintext_after_a_login_at_the_codec_server() {
    shows_plaintext_after_a_login_at_the_codec_server(Generation::Older).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newer_web_ui_shows_plaintext_after_a_login_at_the_codec_server() {
    shows_plaintext_after_a_login_at_the_codec_server(Generation::Newer).await;
}
