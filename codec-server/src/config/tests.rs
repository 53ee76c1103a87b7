//! The file with the environment over it, and the words for every mistake.

use std::{num::NonZeroU32, time::Duration};

use temporal_kms_codec::{
    Compression, Format, Namespace, PlaintextPolicy, RequiredContext, kms::Setting,
};

use super::*;

fn parse(text: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
    let variable = |name: &str| {
        environment
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| (*value).to_owned())
    };
    settings()
        .parse(Some(text), &variable, Config::read)
        .map_err(|problems| {
            Problems {
                file: "codec.toml".to_owned(),
                problems,
            }
            .to_string()
        })
}

const SMALL: &str =
    "[keys]\nlocal_keyring = \"keys\"\n[namespaces.default]\nencrypt = [\"local://default\"]\n";

fn named(config: &Config, name: &str) -> NamespaceConfig {
    let NamespacesConfig::Named(named) = &config.namespaces else {
        panic!("named")
    };
    named.get(&Namespace::new(name).unwrap()).unwrap().clone()
}

#[test]
fn a_small_file_is_enough() {
    let config = parse(SMALL, &[]).unwrap();
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8081");
    assert_eq!(config.server.limits.max_payloads, 1000);
    assert!(config.server.admin_listen.is_none());
    assert!(!config.cors.allow_local_origins && config.cors.allowed_origins.is_empty());
    let namespace = named(&config, "default");
    assert_eq!(namespace.format, Format::Envelope);
    assert_eq!(namespace.plaintext, PlaintextPolicy::Allow);
    assert_eq!(namespace.on_undecodable, OnUndecodable::Fail);
}

#[test]
fn a_section_that_authenticates_nobody_is_a_mistake() {
    for section in [
        "[auth]\n",
        "[auth]\nmax_token = \"8KiB\"\n",
        "[auth.http]\ntimeout = \"1s\"\n",
        "[auth.tokens]\n",
    ] {
        let problems = parse(&format!("{section}{SMALL}"), &[]).unwrap_err();
        assert!(
            problems.contains("codec.toml:1: auth: the section names no caller"),
            "{section}: {problems}"
        );
    }
    // A caller with a mistake is one mistake.
    let problems = parse(&format!("[auth.peers.a]\nusers = [\"root\"]\n{SMALL}"), &[]).unwrap_err();
    assert!(!problems.contains("names no caller"), "{problems}");
    assert!(parse(SMALL, &[]).is_ok());
}

