//! Asks one issuer for its documents, without keeping them.

use std::time::SystemTime;

use super::{
    algorithm::Algorithm,
    config::IssuerConfig,
    discovery::{Endpoints, IssuerError, discover_dated},
    key::KeySet,
};
use crate::auth::{
    examined::{ExaminedIssuer, IssuerAnswer, IssuerClock, IssuerFault, LoginAnswer},
    web::Web,
};

/// Asks an issuer. `is_login` says whether people sign in there.
pub(in crate::auth) async fn examine(
    web: &Web,
    name: &str,
    config: &IssuerConfig,
    is_login: bool,
) -> ExaminedIssuer {
    let before = SystemTime::now();
    let (answer, date) = ask(web, config, is_login).await;
    let after = SystemTime::now();
    ExaminedIssuer {
        name: name.to_owned(),
        issuer: config.issuer.clone(),
        audience: config.audience.clone(),
        id_token_audience: config.id_token_audience.clone(),
        algorithms: names(&config.algorithms),
        clock_skew: config.clock_skew,
        answer: answer.map_err(Into::into),
        clock: date.map(|date| IssuerClock {
            date,
            before,
            after,
        }),
    }
}

async fn ask(
    web: &Web,
    config: &IssuerConfig,
    is_login: bool,
) -> (Result<IssuerAnswer, IssuerError>, Option<SystemTime>) {
    let mut date = None;
    let mut endpoints = None;
    // With `jwks_url`, only a login needs it.
    if is_login || config.jwks_url.is_none() {
        let (found, told) = discover_dated(web, &config.issuer, &config.url).await;
        date = told;
        match found {
            Ok(found) => endpoints = Some(found),
            Err(error) => return (Err(error), date),
        }
    }
    let url = config.jwks_url.as_ref();
    let Some(url) = url.or(endpoints.as_ref().map(|found| &found.keys)) else {
        return (Err(IssuerError::NoKeys), date);
    };
    let set = match web.get_dated(url).await {
        Ok((document, told)) => {
            date = date.or(told);
            KeySet::new(document)
        }
        Err(error) => return (Err(error.into()), date),
    };
    if set.len() == 0 {
        return (Err(IssuerError::NoKeys), date);
    }
    let answer = IssuerAnswer {
        keys: set.len(),
        fitting: names(&set.fitting(&config.algorithms)),
        announced: endpoints
            .as_ref()
            .and_then(|found| found.announced.algorithms.clone()),
        login: endpoints.map(login),
    };
    (Ok(answer), date)
}

fn login(found: Endpoints) -> LoginAnswer {
    let methods = found.announced.challenge_methods;
    LoginAnswer {
        has_endpoints: found.authorization.is_some() && found.token.is_some(),
        supports_pkce: methods.map(|methods| methods.iter().any(|method| method == "S256")),
        scopes: found.announced.scopes,
    }
}

fn names(algorithms: &[Algorithm]) -> Vec<&'static str> {
    algorithms.iter().map(|one| one.name()).collect()
}

impl From<IssuerError> for IssuerFault {
    fn from(error: IssuerError) -> Self {
        let is_transient = matches!(&error, IssuerError::Web(error) if error.is_transient());
        Self {
            message: error.to_string(),
            is_transient,
        }
    }
}
