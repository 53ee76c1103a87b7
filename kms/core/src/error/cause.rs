//! The causes of failures, where they tell more than the kind.

use crate::text_form::text_form;

/// The cause of a failure, where it tells more than the kind. Programs use it to give advice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureCause {
    /// No credentials were found.
    NoCredentials,
    /// Credentials were found, but they cannot be read or have the wrong form.
    UnusableCredentials,
    /// The service does not accept the credentials.
    RefusedCredentials,
    /// The service reports that this machine's clock is wrong.
    Clock,
    /// The key's project has not enabled the service.
    ServiceDisabled,
    /// The project that calls are charged to ([`ProviderError::project`](crate::ProviderError::project)) has not enabled
    /// the service, or the caller may not charge calls to it. It need not be the key's project.
    QuotaProject,
    /// The key's project does not exist, or the caller cannot use it.
    Project,
    /// A perimeter around the key's project does not let the call in.
    Perimeter,
    /// No connection to the service can be made.
    NoConnection,
    /// Another program answered instead of the service: a proxy, or the program at a wrong endpoint.
    Proxy,
    /// The vendor's library cannot be loaded.
    Module,
}

impl FailureCause {
    /// The name in output and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoCredentials => "no_credentials",
            Self::UnusableCredentials => "unusable_credentials",
            Self::RefusedCredentials => "refused_credentials",
            Self::Clock => "clock",
            Self::ServiceDisabled => "service_disabled",
            Self::QuotaProject => "quota_project",
            Self::Project => "project",
            Self::Perimeter => "perimeter",
            Self::NoConnection => "no_connection",
            Self::Proxy => "proxy",
            Self::Module => "module",
        }
    }
}

text_form!(FailureCause);
