//! AWS STS by the query protocol. It gives any role to any caller.

use std::collections::BTreeMap;

/// The fields of a request body.
pub(crate) fn fields(body: &[u8]) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(body).into_owned().collect()
}

/// Credentials that expire at `expiration` (RFC 3339), for the operation of `fields`.
pub(crate) fn answer(fields: &BTreeMap<String, String>, number: usize, expiration: &str) -> String {
    let action = fields.get("Action").map_or("AssumeRole", String::as_str);
    let role = fields.get("RoleArn").map_or("", String::as_str);
    let key = access_key(number);
    format!(
        "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result>\
         <AssumedRoleUser><AssumedRoleId>AROA:s</AssumedRoleId><Arn>{role}</Arn></AssumedRoleUser>\
         <Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>\
         <SessionToken>session</SessionToken><Expiration>{expiration}</Expiration></Credentials>\
         </{action}Result></{action}Response>"
    )
}

/// An error in the form of the query protocol.
pub(crate) fn error(code: &str) -> String {
    format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
         <Code>{code}</Code><Message>refused</Message></Error></ErrorResponse>"
    )
}

/// The access key of the `number`th session.
fn access_key(number: usize) -> String {
    format!("ASIASESSION{number}")
}
