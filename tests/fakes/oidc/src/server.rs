//! The server: its documents, its keys, and its faults.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::{
    Router,
    extract::{RawQuery, Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use crate::{
    Client, Fault, Key,
    flow::{Codes, OAuthError, tokens},
    key::jwk_with,
    tls::{Identity, Tls},
    token,
};

/// The algorithms of the keys that the issuer has. It has one key for each.
const ALGORITHMS: [&str; 4] = ["RS256", "ES256", "ES384", "EdDSA"];

/// How the issuer is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// The path of the issuer, such as `/realms/test`; empty, or `/` for an issuer that ends in a slash.
    pub path: String,
    /// The claim `iss`, where the issuer is reached in another way. Default: the address and the path.
    pub issuer: Option<String>,
    /// For TLS. The issuer is at `https://localhost` then. Default: no TLS.
    pub tls: Option<Identity>,
    /// The clients of logins.
    pub clients: Vec<Client>,
    /// The claims of the user that signs in, beside those that every token has.
    pub user: Value,
    /// The audience of access tokens, which have the user's claims too. Default: access tokens are opaque.
    pub access_token_audience: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            path: String::new(),
            issuer: None,
            tls: None,
            clients: vec![Client::new("codec")],
            access_token_audience: None,
            user: json!({ "sub": "ann", "email": "ann@example.com", "email_verified": true }),
        }
    }
}

/// A running issuer. It stops when it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    issuer: String,
    base: String,
    clients: Vec<Client>,
    access_token_audience: Option<String>,
    state: Mutex<Issued>,
    is_held: watch::Sender<bool>,
}

#[derive(Debug)]
struct Issued {
    keys: Vec<Arc<Key>>,
    generation: usize,
    /// Further JWKs of the document.
    published: Vec<Value>,
    user: Value,
    /// Claims that access tokens have, beside or in place of others.
    access: Value,
    declines: bool,
    fault: Option<Fault>,
    codes: Codes,
    requests: BTreeMap<String, usize>,
}

