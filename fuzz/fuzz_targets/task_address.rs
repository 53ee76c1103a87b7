//! Addresses that a task names: git never takes one for an option or a program, and a webhook never goes to a private network.

#![no_main]

use std::net::{IpAddr, Ipv6Addr};

use claude_tasks::fuzzing::{git_url, is_public};
use libfuzzer_sys::fuzz_target;

/// A longer address is refused.
const MAX_URL: usize = 2048;

fuzz_target!(|input: ([u8; 16], &str)| {
    let (octets, text) = input;
    if let Some((host, over_ssh)) = git_url(text) {
        // git runs the program `git-remote-NAME` for `NAME::ADDRESS`.
        let after_name =
            text.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "+-.".contains(c));
        assert!(!after_name.starts_with("::"), "{text}");
        assert!(!host.is_empty() && !host.starts_with('-'));
        assert!(text.bytes().all(|byte| byte.is_ascii_graphic()));
        assert!(!text.split('/').any(|part| part.starts_with('-')), "{text}");
        if let Some(over_ssh) = over_ssh.filter(|over_ssh| over_ssh.len() <= MAX_URL) {
            let (again, same) = git_url(&over_ssh).expect("it is an address too");
            assert_eq!((again, same), (host, Some(over_ssh)));
        }
    }
    let v6 = Ipv6Addr::from(octets);
    let [a, b, c, d, ..] = octets;
    let v4 = std::net::Ipv4Addr::new(a, b, c, d);
    let is_private = v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_multicast();
    let is_special = v4.is_unspecified() || v4.is_broadcast() || v4.is_documentation();
    assert!(!(is_private || is_special) || !is_public(v4.into()), "{v4}");
    assert_eq!(
        is_public(v4.into()),
        is_public(IpAddr::V6(v4.to_ipv6_mapped()))
    );
    let is_own = v6.is_loopback() || v6.is_unspecified() || v6.is_multicast();
    let is_inside = v6.is_unique_local() || v6.is_unicast_link_local();
    assert!(!(is_own || is_inside) || !is_public(v6.into()), "{v6}");
});
