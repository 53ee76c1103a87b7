//! A company: an identity provider, a codec server, a Web UI, and an office with parcels.

use fake_oidc::{Client, Options};
use integration_tests::{
    ParcelOffice, SecuredServer, assert_absent,
    browser::{self, Page, Step},
    program_token,
    web_ui::{self, Generation, Passes, Place, WebUi},
};
use serde_json::{Value, json};

/// What nobody may read without the right to.
pub(super) const SECRETS: [&str; 3] = [
    ParcelOffice::CONTENT,
    ParcelOffice::NOTE,
    ParcelOffice::LABEL,
];

/// How long the browser waits for one text, in seconds. Two generations and a Temporal server share a machine.
pub(super) const LIMIT: u32 = 90;

pub(super) struct Company {
    pub(super) generation: Generation,
    pub(super) ui: WebUi,
    pub(super) codec: SecuredServer,
    pub(super) office: ParcelOffice,
    pub(super) issuer: fake_oidc::Server,
    /// A token of a program that may read and write.
    pub(super) token: String,
}

impl Company {
    pub(super) async fn open(generation: Generation, passes: Passes) -> Self {
        let office = ParcelOffice::open_to_plaintext("default").await;
        let clients = vec![
            Client::new("codec"),
            Client::new(web_ui::CLIENT)
                .with_secret(web_ui::SECRET)
                .without_pkce(),
        ];
        let options = Options {
            clients,
            access_token_audience: Some("codec-server".to_owned()),
            ..Options::default()
        };
        let issuer = fake_oidc::Server::start(([127, 0, 0, 1], 0).into(), options);
        let issuer = issuer.await.expect("an issuer");
        let place = Place::find().await;
        let (token, section) = program_token("cli", &["default:read", "default:write"]);
        let sections = format!(
            "[auth.issuers.company]\nissuer = \"{}\"\naudience = [\"codec-server\"]\npermissions_claim = \"permissions\"\n\
             {section}\n[auth.login]\nissuer = \"company\"\nclient_id = \"codec\"\n\
             redirect_url = \"https://localhost:PORT/auth/callback\"\nreturn_origins = [\"{origin}\"]\n\
             [cors]\nallowed_origins = [\"{origin}\"]\nallow_credentials = true\n",
            issuer.issuer(),
            origin = place.url(),
        );
        let policy = "on_undecodable = \"placeholder\"";
        let codec = SecuredServer::start_with_namespace(office.keyring(), &sections, policy);
        let sign_in = (passes == Passes::Tokens).then(|| issuer.issuer());
        let address = office.address();
        let ui = WebUi::start(generation, place, &address, sign_in, &codec.url(), passes);
        let company = Self {
            generation,
            ui,
            codec,
            office,
            issuer,
            token,
        };
        company.employs(&["default:read", "default:write"]);
        company
    }

    /// The person who signs in has these permissions from now on.
    pub(super) fn employs(&self, permissions: &[&str]) {
        self.issuer
            .sign_in_as(json!({ "sub": "ann", "name": "Ann", "permissions": permissions }));
    }

    /// Signs in at the Web UI, and takes `steps`.
    pub(super) fn signed_in(&self, steps: &[Step<'_>]) -> Page {
        let mut all = vec![
            Step::Click {
                click: "Continue to SSO",
            },
            Step::Wait {
                wait: "Start Workflow",
            },
        ];
        all.extend_from_slice(steps);
        browser::walk(self.ui.url(), &all, LIMIT)
    }

    /// As [`signed_in`](Self::signed_in): opens the page at `path`, which shows `texts`.
    pub(super) fn shows(&self, path: &str, texts: &[&str]) -> Page {
        let url = self.ui.page(path);
        let mut steps = vec![Step::Open { open: &url }];
        steps.extend(texts.iter().map(|wait| Step::Wait { wait }));
        let page = self.signed_in(&steps);
        self.assert_found(&page);
        page
    }

    pub(super) fn assert_found(&self, page: &Page) {
        assert!(
            page.found,
            "{:?} does not show it, but:\n{}\nanswers: {:?}\nthe codec server:\n{}",
            self.generation,
            page.shown,
            self.asked(page),
            self.codec.log()
        );
    }

    /// The answers of the codec server, without those to preflights.
    pub(super) fn asked<'p>(&self, page: &'p Page) -> Vec<&'p browser::Answer> {
        let of_codec = |answer: &&browser::Answer| {
            answer.url.starts_with(&self.codec.url()) && answer.method == "POST"
        };
        page.answers.iter().filter(of_codec).collect()
    }

    /// Asserts that all calls of the codec server had both tokens, and these statuses.
    pub(super) fn assert_asked(&self, page: &Page, statuses: &[u16]) {
        let asked = self.asked(page);
        assert!(!asked.is_empty(), "nothing was asked: {}", page.shown);
        for answer in asked {
            let has = |name: &str| answer.proofs.iter().any(|proof| proof == name);
            assert!(
                has("authorization") && has("authorization-extras"),
                "{answer:?}"
            );
            assert!(statuses.contains(&answer.status), "{answer:?}");
        }
    }

    /// Asserts that the person saw and got no secret.
    pub(super) fn assert_nothing_shown(page: &Page) {
        assert_absent("the page", page.shown.as_bytes(), &SECRETS);
    }

    /// The path of a workflow's page, with its run.
    pub(super) fn path(&self, id: &str, page: &str) -> String {
        let described = self.json(&["workflow", "describe", "-w", id]);
        let run = &described["workflowExecutionInfo"]["execution"]["runId"];
        format!("workflows/{id}/{}/{page}", run.as_str().expect("a run"))
    }

    /// What `temporal` answers as JSON, without a codec.
    pub(super) fn json(&self, arguments: &[&str]) -> Value {
        let shown = self
            .office
            .temporal(&[arguments, &["--output", "json"]].concat());
        serde_json::from_str(&shown).expect("JSON")
    }

    /// `temporal ARGUMENTS`, which encodes and decodes by the codec server.
    pub(super) fn temporal(&self, arguments: &[&str]) -> String {
        let mut command = self.office.cli();
        command
            .env("SSL_CERT_FILE", self.codec.authority())
            .env("TEMPORAL_CODEC_ENDPOINT", self.codec.url())
            .env("TEMPORAL_CODEC_AUTH", format!("Bearer {}", self.token))
            .args(arguments);
        integration_tests::output(command)
    }
}
