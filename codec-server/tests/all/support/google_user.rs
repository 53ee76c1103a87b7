//! A user of Google Cloud, and the service that gives tokens to users.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::LazyLock,
    thread,
};

use serde_json::{Value, json};

static TOKEN_SERVICE: LazyLock<String> = LazyLock::new(token_service);

/// The credentials file of a user, whose token is `token-of-NAME`.
pub(crate) fn google_user(name: &str) -> String {
    let user = json!({
        "type": "authorized_user",
        "client_id": "id",
        "client_secret": "sk-secret",
        "refresh_token": name,
        "token_uri": *TOKEN_SERVICE,
    });
    user.to_string()
}

/// Gives a token to each request, as Google's token service does for a user. It ends with the test program.
fn token_service() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap());
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let body = body(&stream);
            let request: Value = serde_json::from_slice(&body).unwrap_or_default();
            let name = request["refresh_token"].as_str().unwrap_or_default();
            let token = json!({
                "access_token": format!("token-of-{name}"),
                "expires_in": 3600,
                "token_type": "Bearer",
            });
            let token = token.to_string();
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{token}",
                token.len()
            );
        }
    });
    url
}

/// The body of a request.
fn body(stream: &TcpStream) -> Vec<u8> {
    let mut reader = BufReader::new(stream);
    let (mut line, mut length) = (String::new(), 0);
    while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        line.clear();
    }
    let mut body = vec![0; length];
    let _ = reader.read_exact(&mut body);
    body
}
