//! Where objects are stored.

use std::{fmt, path::PathBuf, str::FromStr, sync::Arc};

use object_store::{ObjectStore, local::LocalFileSystem, path::Path};
use temporal_kms_codec::endpoint;
use thiserror::Error;
use url::Url;

use crate::sandbox::private_folder;

/// Where objects are stored: a folder, or a bucket with an optional prefix.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreLocation(Place);

#[derive(Clone, PartialEq, Eq)]
enum Place {
    Folder(PathBuf),
    Bucket(Url),
}

/// The text does not name a store, or the store cannot be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum LocationError {
    /// It is not a folder and not the URL of a bucket.
    #[error(
        "the store must be a folder, or a URL such as gs://BUCKET/PREFIX, s3://BUCKET/PREFIX or az://CONTAINER/PREFIX"
    )]
    Form,
    /// It is not the name of a bucket.
    #[error(
        "a bucket's name has lower-case letters, digits, dashes, underscores and full stops, such as my-project-claude-tasks"
    )]
    Bucket,
    /// An endpoint of the store would receive objects or credentials without TLS.
    #[error("{variable}: {problem}")]
    Endpoint {
        /// The variable.
        variable: String,
        /// Why, and what to do.
        problem: String,
    },
    /// The store cannot be used.
    #[error(
        "cannot use the store {store}: {problem}. Let this program write to the folder, or check the variables of the \
         bucket (AWS_…, GOOGLE_…, AZURE_…)"
    )]
    Unusable {
        /// The store.
        store: String,
        /// Why.
        problem: String,
    },
}

/// The schemes of buckets.
const SCHEMES: [&str; 7] = ["gs", "s3", "s3a", "az", "azure", "abfs", "abfss"];
/// The variables with which the clients of stores are configured begin like this. The documentation of `object_store` lists
/// all of them. These are the ones that people need:
///
/// | variable | meaning | default |
/// |---|---|---|
/// | `AWS_ENDPOINT`, `AWS_ENDPOINT_URL_S3` | the server of `s3://` stores; `AWS_ENDPOINT_URL` counts as well | that of AWS |
/// | `AWS_ALLOW_HTTP` | `true`: an `s3://` store on this machine may have no TLS | `false` |
/// | `GOOGLE_SERVICE_ACCOUNT`, `GOOGLE_SERVICE_ACCOUNT_KEY` | the credentials of `gs://` stores: a file with the key of a service account, or its JSON | `GOOGLE_APPLICATION_CREDENTIALS`, or those of the machine |
/// | `GOOGLE_BASE_URL` | the server of `gs://` stores | that of Google Cloud |
/// | `AZURE_STORAGE_ACCOUNT_NAME` | the storage account of `az://` stores | |
/// | `AZURE_STORAGE_ACCOUNT_KEY`, `AZURE_STORAGE_SAS_TOKEN`, `AZURE_STORAGE_TOKEN` | its access key, a shared access signature, or a bearer token | the managed identity of the machine |
/// | `AZURE_STORAGE_CLIENT_ID`, `AZURE_STORAGE_CLIENT_SECRET`, `AZURE_STORAGE_TENANT_ID` | a service principal; also `AZURE_CLIENT_ID`, `AZURE_CLIENT_SECRET` and `AZURE_TENANT_ID` | |
/// | `AZURE_USE_AZURE_CLI` | `true`: the credentials of `az login` | `false` |
/// | `AZURE_FEDERATED_TOKEN_FILE` | the token of a workload identity, with `AZURE_CLIENT_ID` and `AZURE_TENANT_ID` | |
/// | `AZURE_ENDPOINT`, `AZURE_STORAGE_ENDPOINT` | the server of `az://` stores | that of Azure |
/// | `AZURE_AUTHORITY_HOST`, `AZURE_STORAGE_AUTHORITY_HOST` | the server that gives tokens for `az://` stores | that of Azure |
pub(crate) const VARIABLES: [&str; 3] = ["AWS_", "GOOGLE_", "AZURE_"];
/// The variables that lead the client to another server, which gets objects or credentials.
const ENDPOINTS: [&str; 9] = [
    "AWS_ENDPOINT",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL_STS",
    "GOOGLE_BASE_URL",
    "AZURE_AUTHORITY_HOST",
    "AZURE_ENDPOINT",
    "AZURE_STORAGE_AUTHORITY_HOST",
    "AZURE_STORAGE_ENDPOINT",
];

