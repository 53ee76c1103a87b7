//! Every mistake is reported at its line, with what to do.

use super::*;
use crate::settings::Place;

const HASH: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

#[test]
fn a_configuration_with_everything_is_read() {
    let text = format!(
        r#"
[auth]
max_token = "8KiB"
[auth.http]
timeout = "2s"
proxy = "http://proxy.example:3128"
[auth.issuers.keycloak]
issuer = "https://keycloak.example/realms/temporal"
jwks_url = "https://keycloak.example/realms/temporal/certs"
audience = ["codec"]
id_token_audience = ["temporal-ui"]
algorithms = ["RS256", "ES256"]
clock_skew = "30s"
keys_max_age = "30m"
keys_hard_max_age = "6h"
keys_pause = "5s"
permissions_claim = "/resource_access/temporal/roles"
groups_claim = "groups"
email_claim = "email"
groups = {{ readers = ["payments:read"] }}
emails = {{ "Ann@Example.com" = ["temporal-system:read"] }}
domains = {{ "example.com" = ["payments:read"] }}
subjects = {{ "system:serviceaccount:a:b" = ["payments:worker"] }}
[auth.issuers."cloud.tmprl"]
profile = "temporal-cloud"
domains = {{ "example.com" = ["payments.a1b2c:read"] }}
[auth.issuers.google]
profile = "google"
audience = ["https://tasks.example"]
subjects = {{ "109876543210987654321" = ["payments:write"] }}
[auth.tokens.worker]
sha256 = ["{HASH}"]
permissions = ["payments:worker"]
expires = "2127-01-31T00:00:00Z"
[auth.certificates.batch]
names = ["dns:batch.example", "uri:spiffe://example/batch", "email:a@example.com", "cn:batch"]
permissions = ["payments:read"]
[auth.peers.local]
users = ["root"]
permissions = ["temporal-system:read"]
[auth.login]
issuer = "keycloak"
client_id = "codec"
redirect_url = "https://codec.example/auth/callback"
scopes = ["openid", "groups"]
session_lifetime = "4h"
return_origins = ["https://temporal.example"]
"#
    );
    let config = read(&text).unwrap();
    assert!(!config.is_open() && config.has_certificates());
    let authenticator = Authenticator::open(&config).unwrap();
    assert!(!authenticator.is_open() && authenticator.login().is_some());
}

#[test]
fn a_server_without_a_way_to_authenticate_is_open() {
    for text in ["", "[auth]\n", "[auth.http]\ntimeout = \"1s\"\n"] {
        assert!(read(text).unwrap().is_open(), "{text}");
    }
}

/// A text, the line of its mistake, the setting, and a part of the message.
type Mistake<'m> = (&'m str, usize, &'m str, &'m str);