impl Server {
    /// Listens; port 0 picks a free one.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start(listen: SocketAddr, options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let own = || match options.tls {
            Some(_) => format!("https://localhost:{}{}", address.port(), options.path),
            None => format!("http://{address}{}", options.path),
        };
        let issuer = options.issuer.clone().unwrap_or_else(own);
        let shared = Arc::new(Shared {
            base: issuer.trim_end_matches('/').to_owned(),
            issuer,
            clients: options.clients,
            access_token_audience: options.access_token_audience,
            is_held: watch::Sender::new(false),
            state: Mutex::new(Issued {
                keys: keys(1),
                generation: 1,
                published: Vec::new(),
                user: options.user,
                access: json!({}),
                declines: false,
                fault: None,
                codes: Codes::default(),
                requests: BTreeMap::new(),
            }),
        });
        let routes = routes(&shared, options.path.trim_end_matches('/'));
        // Both end with the task.
        let task = match options.tls {
            Some(identity) => {
                let listener = Tls::new(listener, &identity)?;
                tokio::spawn(async move { drop(axum::serve(listener, routes).await) })
            }
            None => tokio::spawn(async move { drop(axum::serve(listener, routes).await) }),
        };
        Ok(Self {
            address,
            shared,
            task,
        })
    }

    /// A server on this machine with the default options.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn local() -> io::Result<Self> {
        Self::start(([127, 0, 0, 1], 0).into(), Options::default()).await
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The claim `iss` of its tokens.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.shared.issuer
    }

    /// The claims of a token for `subject` that is valid.
    #[must_use]
    pub fn claims(&self, subject: &str, audience: &str) -> Value {
        token::claims(self.issuer(), subject, audience)
    }

    /// The key for an algorithm.
    ///
    /// # Panics
    /// When the issuer has no such key.
    #[must_use]
    pub fn key(&self, algorithm: &str) -> Arc<Key> {
        let state = self.shared.state.lock();
        let key = state.keys.iter().find(|key| key.fits(algorithm));
        Arc::clone(key.expect("the issuer has a key for the algorithm"))
    }

    /// A token that the issuer signs. `header` adds to its header.
    #[must_use]
    pub fn token(&self, algorithm: &str, header: &Value, claims: &Value) -> String {
        token::sign(&self.key(algorithm), algorithm, header, claims)
    }

    /// Replaces all keys. The document has the new ones only.
    pub fn rotate(&self) {
        self.shared.rotate();
    }

    /// Adds a JWK to the document.
    pub fn publish(&self, jwk: Value) {
        self.shared.state.lock().published.push(jwk);
    }

    /// Fails from now on, or works again.
    pub fn fail(&self, fault: Option<Fault>) {
        self.shared.state.lock().fault = fault;
    }

    /// Keeps requests waiting from now on, or answers them.
    pub fn hold(&self, holds: bool) {
        self.shared.is_held.send_replace(holds);
    }

    /// The claims of the user that signs in.
    pub fn sign_in_as(&self, user: Value) {
        self.shared.state.lock().user = user;
    }

    /// Claims of the access tokens of logins, beside those of the user, or in their place.
    pub fn sign_in_with(&self, access: Value) {
        self.shared.state.lock().access = access;
    }

    /// Whether users decline.
    pub fn decline(&self, declines: bool) {
        self.shared.state.lock().declines = declines;
    }

    /// How often a path was asked for: `keys`, `configuration`, `authorize` or `token`.
    #[must_use]
    pub fn requests(&self, path: &str) -> usize {
        let state = self.shared.state.lock();
        state.requests.get(path).copied().unwrap_or_default()
    }

    /// Ends the server. Its port is closed when this returns.
    pub async fn stop(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn keys(generation: usize) -> Vec<Arc<Key>> {
    let key = |algorithm: &&str| {
        let id = format!("{}-{generation}", algorithm.to_lowercase());
        Arc::new(Key::generate(&id, algorithm))
    };
    ALGORITHMS.iter().map(key).collect()
}

impl Shared {
    fn rotate(&self) {
        let generation = self.state.lock().generation + 1;
        let keys = keys(generation);
        let mut state = self.state.lock();
        state.generation = generation;
        state.keys = keys;
    }
}

fn routes(shared: &Arc<Shared>, path: &str) -> Router {
    let issuer = Router::new()
        .route("/.well-known/openid-configuration", get(configuration))
        .route("/keys", get(published_keys))
        .route("/authorize", get(authorize))
        .route("/token", post(exchange))
        .layer(middleware::from_fn_with_state(Arc::clone(shared), faults));
    let issuer = if path.is_empty() {
        issuer
    } else {
        Router::new().nest(path, issuer)
    };
    issuer
        .route("/_token", post(make_token))
        .route("/_rotate", post(rotate))
        .route("/_fault", post(set_fault))
        .route("/_user", post(set_user))
        .route("/_requests", get(requests))
        .with_state(Arc::clone(shared))
}

/// Counts a request, and fails it when the test says so.
async fn faults(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let path = request.uri().path().rsplit('/').next().unwrap_or_default();
    let path = path.strip_prefix("openid-").unwrap_or(path).to_owned();
    let fault = {
        let mut state = shared.state.lock();
        *state.requests.entry(path).or_default() += 1;
        state.fault
    };
    // The sender is in `shared`, so it is there.
    let _ = shared.is_held.subscribe().wait_for(|held| !held).await;
    match fault {
        Some(Fault::Error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, "secret-of-the-issuer").into_response()
        }
        Some(Fault::Redirect) => {
            let location = [(header::LOCATION, format!("{}/keys", shared.base))];
            (StatusCode::FOUND, location).into_response()
        }
        Some(Fault::NotJson) => "secret-of-the-issuer".into_response(),
        Some(Fault::Huge) => {
            format!("{{\"keys\":[],\"x\":\"{}\"}}", "x".repeat(2 << 20)).into_response()
        }
        Some(Fault::Silent) => std::future::pending().await,
        Some(Fault::WrongClock) => {
            let hour = Duration::from_hours(1);
            let date = httpdate::fmt_http_date(SystemTime::now() + hour);
            let answer = next.run(request).await;
            ([(header::DATE, date)], answer).into_response()
        }
        _ => next.run(request).await,
    }
}