impl StoreLocation {
    /// The bucket of Google Cloud Storage with this name, as `GCS_LOGS_BUCKET` names it. A prefix may follow the name.
    ///
    /// # Errors
    /// When it is not a name.
    pub fn google_bucket(name: &str) -> Result<Self, LocationError> {
        let place = name.strip_prefix("gs://").unwrap_or(name);
        let bucket = place.split_once('/').map_or(place, |(bucket, _)| bucket);
        let is_allowed =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
        if bucket.is_empty() || !bucket.chars().all(is_allowed) {
            return Err(LocationError::Bucket);
        }
        format!("gs://{place}")
            .parse()
            .map_err(|_| LocationError::Bucket)
    }

    /// A folder.
    pub(crate) fn folder(path: impl Into<PathBuf>) -> Self {
        Self(Place::Folder(path.into()))
    }

    /// Opens the store. Credentials and endpoints come from variables such as `AWS_REGION`. Nothing is sent.
    ///
    /// # Errors
    /// When a folder cannot be created, or a variable has no valid value.
    pub(super) fn open(
        &self,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<(Arc<dyn ObjectStore>, Path), LocationError> {
        let unusable = |problem: String| LocationError::Unusable {
            store: self.to_string(),
            problem,
        };
        match &self.0 {
            Place::Folder(folder) => {
                private_folder(folder).map_err(|e| unusable(e.to_string()))?;
                let store = LocalFileSystem::new_with_prefix(folder)
                    .map_err(|e| unusable(e.to_string()))?
                    .with_automatic_cleanup(true)
                    .with_fsync(true);
                Ok((Arc::new(store), Path::default()))
            }
            Place::Bucket(url) => {
                let variables: Vec<_> = variables
                    .filter(|(name, _)| VARIABLES.iter().any(|prefix| name.starts_with(prefix)))
                    .collect();
                check_endpoints(&variables)?;
                let limits = [("timeout", "30s"), ("connect_timeout", "5s")]
                    .map(|(name, value)| (name.to_owned(), value.to_owned()));
                let (store, prefix) =
                    object_store::parse_url_opts(url, limits.into_iter().chain(variables))
                        .map_err(|e| unusable(e.to_string()))?;
                Ok((Arc::from(store), prefix))
            }
        }
    }
}

/// Objects and credentials leave this machine over TLS only.
fn check_endpoints(variables: &[(String, String)]) -> Result<(), LocationError> {
    for (name, value) in variables {
        if ENDPOINTS.contains(&name.as_str()) {
            let problem = |problem: &str| LocationError::Endpoint {
                variable: name.clone(),
                problem: problem.to_owned(),
            };
            let url: Url = value
                .parse()
                .map_err(|_| problem("it must be a URL such as https://HOST"))?;
            endpoint::check(&url.origin().ascii_serialization())
                .map_err(|reason| problem(&format!("{reason}; use https://HOST")))?;
        }
    }
    Ok(())
}

impl FromStr for StoreLocation {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, LocationError> {
        if text.trim().is_empty() {
            return Err(LocationError::Form);
        }
        if !text.contains("://") {
            return Ok(Self(Place::Folder(text.into())));
        }
        let url: Url = text.parse().map_err(|_| LocationError::Form)?;
        if url.scheme() == "file" {
            let folder = url.to_file_path().map_err(|()| LocationError::Form)?;
            return Ok(Self(Place::Folder(folder)));
        }
        let plain = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        let named = url.host_str().is_some_and(|host| !host.is_empty());
        if !SCHEMES.contains(&url.scheme()) || !plain || !named {
            return Err(LocationError::Form);
        }
        Ok(Self(Place::Bucket(url)))
    }
}

impl fmt::Display for StoreLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Folder(folder) => write!(f, "{}", folder.display()),
            Place::Bucket(url) => f.write_str(url.as_str().trim_end_matches('/')),
        }
    }
}

