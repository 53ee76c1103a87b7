//! `encode` and `decode`: payloads from stdin to stdout.

use std::io::{Read as _, Write as _};

use temporal_kms_codec::{Codec, Error, Namespace, Payload, kms::KmsOptions};

use super::{
    Transform,
    exit::{self, Failure, Status},
    input::Input,
    keys,
};
use crate::{
    config::{Config, NamespaceConfig, NamespacesConfig},
    namespaces::Namespaces,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Encode,
    Decode,
}

pub(super) fn run(operation: Operation, options: &Transform) -> Result<(), Failure> {
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| Failure::io("the runtime cannot be started", &error))?;
    let codec = runtime.block_on(codec(options))?;

    let text = read(options.max_input)?;
    let input = Input::parse(text)
        .map_err(|error| Failure::new(Status::Data, format_args!("stdin: {error}")))?;
    let payloads = input.payloads();
    if payloads.is_empty() && matches!(input, Input::Document { .. }) {
        return Err(Failure::new(
            Status::Data,
            "stdin: there is no payload in it",
        ));
    }

    let results = runtime.block_on(apply(operation, &codec, payloads.clone()));
    let mut failed = None;
    let mut changed = Vec::with_capacity(results.len());
    for (index, (old, result)) in payloads.into_iter().zip(results).enumerate() {
        changed.push(result.unwrap_or_else(|error| {
            exit::say(format_args!("{}: {error}", input.place(index)));
            failed = failed.or(Some(if error.is_transient() {
                Status::TryAgain
            } else {
                Status::Data
            }));
            old
        }));
    }
    if let Some(status) = failed.filter(|_| !options.keep_going) {
        return Err(Failure::said(status));
    }
    write(&input.write(&changed))?;
    failed.map_or(Ok(()), |status| Err(Failure::said(status)))
}

/// As many results as payloads, in order.
async fn apply(
    operation: Operation,
    codec: &Codec,
    payloads: Vec<Payload>,
) -> Vec<Result<Payload, Error>> {
    match operation {
        Operation::Decode => codec.decode_each(payloads).await,
        Operation::Encode => {
            let count = payloads.len();
            match codec.encode(payloads).await {
                Ok(encoded) => encoded.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error); count],
            }
        }
    }
}

async fn codec(options: &Transform) -> Result<Codec, Failure> {
    let namespace = Namespace::new(&options.namespace)
        .map_err(|error| Failure::new(Status::Usage, format_args!("--namespace: {error}")))?;
    let (namespaces, kms) = match (&options.keyring, &options.config) {
        (Some(keyring), _) => {
            let config = NamespaceConfig::with_key(keys::default_key()?);
            let kms = KmsOptions {
                local_keyring: Some(keyring.clone()),
                ..KmsOptions::default()
            };
            (NamespacesConfig::Any(config), kms)
        }
        (None, Some(file)) => {
            let config = Config::load(file)?;
            (config.namespaces, config.keys)
        }
        (None, None) => (NamespacesConfig::FromEnvironment, KmsOptions::default()),
    };
    let opened = Namespaces::open(&namespaces, &kms).await?;
    let served = opened.served(Some(namespace), None).map_err(|_| {
        Failure::new(
            Status::Usage,
            format_args!("the namespace {} is not configured", options.namespace),
        )
    })?;
    Ok(served.codec)
}

fn read(limit: usize) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    std::io::stdin()
        .lock()
        .take(most)
        .read_to_end(&mut text)
        .map_err(|error| Failure::io("stdin", &error))?;
    if text.len() > limit {
        return Err(Failure::new(
            Status::Data,
            format_args!("stdin: more than {limit} bytes; --max-input allows more"),
        ));
    }
    Ok(text)
}

fn write(text: &[u8]) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    let newline: &[u8] = if text.ends_with(b"\n") { b"" } else { b"\n" };
    stdout
        .write_all(text)
        .and_then(|()| stdout.write_all(newline))
        .and_then(|()| stdout.flush())
        .map_err(|error| Failure::io("stdout", &error))
}