#[test]
#[expect(clippy::too_many_lines, reason = "every setting once")]
fn every_setting_is_read() {
    let config = parse(
        r#"
        [server]
        listen = "[::1]:9000"
        admin_listen = "127.0.0.1:9001"
        allowed_hosts = ["Codec.example.com"]
        page = false
        path_prefixes = ["/codec", "/temporal/codec/"]
        max_body = "1MiB"
        max_answer = "2MiB"
        max_payloads = 0x10
        max_headers = 16384
        max_requests = 3
        max_connections = 4
        max_memory = "300MiB"
        header_timeout = "1s"
        body_timeout = "2s"
        request_timeout = "3s"
        write_timeout = "4s"
        answer_timeout = "6s"
        shutdown_delay = "7s"
        shutdown_grace = "5s"
        [cors]
        allowed_origins = ["https://ui.example.com", "http://ui.internal:8080"]
        allow_local_origins = true
        allow_credentials = false
        max_age = "1m"
        [keys]
        local_keyring = "keys"
        [keys.rotation]
        period = "30d"
        max_age = "730d"
        [log]
        level = "warn,temporal_kms=debug"
        [reload]
        watch_interval = "8s"
        [cache]
        data_keys = 7
        ttl = "2m"
        [namespaces."prod.a1b2c"]
        encrypt = ["local://2026", "gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k"]
        decrypt = ["local://2025"]
        format = "envelope"
        decrypt_formats = ["envelope"]
        context = { env = "prod", "team" = "x" }
        require_context = ["env"]
        compression = "zstd"
        compression_level = 9
        compression_min_bytes = "1KiB"
        max_decompressed = "4MiB"
        plaintext = "reject"
        on_undecodable = "placeholder"
        accept_namespaces = ["staging", "prod.old"]
        max_body = "64KiB"
        max_payloads = 8
        max_requests = 9
        max_rate = 10
        max_burst = 11
        cache = { data_keys = 8 }
        dek = { max_age = "2h", renew_before = "10m", hard_max_age = "3h", max_messages = 5, max_bytes = "1GiB" }
        "#,
        &[],
    )
    .unwrap();
    let ServerConfig {
        listen,
        admin_listen,
        insecure_without_authentication,
        allowed_hosts,
        page,
        path_prefixes,
        limits,
        timeouts,
    } = &config.server;
    assert_eq!(path_prefixes.len(), 2);
    assert_eq!(limits.max_memory, 300 << 20);
    assert_eq!(timeouts.answer, Duration::from_secs(6));
    assert_eq!(timeouts.shutdown_delay, Duration::from_secs(7));
    assert_eq!(listen.to_string(), "[::1]:9000");
    assert_eq!(admin_listen.as_ref().unwrap().to_string(), "127.0.0.1:9001");
    assert!(!insecure_without_authentication && !page);
    assert_eq!(allowed_hosts, &["codec.example.com"]);
    assert_eq!((limits.max_body, limits.max_answer), (1 << 20, 2 << 20));
    assert_eq!((limits.max_payloads, limits.max_headers), (16, 16384));
    assert_eq!((limits.max_requests, limits.max_connections), (3, 4));
    let seconds = [
        timeouts.header,
        timeouts.body,
        timeouts.request,
        timeouts.write,
        timeouts.shutdown_grace,
    ];
    assert_eq!(seconds.map(|time| time.as_secs()), [1, 2, 3, 4, 5]);
    assert_eq!(config.cors.allowed_origins.len(), 2);
    assert!(config.cors.allow_local_origins && !config.cors.allow_credentials);
    assert_eq!(config.cors.max_age, Duration::from_mins(1));
    let keyring = std::env::current_dir().unwrap().join("keys");
    assert_eq!(config.keys.local_keyring(), Some(keyring.as_path()));

    let level = config.log.level.as_ref().unwrap();
    assert_eq!(level.to_string(), "warn,temporal_kms=debug");
    assert_eq!(config.reload.watch_interval, Duration::from_secs(8));
    let days = |days: u64| Duration::from_hours(days * 24);
    assert_eq!(config.rotation.period, days(30));
    assert_eq!(config.rotation.max_age, days(730));

    let namespace = named(&config, "prod.a1b2c");
    let accepted: Vec<_> = namespace
        .accept_namespaces
        .iter()
        .map(Namespace::as_str)
        .collect();
    assert_eq!(accepted, ["staging", "prod.old"]);
    let limits = &namespace.limits;
    assert_eq!(
        (limits.max_body, limits.max_payloads),
        (Some(64 << 10), Some(8))
    );
    assert_eq!(limits.max_requests, Some(9));
    let rates = (limits.max_rate, limits.max_burst);
    assert_eq!(rates, (NonZeroU32::new(10), NonZeroU32::new(11)));
    let keys: Vec<_> = namespace.encrypt.iter().map(ToString::to_string).collect();
    assert_eq!(
        keys,
        [
            "local://2026",
            "gcp-kms://projects/p/locations/l/keyRings/r/cryptoKeys/k"
        ]
    );
    assert_eq!(namespace.decrypt[0].to_string(), "local://2025");
    assert_eq!(namespace.context["env"], "prod");
    assert_eq!(namespace.decrypt_formats, Some(vec![Format::Envelope]));
    assert_eq!(namespace.require_context, RequiredContext::named(["env"]));
    assert_eq!(
        namespace.compression,
        Compression::Zstd {
            level: 9,
            min_bytes: 1024
        }
    );
    assert_eq!(
        (namespace.cache.max_keys, namespace.cache.ttl),
        (8, Duration::from_mins(2))
    );
    assert_eq!(namespace.max_decompressed, 4 << 20);
    assert_eq!(namespace.plaintext, PlaintextPolicy::Reject);
    assert_eq!(namespace.on_undecodable, OnUndecodable::Placeholder);
    assert_eq!(namespace.dek_limits.max_age, Duration::from_hours(2));
    assert_eq!(
        (
            namespace.dek_limits.max_messages,
            namespace.dek_limits.max_bytes
        ),
        (5, 1 << 30)
    );
}