const MISTAKES: [Mistake<'_>; 55] = [
    (
        "[auth]\nmax_token = \"1B\"",
        2,
        "auth.max_token",
        "at least 1KiB",
    ),
    (
        "[auth]\nmax_token = \"1GiB\"",
        2,
        "auth.max_token",
        "at most 1MiB",
    ),
    (
        "[auth]\nissuer = \"x\"",
        2,
        "auth.issuer",
        "did you mean `issuers`",
    ),
    (
        "[auth.http]\nproxy = \"proxy:3128\"",
        2,
        "auth.http.proxy",
        "expected the URL of a proxy",
    ),
    (
        "[auth.http]\nproxy = \"http://u:p@proxy:3128\"",
        2,
        "auth.http.proxy",
        "set HTTPS_PROXY",
    ),
    (
        "[auth.http]\nca_file = \"ca.pem\"",
        2,
        "auth.http.ca_file",
        "expected an absolute path",
    ),
    (
        "[auth.issuers.a]\naudience = [\"x\"]",
        1,
        "auth.issuers.a",
        "`issuer` is missing; add",
    ),
    (
        "[auth.issuers.a]\nissuer = \"https://a.example\"",
        1,
        "auth.issuers.a",
        "set `audience`",
    ),
    (
        "[auth.issuers.a]\nissuer = \"http://a.example\"\naudience = [\"x\"]",
        2,
        "auth.issuers.a.issuer",
        "must begin with https://",
    ),
    (
        "[auth.issuers.a]\nissuer = \"https://u:p@a.example\"\naudience = [\"x\"]",
        2,
        "auth.issuers.a.issuer",
        "remove them",
    ),
    (
        "[auth.issuers.a]\nissuer = \"https://a.example/?x\"\naudience = [\"x\"]",
        2,
        "auth.issuers.a.issuer",
        "must have no query",
    ),
    (
        "[auth.issuers.a]\nissuer = \"https://a.example\"\naudience = [\"x\"]\njwks_url = \"http://a.example/keys\"",
        4,
        "auth.issuers.a.jwks_url",
        "must begin with https://",
    ),
    (
        "[auth.issuers.a]\nissuer = \"https://a.example\"\naudience = [\"x\"]\nalgorithms = [\"HS256\"]",
        4,
        "auth.issuers.a.algorithms",
        "expected an algorithm with a public key",
    ),
    (
        "[auth.issuers.a]\nissuer = \"https://a.example\"\naudience = [\"x\"]\nalgorithms = [\"none\"]",
        4,
        "auth.issuers.a.algorithms",
        "expected an algorithm",
    ),
    (
        "[auth.issuers.a]\nissuer = \"https://a.example\"\naudience = [\"x\"]\nalgorithms = []",
        1,
        "auth.issuers.a",
        "name an algorithm",
    ),
    (
        "[auth.issuers.a]\nissuer = \"https://a.example\"\naudience = [\"x\"]\nclock_skew = \"1h\"",
        4,
        "auth.issuers.a.clock_skew",
        "at most 5m",
    ),
    (
        "[auth.issuers.a]\nissuer = \"https://a.example\"\naudience = [\"x\"]\nkeys_max_age = \"48h\"",
        1,
        "auth.issuers.a",
        "`keys_hard_max_age` must not be shorter",
    ),
    (
        "[auth.issuers.a]\nissuer = \"https://a.example\"\naudience = [\"x\"]\ngroups = { g = \"a:read\" }",
        4,
        "auth.issuers.a.groups.g",
        "expected a list",
    ),
    (
        "[auth.issuers.a]\nissuer = \"https://a.example\"\naudience = [\"x\"]\ngroups = { g = [\"a:reader\"] }",
        4,
        "auth.issuers.a.groups.g",
        "read, write, worker or admin",
    ),
    (
        "[auth.issuers.a]\nissuer = \"https://a.example\"\naudience = [\"x\"]\ngroups = { g = [\"*:read\"] }",
        4,
        "auth.issuers.a.groups.g",
        "write temporal-system:ROLE",
    ),
    (
        "[auth.issuers.a]\nissuer = \"https://a.example\"\naudience = [\"x\"]\nemails = { ann = [\"a:read\"] }",
        1,
        "auth.issuers.a",
        "not an e-mail address; correct it",
    ),
    (
        "[auth.issuers.a]\nissuer = \"https://a.example\"\naudience = [\"x\"]\ndomains = { \"*.example.com\" = [\"a:read\"] }",
        1,
        "auth.issuers.a",
        "expected what follows the @",
    ),
    (
        "[auth.issuers.a.b]\nissuer = \"https://a.example\"",
        1,
        "auth.issuers.a.b",
        "quote a name with dots: [auth.issuers.\"a.b\"]",
    ),
    (
        "[auth.issuers.a]\nprofile = \"cloud\"\nissuer = \"https://a.example\"\naudience = [\"x\"]",
        2,
        "auth.issuers.a.profile",
        "must be `temporal-cloud` or `google`",
    ),
    (
        "[auth.issuers.a]\nprofile = \"temporal-cloud\"",
        1,
        "auth.issuers.a",
        "every customer of Temporal Cloud",
    ),
    (
        "[auth.issuers.a]\nprofile = \"temporal-cloud\"\nsubjects = { s = [\"a:read\"] }",
        1,
        "auth.issuers.a",
        "every customer of Temporal Cloud",
    ),
    (
        "[auth.issuers.a]\nprofile = \"temporal-cloud\"\npermissions_claim = \"permissions\"\ndomains = { \"example.com\" = [\"a:read\"] }",
        1,
        "auth.issuers.a",
        "must not be set with the profile",
    ),
    (
        "[auth.issuers.a]\nprofile = \"google\"\naudience = [\"https://tasks.example\"]",
        1,
        "auth.issuers.a",
        "every Google account can get a token",
    ),
    (
        "[auth.issuers.a]\nprofile = \"google\"\nemails = { \"a@example.com\" = [\"a:read\"] }",
        1,
        "auth.issuers.a",
        "it accepts no token; set `audience`",
    ),
    (
        "[auth.issuers.a]\nprofile = \"google\"\naudience = [\"x\"]\ngroups_claim = \"groups\"\nemails = { \"a@example.com\" = [\"a:read\"] }",
        1,
        "auth.issuers.a",
        "must not be set with the profile google",
    ),
    // The URL of an issuer that everybody has tokens of counts as its profile.
    (
        "[auth.issuers.a]\nissuer = \"https://login.tmprl.cloud/\"\naudience = [\"https://saas-api.tmprl.cloud\"]",
        1,
        "auth.issuers.a",
        "every customer of Temporal Cloud",
    ),
    (
        "[auth.issuers.a]\nissuer = \"https://login.tmprl.cloud/\"\nsubjects = { s = [\"a:read\"] }",
        1,
        "auth.issuers.a",
        "every customer of Temporal Cloud",
    ),
    (
        "[auth.issuers.a]\nissuer = \"https://login.tmprl.cloud/\"\ngroups_claim = \"groups\"\ndomains = { \"example.com\" = [\"a:read\"] }",
        1,
        "auth.issuers.a",
        "must not be set with the profile temporal-cloud",
    ),
    (
        "[auth.issuers.a]\nprofile = \"google\"\nissuer = \"https://login.tmprl.cloud/\"\nsubjects = { s = [\"a:read\"] }",
        1,
        "auth.issuers.a",
        "every customer of Temporal Cloud",
    ),
    (
        "[auth.issuers.a]\nissuer = \"https://accounts.google.com\"\naudience = [\"https://tasks.example\"]",
        1,
        "auth.issuers.a",
        "every Google account can get a token",
    ),
    (
        "[auth.issuers.a]\nissuer = \"https://accounts.google.com\"\nid_token_audience = [\"x\"]\ngroups_claim = \"hd\"\ndomains = { \"example.com\" = [\"a:read\"] }",
        1,
        "auth.issuers.a",
        "must not be set with the profile google",
    ),
    (
        "[auth.issuers.a]\nissuer = \"https://a.example\"\naudience = [\"x\"]\n[auth.issuers.b]\nissuer = \"https://a.example\"\naudience = [\"y\"]",
        1,
        "auth",
        "listed already; remove it",
    ),
    (
        "[auth.tokens.a]\npermissions = [\"a:read\"]",
        1,
        "auth.tokens.a",
        "run `codec-server token`",
    ),
    (
        "[auth.tokens.a]\nsha256 = [\"aa\"]\npermissions = [\"a:read\"]",
        2,
        "auth.tokens.a.sha256",
        "expected the SHA-256 of a token",
    ),
    (
        "[auth.tokens.a]\nsha256 = [\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"]",
        1,
        "auth.tokens.a",
        "`permissions` is empty; add",
    ),
    (
        "[auth.tokens.a]\nsha256 = [\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"]\npermissions = [\"a:read\"]\nexpires = \"2027-01-31\"",
        4,
        "auth.tokens.a.expires",
        "expected a time in UTC",
    ),
    (
        "[auth.tokens.a]\nsha256 = [\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\", \"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"]\npermissions = [\"a:read\"]",
        1,
        "auth",
        "listed already; remove it",
    ),
    (
        "[auth.certificates.a]\npermissions = [\"a:read\"]",
        1,
        "auth.certificates.a",
        "`names` is empty; add",
    ),
    (
        "[auth.certificates.a]\nnames = [\"a.example\"]\npermissions = [\"a:read\"]",
        2,
        "auth.certificates.a.names",
        "expected a name of a certificate",
    ),
    (
        "[auth.certificates.a]\nnames = [\"dns:*.example\"]\npermissions = [\"a:read\"]",
        2,
        "auth.certificates.a.names",
        "there are no wildcards",
    ),
    (
        "[auth.certificates.a]\nnames = [\"cn:a\"]\npermissions = [\"a:read\"]\n[auth.certificates.b]\nnames = [\"cn:a\"]\npermissions = [\"a:read\"]",
        1,
        "auth",
        "listed already; remove it",
    ),
    (
        "[auth.peers.a]\npermissions = [\"a:read\"]",
        1,
        "auth.peers.a",
        "`users` is empty; add",
    ),
    (
        "[auth.peers.a]\nusers = [\"root\"]\npermissions = []",
        1,
        "auth.peers.a",
        "`permissions` is empty; add",
    ),
    (
        "[auth.login]\nclient_id = \"x\"\nredirect_url = \"https://a.example/auth/callback\"",
        1,
        "auth.login",
        "`issuer` is missing; add",
    ),
    (
        "[auth.login]\nissuer = \"a\"\nredirect_url = \"https://a.example/auth/callback\"",
        1,
        "auth.login",
        "`client_id` is missing; add",
    ),
    (
        "[auth.login]\nissuer = \"a\"\nclient_id = \"x\"",
        1,
        "auth.login",
        "`redirect_url` is missing; add",
    ),
    (
        "[auth.login]\nissuer = \"a\"\nclient_id = \"x\"\nredirect_url = \"https://a.example/callback\"",
        4,
        "auth.login.redirect_url",
        "must end in /auth/callback",
    ),
    (
        "[auth.login]\nissuer = \"a\"\nclient_id = \"x\"\nredirect_url = \"https://a.example/auth/callback\"",
        1,
        "auth",
        "add [auth.issuers.a], or correct the name",
    ),
    (
        "[auth.login]\nissuer = \"a\"\nclient_id = \"x\"\nredirect_url = \"https://a.example/auth/callback\"\nsession_lifetime = \"30days\"",
        5,
        "auth.login.session_lifetime",
        "at most 7d",
    ),
    (
        "[auth.login]\nissuer = \"a\"\nclient_id = \"x\"\nredirect_url = \"https://a.example/auth/callback\"\nreturn_origins = [\"https://a.example/x\"]",
        5,
        "auth.login.return_origins",
        "expected an origin without a path, such as https://a.example",
    ),
];

