//! The pictures in the documents. `cargo xtask test --pictures` writes them into `docs/images`; other runs take them too,
//! and throw them away.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use integration_tests::{
    ParcelOffice,
    browser::{self, Step},
    web_ui::{Generation, Passes, Place, WebUi},
};
use tempfile::TempDir;

use super::company::{Company, LIMIT};

const WINDOW: (u32, u32) = (1200, 700);
/// A picture is part of every checkout.
const LARGEST: usize = 200 << 10;

/// Where pictures go: into the documents when the variable says so.
struct Album {
    folder: PathBuf,
    _thrown_away: TempDir,
}

impl Album {
    fn open() -> Self {
        let thrown_away = TempDir::new().expect("a folder");
        let folder = env::var_os("TKC_PICTURES").map(PathBuf::from);
        Self {
            folder: folder.unwrap_or_else(|| thrown_away.path().to_owned()),
            _thrown_away: thrown_away,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

fn assert_picture(path: &Path) {
    let picture = fs::read(path).expect("a picture");
    assert!(picture.starts_with(b"\x89PNG\r\n"), "{}", path.display());
    assert!(picture.len() <= LARGEST, "{} bytes", picture.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_of_the_documents_show_the_web_ui() {
    let album = Album::open();
    let company = Company::open(Generation::Newer, Passes::Tokens).await;
    let id = company.office.accept().await;
    company.office.deliver(&id).await;
    let path = company.path(&id, "timeline");

    let picture = album.path("web-ui-decoded.png");
    let url = company.ui.page(&path);
    let page = company.signed_in(&[
        Step::Resize { resize: WINDOW },
        Step::Open { open: &url },
        Step::Wait {
            wait: ParcelOffice::CONTENT,
        },
        Step::Wait {
            wait: ParcelOffice::LABEL,
        },
        Step::Screenshot {
            screenshot: &picture,
        },
    ]);
    company.assert_found(&page);
    assert_picture(&picture);

    let picture = album.path("web-ui-encrypted.png");
    let place = Place::find().await;
    let address = company.office.address();
    let plain = WebUi::start(
        Generation::Newer,
        place,
        &address,
        None,
        "",
        Passes::Cookies,
    );
    let page = browser::walk(
        &plain.page(&path),
        &[
            Step::Resize { resize: WINDOW },
            Step::Wait { wait: "Completed" },
            Step::Wait { wait: "Result" },
            Step::Screenshot {
                screenshot: &picture,
            },
        ],
        LIMIT,
    );
    company.assert_found(&page);
    Company::assert_nothing_shown(&page);
    assert_picture(&picture);
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_of_the_documents_show_the_page_of_the_codec_server() {
    let album = Album::open();
    let company = Company::open(Generation::Newer, Passes::Tokens).await;
    let id = company.office.accept().await;
    company.office.deliver(&id).await;
    let folder = TempDir::new().expect("a folder");
    let history = folder.path().join("history.json");
    let exported = ["workflow", "show", "-w", &id, "--output", "json"];
    fs::write(&history, company.office.temporal(&exported)).expect("a file");

    let picture = album.path("page.png");
    let page = browser::walk(
        &company.codec.url(),
        &[
            Step::Resize { resize: WINDOW },
            Step::Follow { follow: "Log in" },
            Step::Wait { wait: "ann" },
            Step::Upload {
                upload: "History or payload",
                file: &history,
            },
            Step::Wait { wait: "Done." },
            Step::Click { click: "Open all" },
            Step::Wait {
                wait: ParcelOffice::CONTENT,
            },
            Step::Scroll {
                scroll: "workflow execution started",
            },
            Step::Screenshot {
                screenshot: &picture,
            },
        ],
        LIMIT,
    );
    company.assert_found(&page);
    assert_picture(&picture);
}