/// A new setting of a service is not forgotten here. The test says which lines the file lacks, and with
/// `UPDATE_EXAMPLE=1` writes them.
#[test]
fn the_example_has_every_setting_of_every_service_as_its_table_says() {
    const AFTER_KEYS: &str = "\n# Every call of a service";
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/codec.example.toml");
    let mut text = std::fs::read_to_string(file).unwrap();
    for service in Kms::default().services() {
        let lines = service.settings().into_iter().map(Setting::example_lines);
        let lines: String = lines.collect();
        if std::env::var_os("UPDATE_EXAMPLE").is_some() && !text.contains(&lines) {
            text = text.replacen(AFTER_KEYS, &format!("\n{lines}{AFTER_KEYS}"), 1);
            std::fs::write(file, &text).unwrap();
        }
        assert!(
            text.contains(&format!("\n\n{lines}\n")),
            "codec.example.toml lacks under [keys]:\n\n{lines}"
        );
    }
}

#[test]
fn the_environment_wins_over_the_file() {
    let text = format!("[server]\nlisten = \"127.0.0.1:1\"\nmax_payloads = 7\n{SMALL}");
    let config = parse(
        &text,
        &[
            ("CODEC_SERVER_LISTEN", "127.0.0.1:2"),
            ("CODEC_SERVER_MAX_PAYLOADS", ""),
            (
                "CODEC_CORS_ALLOWED_ORIGINS",
                "https://a.example, https://b.example",
            ),
            ("CODEC_KEYS_LOCAL_KEYRING", "/keys"),
        ],
    )
    .unwrap();
    assert_eq!(config.server.listen.tcp().unwrap().port(), 2);
    assert_eq!(
        config.server.limits.max_payloads, 7,
        "an empty variable counts as unset"
    );
    assert_eq!(config.cors.allowed_origins.len(), 2);
    assert_eq!(config.keys.local_keyring(), Some("/keys".as_ref()));
}

#[test]
fn every_mistake_is_reported_at_once_with_its_line() {
    let error = parse(
        r#"[server]
listen = "0.0.0.0:8081"
max_bdy = 1
max_payloads = 0
body_timeout = 5

[cors]
allowed_origins = [
  "https://ok.example",
  "https://example.com/",
  "*",
]
allow_credentials = "maybe"

[unknown]
mode = "x"

[namespaces.default]
encrypt = ["default"]
format = "v9"
compression = "gzip"
dek = { max_age = "1h", renew_before = "2h" }
on_undecodable = "shrug"

[namespaces.prod]
plaintext = "no"
context = { env = 1 }
"#,
        &[("CODEC_SERVER_MAX_BODY", "lots")],
    )
    .unwrap_err();
    let expected = [
        "codec.toml:2: server.listen: 0.0.0.0:8081 is reachable from other machines",
        "codec.toml:3: server.max_bdy: there is no such setting; did you mean `max_body`?",
        "codec.toml:4: server.max_payloads: expected a whole number from 1 to",
        "codec.toml:5: server.body_timeout: expected a time with its unit",
        "codec.toml:10: cors.allowed_origins: `https://example.com/` is not an origin",
        "codec.toml:11: cors.allowed_origins: `*` is not an origin",
        "codec.toml:13: cors.allow_credentials: expected true or false",
        "codec.toml:15: unknown: there is no such section",
        "codec.toml:19: namespaces.default.encrypt: …: it starts with none of local://",
        "codec.toml:20: namespaces.default.format: it must be",
        "codec.toml:21: namespaces.default.compression: it must be",
        "codec.toml:22: namespaces.default.dek: `renew_before` must be shorter than `max_age`",
        "codec.toml:23: namespaces.default.on_undecodable: it must be",
        "codec.toml:25: namespaces.prod: there is no key; name the key to encrypt with",
        "codec.toml:26: namespaces.prod.plaintext: it must be",
        "codec.toml:27: namespaces.prod.context.env: expected a text in quotes",
        "CODEC_SERVER_MAX_BODY: server.max_body: expected a size",
    ];
    let lines: Vec<_> = error.lines().collect();
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected), "{line}\n{expected}");
    }
    assert_eq!(lines.len(), expected.len(), "{error}");
}