#[test]
fn every_mistake_is_reported_at_its_line_with_what_to_do() {
    for (text, line, setting, message) in MISTAKES {
        let problems = read(text).expect_err(text);
        let is_it = |problem: &Problem| {
            problem.place == Some(Place::Line(line))
                && problem.setting == setting
                && problem.message.contains(message)
        };
        assert!(problems.iter().any(is_it), "{text}\n{problems:#?}");
    }
}

#[test]
fn files_and_users_that_are_missing_are_faults_with_their_setting() {
    let text = r#"
[auth.http]
ca_file = "/does/not/exist.pem"
[auth.issuers.a]
issuer = "https://a.example"
audience = ["x"]
[auth.peers.a]
users = ["no-such-user"]
permissions = ["a:read"]
"#;
    let faults = Authenticator::open(&read(text).unwrap()).unwrap_err();
    let settings: Vec<&str> = faults.iter().map(|fault| fault.setting.as_str()).collect();
    assert_eq!(settings, ["auth.peers.a.users", "auth.http.ca_file"]);

    let text = r#"
[auth.issuers.a]
issuer = "https://a.example"
audience = ["x"]
[auth.login]
issuer = "a"
client_id = "x"
client_secret_file = "/does/not/exist"
secret_file = "/does/not/exist/either"
redirect_url = "https://codec.example/auth/callback"
"#;
    let faults = Authenticator::open(&read(text).unwrap()).unwrap_err();
    let settings: Vec<&str> = faults.iter().map(|fault| fault.setting.as_str()).collect();
    assert_eq!(
        settings,
        ["auth.login.client_secret_file", "auth.login.secret_file"]
    );
    assert!(
        faults
            .iter()
            .all(|fault| fault.message.contains("check its path"))
    );
}

#[test]
fn the_examples_of_the_documentation_are_configurations() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../docs/codec-server/authentication.md"
    );
    let document = std::fs::read_to_string(path).unwrap();
    let blocks = document.split("```toml\n").skip(1);
    let examples: Vec<&str> = blocks
        .filter_map(|block| block.split("```").next())
        .collect();
    assert!(examples.len() > 10, "{}", examples.len());
    for example in examples {
        read(example).expect(example);
    }
}
