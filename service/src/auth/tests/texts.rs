//! Every error names its subject, and says what to do.

use super::*;

fn assert_names(text: &str, subject: &str, remedy: &str) {
    assert!(text.contains(subject), "`{text}` does not name {subject}");
    assert!(text.contains(remedy), "`{text}` does not say `{remedy}`");
}

#[test]
fn every_fault_of_a_token_says_what_to_do() {
    use TokenFault as F;
    let all = [
        F::Unknown,
        F::TooLong,
        F::Malformed,
        F::Critical,
        F::Algorithm,
        F::Issuer,
        F::Key,
        F::Signature,
        F::Audience,
        F::Expired,
        F::NotYetValid,
        F::Claim("exp"),
        F::Duplicate,
        F::Nonce,
    ];
    for fault in all {
        // A new variant does not compile until it is here.
        let remedy = match fault {
            F::Unknown => "Send an access token or an ID token",
            F::TooLong => "send one with fewer claims",
            F::Critical => "send another token",
            F::Algorithm => "ask an administrator",
            F::Issuer => "sign in with another account",
            F::Audience => "Send a token",
            F::NotYetValid => "check the clocks",
            F::Malformed
            | F::Key
            | F::Signature
            | F::Expired
            | F::Claim(_)
            | F::Duplicate
            | F::Nonce => "sign in again",
        };
        assert_names(&fault.to_string(), "the token", remedy);
        assert_names(&Refused::from(fault).to_string(), "the token", remedy);
    }
}

#[test]
fn every_refusal_says_what_to_do() {
    let all = [
        Refused::Missing {
            remedy: "Send a token in the header Authorization.",
        },
        Refused::repeated("the header Authorization"),
        Refused::Token(TokenFault::Expired),
        Refused::Session,
        Refused::Certificate,
        Refused::ExpiredCertificate,
        Refused::Peer,
        Refused::UnmappedPeer,
        Refused::Unavailable,
    ];
    for refused in all {
        // A new variant does not compile until it is here.
        let (subject, remedy) = match &refused {
            Refused::Missing { .. } => ("credentials", "Send a token"),
            Refused::Malformed { .. } => ("the header Authorization", "send it once"),
            Refused::Token(_) => ("the token", "sign in again"),
            Refused::Session => ("session", "sign in again"),
            Refused::Certificate => ("certificate", "Ask an administrator"),
            Refused::ExpiredCertificate => ("certificate", "connect again"),
            Refused::Peer | Refused::UnmappedPeer => ("socket", "Ask an administrator"),
            Refused::Unavailable => ("issuer", "try again later"),
        };
        assert_names(&refused.to_string(), subject, remedy);
    }
}

#[test]
fn every_failed_login_says_what_to_do() {
    use LoginError as E;
    let all = [
        E::ReturnTo,
        E::Query,
        E::NotBegun,
        E::OtherLogin,
        E::Declined,
        E::Exchange,
        E::Unavailable,
        E::Token(Refused::Session),
        E::NoPermission {
            subject: "ann".to_owned(),
            issuer: "fake".to_owned(),
        },
        E::Busy,
        E::TooLarge,
    ];
    for error in all {
        // A new variant does not compile until it is here.
        let (subject, remedy) = match &error {
            E::ReturnTo => ("return_to", "must be a path of this server"),
            E::Query => ("login", "begin at /auth/login"),
            E::NotBegun | E::OtherLogin | E::Exchange => ("login", "begin again at /auth/login"),
            E::Declined => ("the issuer", "begin again at /auth/login"),
            E::Busy => ("sign in", "try again in a moment"),
            E::Unavailable => ("the issuer", "try again later"),
            E::Token(_) => ("session", "sign in again"),
            E::NoPermission { .. } => ("role", "Ask its administrator"),
            E::TooLarge => ("groups", "ask an administrator"),
        };
        assert_names(&error.to_string(), subject, remedy);
    }
}