#[test]
fn broken_toml_is_reported_with_its_line() {
    let error = parse("[server]\nlisten = \n[cors\n", &[]).unwrap_err();
    let lines: Vec<_> = error.lines().collect();
    assert!(lines[0].starts_with("codec.toml:2: not TOML: "), "{error}");
    assert!(lines[1].starts_with("codec.toml:3: not TOML: "), "{error}");
    let error = parse("[server]\nmax_body = 1\nmax_body = 2\n", &[]).unwrap_err();
    assert!(error.starts_with("codec.toml:3: not TOML: "), "{error}");
}

#[test]
fn sections_must_be_tables_and_one_namespace_there() {
    let error = parse("server = 1\n", &[]).unwrap_err();
    assert!(
        error.contains("codec.toml:1: server: expected a table"),
        "{error}"
    );
    assert!(
        error.contains("codec.toml: namespaces: no namespace is configured"),
        "{error}"
    );
    assert!(parse("", &[]).is_err());
    let error = parse("namespaces = 3", &[]).unwrap_err();
    assert!(error.contains("no namespace is configured"), "{error}");
}

#[test]
fn only_loopback_is_listened_on() {
    for good in [
        "127.0.0.1:0",
        "[::1]:1",
        "127.9.9.9:1",
        "[::ffff:127.0.0.1]:1",
        "localhost:1",
    ] {
        assert!(loopback(good).is_ok(), "{good}");
    }
    for bad in [
        "0.0.0.0:1",
        "[::]:1",
        "10.0.0.1:1",
        "192.168.1.1:1",
        "[::ffff:10.0.0.1]:1",
    ] {
        assert!(
            loopback(bad)
                .unwrap_err()
                .contains("does not authenticate clients"),
            "{bad}"
        );
    }
    for bad in ["localhost", "localhost:x", "127.0.0.1", "", ":1", "8081"] {
        assert!(
            loopback(bad).unwrap_err().contains("is not ADDRESS:PORT"),
            "{bad}"
        );
    }
}

#[test]
fn health_is_answered_on_any_address() {
    let text = format!("[server]\nadmin_listen = \"0.0.0.0:8082\"\n{SMALL}");
    let config = parse(&text, &[]).unwrap();
    assert_eq!(
        config.server.admin_listen.unwrap().to_string(),
        "0.0.0.0:8082"
    );
    let error = parse(&text.replace("admin_listen", "listen"), &[]).unwrap_err();
    assert!(error.contains("reachable from other machines"), "{error}");
}

#[test]
fn the_memory_is_enough_for_one_request_as_large_as_allowed() {
    let text = format!("[server]\nmax_answer = \"1GiB\"\n{SMALL}");
    let error = parse(&text, &[]).unwrap_err();
    assert!(error.contains("`max_memory` must be at least"), "{error}");
    let text = text.replace("[server]", "[server]\nmax_memory = \"3GiB\"");
    assert!(parse(&text, &[]).is_ok());

    // Strings with escapes are copied while a body is read.
    let text = format!("[server]\nmax_body = \"100MiB\"\n{SMALL}");
    let error = parse(&text, &[]).unwrap_err();
    let least = format!("`max_memory` must be at least {} bytes", 600 << 20);
    assert!(error.contains(&least), "{error}");
    let text = text.replace("[server]", "[server]\nmax_memory = \"600MiB\"");
    assert!(parse(&text, &[]).is_ok());
}