impl fmt::Debug for StoreLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreLocation({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the text of an error must name: the subject, and what to do. A new variant does not compile until it is here.
    fn names(error: &LocationError) -> &'static [&'static str] {
        use LocationError as E;
        match error {
            E::Form => &["the store", "must be a folder, or a URL"],
            E::Bucket => &["a bucket's name", "such as my-project"],
            E::Endpoint { .. } => &["AWS_ENDPOINT", "use https://"],
            E::Unusable { .. } => &["s3://bucket", "no region", "check the variables"],
        }
    }

    #[test]
    fn every_error_names_its_subject_and_what_to_do() {
        let endpoint = [(
            "AWS_ENDPOINT".to_owned(),
            "http://s3.example.org".to_owned(),
        )];
        let all = [
            LocationError::Form,
            LocationError::Bucket,
            check_endpoints(&endpoint).unwrap_err(),
            LocationError::Unusable {
                store: "s3://bucket".to_owned(),
                problem: "no region".to_owned(),
            },
        ];
        for error in all {
            let text = error.to_string();
            for name in names(&error) {
                assert!(text.contains(name), "`{text}` does not name {name}");
            }
        }
    }

    #[test]
    fn takes_folders_and_buckets() {
        for (text, shown) in [
            ("data/objects", "data/objects"),
            ("file:///srv/objects", "/srv/objects"),
            ("gs://logs", "gs://logs"),
            ("s3://logs/tasks/", "s3://logs/tasks"),
            ("az://container/tasks", "az://container/tasks"),
        ] {
            let location: StoreLocation = text.parse().unwrap();
            assert_eq!(location.to_string(), shown);
        }
        for (name, shown) in [
            ("logs", "gs://logs"),
            ("gs://logs_1.example", "gs://logs_1.example"),
            ("my-logs/tasks/", "gs://my-logs/tasks"),
        ] {
            let bucket = StoreLocation::google_bucket(name).unwrap();
            assert_eq!(bucket.to_string(), shown);
        }
        for bad in [
            "my logs",
            "Logs",
            "https://storage.googleapis.com/logs",
            "s3://logs",
            "logs?x",
            "gs://",
            " logs",
            "/logs",
        ] {
            let refused = StoreLocation::google_bucket(bad);
            assert_eq!(refused, Err(LocationError::Bucket), "{bad}");
        }
        for bad in [
            "",
            " ",
            "https://example.org/x",
            "s3://key:secret@bucket",
            "s3://",
            "gs://b?x",
            "memory:///",
        ] {
            assert_eq!(
                bad.parse::<StoreLocation>(),
                Err(LocationError::Form),
                "{bad}"
            );
        }
    }

    #[test]
    fn an_endpoint_without_tls_must_be_on_this_machine() {
        let bucket: StoreLocation = "s3://logs".parse().unwrap();
        let open = |endpoint: &str| {
            let variables = [
                ("AWS_ENDPOINT", endpoint),
                ("AWS_REGION", "eu-west-1"),
                ("AWS_ALLOW_HTTP", "true"),
                ("AWS_ACCESS_KEY_ID", "id"),
                ("AWS_SECRET_ACCESS_KEY", "key"),
            ];
            let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
            bucket.open(variables.into_iter()).map(drop)
        };
        assert_eq!(open("http://127.0.0.1:9000"), Ok(()));
        assert_eq!(open("https://s3.example.org"), Ok(()));
        for bad in ["http://s3.example.org", "no url"] {
            let refused = open(bad).unwrap_err().to_string();
            assert!(refused.starts_with("AWS_ENDPOINT: "), "{refused}");
        }
        for name in ENDPOINTS {
            let variable = (name.to_owned(), "http://store.example.org".to_owned());
            let refused = check_endpoints(&[variable]).unwrap_err().to_string();
            assert!(refused.starts_with(name), "{refused}");
        }
    }
}
