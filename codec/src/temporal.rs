//! The Temporal Rust SDK: the only module that names its types.

mod guard;
mod rpc;

pub use guard::WorkerGuard;

use futures::future::BoxFuture;
use temporalio_common::{
    data_converters::{
        DataConverter, DefaultFailureConverter, PayloadCodec, PayloadConversionError,
        PayloadConverter, SerializationContextData,
    },
    protos::temporal::api::common::v1 as sdk,
};

use crate::{Codec, Error, Payload};

impl Codec {
    /// What a client and a worker of the SDK need: the SDK's own converters with this codec, and failures whose messages
    /// and stack traces are encrypted too.
    #[must_use]
    pub fn data_converter(&self) -> DataConverter {
        DataConverter::new(
            PayloadConverter::default(),
            DefaultFailureConverter::new(true),
            self.clone(),
        )
    }
}

impl PayloadCodec for Codec {
    fn encode(
        &self,
        _: &SerializationContextData,
        payloads: Vec<sdk::Payload>,
    ) -> BoxFuture<'static, Result<Vec<sdk::Payload>, PayloadConversionError>> {
        let codec = self.clone();
        Box::pin(async move {
            let encoded = Self::encode(&codec, payloads.into_iter().map(from_sdk).collect()).await;
            to_sdk_all(encoded)
        })
    }

    fn decode(
        &self,
        _: &SerializationContextData,
        payloads: Vec<sdk::Payload>,
    ) -> BoxFuture<'static, Result<Vec<sdk::Payload>, PayloadConversionError>> {
        let codec = self.clone();
        Box::pin(async move {
            let decoded = Self::decode(&codec, payloads.into_iter().map(from_sdk).collect()).await;
            to_sdk_all(decoded)
        })
    }
}

/// The SDK writes an error's text into the workflow's history in the clear, so [`Error`] holds no secret.
fn to_sdk_all(
    result: Result<Vec<Payload>, Error>,
) -> Result<Vec<sdk::Payload>, PayloadConversionError> {
    match result {
        Ok(payloads) => Ok(payloads.into_iter().map(to_sdk).collect()),
        Err(error) => Err(PayloadConversionError::EncodingError(Box::new(error))),
    }
}

fn from_sdk(payload: sdk::Payload) -> Payload {
    Payload {
        metadata: payload.metadata.into_iter().collect(),
        data: payload.data,
        external_payloads: payload
            .external_payloads
            .into_iter()
            .map(
                |external| temporal_kms_codec_proto::payload::ExternalPayloadDetails {
                    size_bytes: external.size_bytes,
                },
            )
            .collect(),
    }
}

fn to_sdk(payload: Payload) -> sdk::Payload {
    sdk::Payload {
        metadata: payload.metadata.into_iter().collect(),
        data: payload.data,
        external_payloads: payload
            .external_payloads
            .into_iter()
            .map(|external| sdk::payload::ExternalPayloadDetails {
                size_bytes: external.size_bytes,
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use temporal_kms_local::LocalKeyring;

    use super::*;
    use crate::Namespace;

    fn codec(folder: &tempfile::TempDir) -> Codec {
        let key = LocalKeyring::open(folder.path())
            .key_or_create("default")
            .unwrap();
        Codec::builder(Namespace::new("default").unwrap())
            .encrypt_with(key)
            .build()
            .unwrap()
    }

    fn payload(data: &[u8]) -> sdk::Payload {
        sdk::Payload {
            metadata: [("encoding".to_owned(), b"json/plain".to_vec())].into(),
            data: data.to_vec(),
            external_payloads: vec![sdk::payload::ExternalPayloadDetails { size_bytes: 7 }],
        }
    }

    #[tokio::test]
    async fn the_sdk_gets_back_what_it_gave() {
        let folder = tempfile::tempdir().unwrap();
        let converter = codec(&folder).data_converter();
        let given = vec![
            payload(b"\"hunter2\""),
            payload(b""),
            sdk::Payload::default(),
        ];
        let context = SerializationContextData::None;
        let encoded = converter
            .codec()
            .encode(&context, given.clone())
            .await
            .unwrap();
        assert_eq!(encoded.len(), given.len());
        assert!(
            encoded
                .iter()
                .all(|p| p.metadata["encoding"] == b"binary/envelope-kms")
        );
        assert_eq!(
            converter.codec().decode(&context, encoded).await.unwrap(),
            given
        );
    }

    #[tokio::test]
    async fn a_failure_is_an_error_and_never_fewer_payloads() {
        let folder = tempfile::tempdir().unwrap();
        let codec = codec(&folder);
        let context = SerializationContextData::None;
        let given = vec![payload(b"\"hunter2\""); 3];
        let mut encoded = PayloadCodec::encode(&codec, &context, given).await.unwrap();
        encoded[1].data[80] ^= 1;
        let error = PayloadCodec::decode(&codec, &context, encoded)
            .await
            .unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("not authentic"), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
