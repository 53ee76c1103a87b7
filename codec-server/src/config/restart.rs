//! Settings that a running server cannot change.

use temporal_kms_codec_service::lifecycle::NeedsRestart;

use super::{Config, LoadedConfig};

impl LoadedConfig {
    /// Takes the settings that cannot change from the configuration that is served, and names those that differ. What is
    /// checked together with them, such as authentication with an address, is then checked with what is true.
    pub(crate) fn keep_running(&mut self, served: &Self) -> NeedsRestart {
        let (config, served) = (&mut self.config, &served.config);
        let changed = keep(config, served);
        // Clients of key services are new ones, and their calls are counted as before.
        let metrics = served.keys.metrics().clone();
        config.keys = config.keys.to_builder().metrics(metrics).build();
        changed
    }
}

fn keep(config: &mut Config, served: &Config) -> NeedsRestart {
    let mut changed = NeedsRestart::default();
    macro_rules! keep {
        ($($setting:literal = $($field:ident).+;)+) => {
            $(changed.keep($setting, &mut config.$($field).+, &served.$($field).+);)+
        };
    }
    keep!(
        "server.listen" = server.listen;
        "server.admin_listen" = server.admin_listen;
        "server.max_headers" = server.limits.max_headers;
        "server.max_connections" = server.limits.max_connections;
        "server.header_timeout" = server.timeouts.header;
        "server.write_timeout" = server.timeouts.write;
        "server.answer_timeout" = server.timeouts.answer;
        "tls" = tls;
        "audit" = audit;
        "telemetry" = telemetry;
    );
    changed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings;

    fn config(text: &str) -> LoadedConfig {
        let text = format!(
            "{text}\n[keys]\nlocal_keyring = \"keys\"\n[namespaces.a]\nencrypt = [\"local://a\"]\n"
        );
        let config = settings().parse(Some(&text), &|_| None, Config::read);
        LoadedConfig::fixed(config.unwrap())
    }

    #[test]
    fn what_cannot_change_is_named_and_stays() {
        let served = config("[server]\nlisten = \"127.0.0.1:1\"\nmax_body = \"1MiB\"");
        let mut new = config(
            "[server]\nlisten = \"127.0.0.1:2\"\nmax_body = \"2MiB\"\nmax_headers = \"64KiB\"",
        );
        let changed = new.keep_running(&served);
        assert_eq!(changed.settings(), ["server.listen", "server.max_headers"]);
        assert_eq!(new.config.server.listen.to_string(), "127.0.0.1:1");
        assert_eq!(new.config.server.limits.max_body, 2 << 20);
        assert_eq!(new.keep_running(&served).settings(), [""; 0]);
        assert!(std::sync::Arc::ptr_eq(
            new.config.keys.metrics(),
            served.config.keys.metrics()
        ));
    }

    /// A server that listens on every address must not lose its authentication because the file says another address.
    #[test]
    fn authentication_is_checked_with_the_address_that_is_listened_on() {
        let open = "[server]\nlisten = \"0.0.0.0:1\"\ninsecure_without_authentication = true";
        let served = config(open);
        let mut new = config("[server]\nlisten = \"127.0.0.1:1\"");
        new.keep_running(&served);
        let problems = new.config.validate().unwrap_err().to_string();
        assert!(problems.contains("server.listen"), "{problems}");
    }
}