async fn configuration(State(shared): State<Arc<Shared>>) -> Response {
    let base = &shared.base;
    let fault = shared.state.lock().fault;
    let document = json!({
        "issuer": shared.issuer,
        "jwks_uri": format!("{base}/keys"),
        "authorization_endpoint": format!("{base}/authorize"),
        "token_endpoint": format!("{base}/token"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256", "PS256", "ES256", "ES384", "EdDSA"],
        "code_challenge_methods_supported": ["S256"],
    });
    let document = match fault {
        Some(Fault::OtherIssuer) => {
            jwk_with(document, &json!({ "issuer": "https://other.example" }))
        }
        Some(Fault::NoPkce) => jwk_with(
            document,
            &json!({ "code_challenge_methods_supported": ["plain"] }),
        ),
        Some(Fault::NoLogin) => jwk_with(
            document,
            &json!({ "authorization_endpoint": null, "token_endpoint": null }),
        ),
        Some(Fault::PlainKeys) => {
            jwk_with(document, &json!({ "jwks_uri": "http://keys.example/keys" }))
        }
        _ => document,
    };
    json_answer(&document)
}

async fn published_keys(State(shared): State<Arc<Shared>>) -> Response {
    let state = shared.state.lock();
    let mut keys: Vec<Value> = state.keys.iter().map(|key| key.jwk()).collect();
    keys.extend(state.published.iter().cloned());
    if state.fault == Some(Fault::NoKeys) {
        keys.clear();
    }
    json_answer(&json!({ "keys": keys }))
}

async fn authorize(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Response {
    let mut state = shared.state.lock();
    let declines = state.declines;
    let query = query.unwrap_or_default();
    let signed_in = state
        .codes
        .authorize(&shared.clients, &shared.issuer, declines, &query);
    match signed_in {
        Ok(url) => (StatusCode::FOUND, [(header::LOCATION, String::from(url))]).into_response(),
        Err(error) => refused(error),
    }
}

async fn exchange(State(shared): State<Arc<Shared>>, headers: HeaderMap, form: String) -> Response {
    let authorization = headers.get(header::AUTHORIZATION);
    let authorization = authorization.and_then(|value| value.to_str().ok());
    let mut state = shared.state.lock();
    let grant = match state.codes.exchange(&shared.clients, authorization, &form) {
        Ok(grant) => grant,
        Err(error) => return refused(error),
    };
    let Some(key) = state.keys.first() else {
        return refused("server_error");
    };
    let claims_for = |audience: &str, more: &Value| {
        let claims = token::claims(&shared.issuer, "ann", audience);
        jwk_with(jwk_with(claims, &state.user), more)
    };
    // A test may give the user another nonce than the one of the login.
    let nonce = grant
        .nonce
        .filter(|_| state.user.get("nonce").is_none())
        .map_or_else(|| json!({}), |nonce| json!({ "nonce": nonce }));
    let id = claims_for(&grant.client, &nonce);
    let id = token::sign(key, "RS256", &json!({}), &id);
    let access = match &shared.access_token_audience {
        Some(audience) => token::sign(
            key,
            "RS256",
            &json!({}),
            &claims_for(audience, &state.access),
        ),
        None => "opaque-access-token".to_owned(),
    };
    json_answer(&tokens(&access, &id))
}

async fn make_token(State(shared): State<Arc<Shared>>, body: String) -> Response {
    let Ok(wanted) = body.parse::<Value>() else {
        return refused("invalid_request");
    };
    let algorithm = wanted["algorithm"].as_str().unwrap_or("RS256");
    let state = shared.state.lock();
    let Some(key) = state.keys.iter().find(|key| key.fits(algorithm)) else {
        return refused("invalid_request");
    };
    let audience = shared.clients.first().map(|client| client.id.as_str());
    let claims = jwk_with(
        token::claims(&shared.issuer, "ann", audience.unwrap_or_default()),
        &wanted["claims"],
    );
    token::sign(key, algorithm, &wanted["header"], &claims).into_response()
}

async fn rotate(State(shared): State<Arc<Shared>>) {
    shared.rotate();
}

async fn set_fault(State(shared): State<Arc<Shared>>, name: String) -> Response {
    let fault = match name.as_str() {
        "none" => None,
        name => match name.parse() {
            Ok(fault) => Some(fault),
            Err(error) => return (StatusCode::BAD_REQUEST, error).into_response(),
        },
    };
    shared.state.lock().fault = fault;
    StatusCode::OK.into_response()
}

async fn set_user(State(shared): State<Arc<Shared>>, body: String) -> Response {
    match body.parse() {
        Ok(user) => {
            shared.state.lock().user = user;
            StatusCode::OK.into_response()
        }
        Err(_) => refused("invalid_request"),
    }
}

async fn requests(State(shared): State<Arc<Shared>>) -> Response {
    json_answer(&json!(shared.state.lock().requests))
}

fn json_answer(value: &Value) -> Response {
    let json = [(header::CONTENT_TYPE, "application/json")];
    (json, value.to_string()).into_response()
}

fn refused(error: OAuthError) -> Response {
    let body = json!({ "error": error }).to_string();
    let json = [(header::CONTENT_TYPE, "application/json")];
    (StatusCode::BAD_REQUEST, json, body).into_response()
}