#[test]
fn path_prefixes_are_paths() {
    for bad in ["", "/", "codec", "/a//b", "/a?b", "/a b", "//a"] {
        let text = format!("[server]\npath_prefixes = [\"{bad}\"]\n{SMALL}");
        let error = parse(&text, &[]).unwrap_err();
        assert!(
            error.starts_with("codec.toml:2: server.path_prefixes: expected a path"),
            "{bad}: {error}"
        );
    }
}

#[test]
fn a_wrong_cache_hides_no_other_mistake() {
    let error = parse(
        r#"[cache]
ttl = "soon"
[keys]
aws_endpoint = "nonsense"
[namespaces.default]
encrypt = ["local://default", "local://default"]
"#,
        &[],
    )
    .unwrap_err();
    for expected in [
        "codec.toml:2: cache.ttl: expected a time",
        "codec.toml:4: keys.aws_endpoint: ",
        "codec.toml:6: namespaces.default.encrypt: local://default: name the folder of local:// keys",
        "codec.toml:6: namespaces.default.encrypt: local://default is named twice",
    ] {
        assert!(error.contains(expected), "{expected}\n{error}");
    }
}

#[test]
fn every_mistake_of_one_namespace_is_reported_at_once() {
    let error = parse(
        r#"[keys]
local_keyring = "keys"
[cache]
data_keys = 20000000
[namespaces.default]
encrypt = ["local://a", "local://a"]
decrypt_formats = ["direct"]
context = { namespace = "x" }
dek = { hard_max_age = "365d", max_messages = 4294967297 }
[namespaces.other]
encrypt = ["local://a", "local://b"]
format = "direct"
"#,
        &[],
    )
    .unwrap_err();
    let expected = [
        "codec.toml:4: cache.data_keys: it must be at most 10000000",
        "codec.toml:6: namespaces.default.encrypt: local://a is named twice",
        "codec.toml:7: namespaces.default.decrypt_formats: it must contain `envelope`",
        "codec.toml:8: namespaces.default.context: the pair `namespace` is set by the codec itself",
        "codec.toml:9: namespaces.default.dek.max_messages: expected a whole number from 1",
        "codec.toml:11: namespaces.other.encrypt: only the format `envelope` has several recipients",
    ];
    let lines: Vec<&str> = error.lines().collect();
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected), "{line}\n{expected}");
    }
    assert_eq!(lines.len(), expected.len(), "{error}");
}

#[test]
fn a_misspelt_setting_is_not_missing_as_well() {
    let text = SMALL.replace("local_keyring", "local_keyrng");
    let error = parse(&text, &[]).unwrap_err();
    assert_eq!(
        error,
        "codec.toml:2: keys.local_keyrng: there is no such setting; did you mean `local_keyring`?"
    );
}

#[test]
fn the_cache_is_checked_where_no_namespace_is_described() {
    let parsed = settings().parse(
        None,
        &|name| (name == "CODEC_CACHE_TTL").then(|| "soon".to_owned()),
        Config::read,
    );
    let problems = parsed.unwrap_err();
    let places: Vec<_> = problems
        .iter()
        .map(|problem| problem.place.clone())
        .collect();
    let variable = |name: &str| Some(Place::Variable(name.to_owned()));
    assert_eq!(
        places,
        [variable("CODEC_CACHE_TTL"), variable("TEMPORAL_CODEC_KEY")]
    );
}

#[test]
fn roles_need_namespaces_with_names() {
    let token = format!(
        "[auth.tokens.a]\nsha256 = [\"{}\"]\npermissions = [\"default:read\"]\n",
        "0a".repeat(32)
    );
    for (auth, is_refused) in [(token.as_str(), true), ("", false)] {
        let mut config = parse(&format!("{auth}{SMALL}"), &[]).unwrap();
        config.namespaces = NamespacesConfig::Any(named(&config, "default"));
        let faults: Vec<String> = config
            .faults()
            .iter()
            .map(|fault| format!("{fault:?}"))
            .collect();
        let refused = faults
            .iter()
            .any(|fault| fault.contains("any namespace is served"));
        assert_eq!(refused, is_refused, "{faults:?}");
    }
}
