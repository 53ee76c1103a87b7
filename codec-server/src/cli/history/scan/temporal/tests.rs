use futures::future::join_all;

use super::*;

fn arguments(address: &str) -> ConnectArgs {
    ConnectArgs {
        address: Some(address.to_owned()),
        namespace: "default".to_owned(),
        api_key_file: None,
        tls_ca: None,
        tls_cert: None,
        tls_key: None,
    }
}

#[tokio::test(start_paused = true)]
async fn calls_keep_the_rate_and_do_not_catch_up() {
    let pace = Pace::new(NonZeroU32::new(20).unwrap());
    let interval = Duration::from_millis(50);
    let began = Instant::now();
    join_all((0..41).map(|_| pace.wait())).await;
    assert_eq!(began.elapsed(), interval * 40);
    // A time without calls is not made up for.
    tokio::time::advance(interval * 100).await;
    let began = Instant::now();
    join_all((0..3).map(|_| pace.wait())).await;
    assert_eq!(began.elapsed(), interval * 2);
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_named_with_what_to_do() {
    let address = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let args = arguments(&format!("http://{address}"));
    let temporal = Temporal::new(&args, NonZeroU32::MAX).unwrap();
    let error = temporal.attempt("DescribeNamespace", Bytes::new()).await;
    let error = error.unwrap_err();
    assert_eq!(error.code, Code::Transient);
    assert_eq!(
        error.message,
        format!(
            "cannot reach Temporal at http://{address}: connection refused; check that it runs, and --address"
        )
    );
}

#[test]
fn an_address_is_read_as_by_claude_tasks() {
    let new = |address: &str| {
        let args = arguments(address);
        Temporal::new(&args, NonZeroU32::MAX).map(|temporal| temporal.base.to_string())
    };
    for (address, expected) in [
        ("127.0.0.1:7233", "http://127.0.0.1:7233/"),
        ("https://temporal:7233", "https://temporal:7233/"),
    ] {
        assert_eq!(new(address).unwrap(), expected);
    }
    for bad in [
        "",
        "ftp://a:1",
        "http://a:1/path",
        "http://u:sEcReT@a:1",
        "a b",
    ] {
        let refused = new(bad).unwrap_err().to_string();
        assert!(refused.starts_with("--address: the address "), "{refused}");
        assert!(!refused.contains("sEcReT"), "{refused}");
    }
}

#[test]
fn a_refusal_names_the_server() {
    let base: Url = "http://temporal:7233".parse().unwrap();
    for (status, code, expected) in [
        (
            "16",
            Code::Denied,
            "; check the API key (TEMPORAL_API_KEY or --api-key-file)",
        ),
        ("3", Code::Other, "no (gRPC status 3)"),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-status", HeaderValue::from_static(status));
        headers.insert("grpc-message", HeaderValue::from_static("no"));
        let error = error_in(&base, &headers).unwrap();
        assert_eq!(error.code, code);
        let begin = "Temporal at http://temporal:7233 refuses the call: no (gRPC status ";
        assert!(error.message.starts_with(begin), "{}", error.message);
        assert!(error.message.contains(expected), "{}", error.message);
    }
}

#[test]
fn an_answer_of_a_gateway_says_what_to_do() {
    let base: Url = "https://temporal:7233".parse().unwrap();
    for (status, code, expected) in [
        (
            StatusCode::UNAUTHORIZED,
            Code::Denied,
            "Temporal at https://temporal:7233 refuses the call: it answers HTTP 401 Unauthorized, which is not gRPC; check \
             the API key (TEMPORAL_API_KEY or --api-key-file), --tls-cert and --namespace",
        ),
        (
            StatusCode::BAD_GATEWAY,
            Code::Transient,
            "https://temporal:7233: it answers HTTP 502 Bad Gateway, which is not gRPC",
        ),
        (
            StatusCode::NOT_FOUND,
            Code::Other,
            "https://temporal:7233: it answers HTTP 404 Not Found, which is not gRPC",
        ),
    ] {
        let error = http_error(&base, status);
        assert_eq!((error.code, error.message.as_str()), (code, expected));
    }
}

#[test]
fn a_key_of_a_file_does_not_leave_this_machine_in_the_clear() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "sk-secret").unwrap();
    let mut args = arguments("http://temporal:7233");
    args.api_key_file = Some(file.path().to_owned());
    let refused = Temporal::new(&args, NonZeroU32::MAX).map(|temporal| temporal.base);
    let refused = refused.unwrap_err().to_string();
    assert!(
        refused.contains("the API key (--api-key-file)"),
        "{refused}"
    );
    assert!(!refused.contains("sk-secret"), "{refused}");
}

#[test]
fn a_message_is_framed_and_an_incomplete_one_is_refused() {
    let body = framed(&"text".to_owned());
    assert_eq!(body.len(), 5 + 6);
    assert_eq!(unframed(body.clone()).unwrap().len(), 6);
    for len in 0..body.len() {
        assert_eq!(unframed(body.slice(..len)), None);
    }
}
