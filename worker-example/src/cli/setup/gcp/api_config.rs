//! The configuration file of the API: whose tokens it accepts.

use std::fmt::Write as _;

use super::arguments::GcpArgs;

/// The audience of tokens that `gcloud auth print-identity-token` makes for people.
const GCLOUD: &str = "32555940559.apps.googleusercontent.com";

/// The file. The API checks tokens itself: Cloud Run removes their signatures if it checks them.
pub(super) fn text(args: &GcpArgs) -> String {
    let mut audience = format!("\"{}\"", args.url());
    if args.gcloud_tokens {
        let _ = write!(audience, ", \"{GCLOUD}\"");
    }
    let mut text = format!(
        "# Cloud Run kills an instance ten seconds after SIGTERM.\n[api]\nshutdown_grace = \"8s\"\n\n\
         [auth.issuers.google]\nprofile = \"google\"\naudience = [{audience}]\n\n[auth.issuers.google.emails]\n"
    );
    for email in std::iter::once(&args.client_account()).chain(&args.callers) {
        let _ = writeln!(
            text,
            "\"{email}\" = [\"{}:write\"]",
            args.temporal_namespace
        );
    }
    text
}
