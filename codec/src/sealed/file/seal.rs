//! Sealing a file.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use zeroize::Zeroizing;

use super::SealedFileError;
use crate::{
    EncryptionContext, Error, PayloadError,
    crypto::{aead::Aes256Gcm, random},
    format::file::{self, CHUNK_LEN, SEALED_CHUNK_LEN},
    sealed::sealer::{Sealer, check_bound},
};

impl Sealer {
    /// Seals everything that `input` gives into `output`, for every encrypting key of this cipher, and returns how many bytes
    /// that were. About 200 KiB of memory are used, however long the input is.
    ///
    /// # Errors
    /// When the context is empty, input or output fail, or the KMS refuses or fails.
    pub async fn seal_file<R, W>(
        &self,
        mut input: R,
        mut output: W,
        context: &EncryptionContext,
    ) -> Result<u64, SealedFileError>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        check_bound(context).map_err(Error::from)?;
        let key = self.active_key(context, 0).await?;
        let mut file_id = [0; file::FILE_ID_LEN];
        random::fill(&mut file_id).map_err(PayloadError::from)?;
        let header = file::bound_header(&key.recipients, &file_id);
        let file_key = key.data_key.schedule().file_key(&header, context);
        output
            .write_all(&header)
            .await
            .map_err(SealedFileError::Write)?;
        output
            .write_all(&file_key.commitment)
            .await
            .map_err(SealedFileError::Write)?;

        let mut total = 0;
        // A chunk is the last one if nothing comes after it, so one chunk is read ahead.
        let mut chunk = Zeroizing::new(Vec::with_capacity(SEALED_CHUNK_LEN));
        let mut next = Zeroizing::new(Vec::with_capacity(SEALED_CHUNK_LEN));
        fill(&mut input, &mut chunk).await?;
        for number in 0.. {
            if chunk.len() == CHUNK_LEN {
                fill(&mut input, &mut next).await?;
            }
            total += chunk.len() as u64;
            let last = next.is_empty();
            seal_chunk(&file_key.cipher, number, last, &mut chunk)?;
            output
                .write_all(&chunk)
                .await
                .map_err(SealedFileError::Write)?;
            if last {
                break;
            }
            chunk.clear();
            std::mem::swap(&mut chunk, &mut next);
        }
        output.flush().await.map_err(SealedFileError::Write)?;
        Ok(total)
    }
}

fn seal_chunk(
    cipher: &Aes256Gcm,
    number: u64,
    last: bool,
    chunk: &mut Vec<u8>,
) -> Result<(), SealedFileError> {
    cipher
        .seal(file::nonce(number, last), &[], chunk, 0)
        .map_err(|_| {
            PayloadError::TooLarge {
                what: "a chunk",
                limit: CHUNK_LEN,
            }
            .into()
        })
}

/// Reads a chunk, or less where the input ends.
async fn fill<R: AsyncRead + Unpin>(input: R, chunk: &mut Vec<u8>) -> Result<(), SealedFileError> {
    input
        .take(CHUNK_LEN as u64)
        .read_to_end(chunk)
        .await
        .map(drop)
        .map_err(SealedFileError::Read)
}
