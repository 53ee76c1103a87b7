//! Opening a sealed file.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use zeroize::Zeroizing;

use super::SealedFileError;
use crate::{
    EncryptionContext, Error, KeyUri, PayloadError,
    crypto::aead::{Aes256Gcm, TAG_LEN},
    dek::ExpandedDek,
    format::file::{self, FILE_ID_LEN, SEALED_CHUNK_LEN},
    sealed::sealer::{Sealer, check_bound},
};

/// The magic bytes and the length of the recipients.
const START_LEN: usize = 12;

impl Sealer {
    /// Opens what [`seal_file`](Self::seal_file) sealed under the same context, and returns how many bytes that were.
    /// Each chunk is written once it is known to be authentic; that the stream is complete is known only when this returns
    /// `Ok`, so what was written before an error must be thrown away.
    ///
    /// # Errors
    /// When the context is empty, the input is not a sealed stream, was altered or is incomplete, its key is not one of this
    /// cipher's, input or output fail, or the KMS refuses or fails.
    pub async fn open_file<R, W>(
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
        let cipher = self.open_header(&mut input, context).await?;

        let mut total = 0;
        // One byte more than a chunk: if it is there, the chunk is not the last one.
        let mut sealed = Zeroizing::new(Vec::with_capacity(SEALED_CHUNK_LEN + 1));
        for number in 0.. {
            let missing = (SEALED_CHUNK_LEN + 1).saturating_sub(sealed.len()) as u64;
            (&mut input)
                .take(missing)
                .read_to_end(&mut sealed)
                .await
                .map_err(SealedFileError::Read)?;
            let ahead = sealed.get(SEALED_CHUNK_LEN).copied();
            sealed.truncate(SEALED_CHUNK_LEN);
            let plaintext = open_chunk(&cipher, number, ahead.is_none(), &mut sealed)?;
            if plaintext.is_empty() && number > 0 {
                return Err(SealedFileError::NotAuthentic);
            }
            total += plaintext.len() as u64;
            output
                .write_all(plaintext)
                .await
                .map_err(SealedFileError::Write)?;
            sealed.clear();
            match ahead {
                Some(byte) => sealed.push(byte),
                None => break,
            }
        }
        output.flush().await.map_err(SealedFileError::Write)?;
        Ok(total)
    }

    /// The keys that a sealed file names in its header, each of which can open it. Only the header is read, and no key is
    /// used. Nothing of it is authentic.
    ///
    /// # Errors
    /// When the input is not a sealed stream or ends in its header, or cannot be read.
    pub async fn keys_of_file<R>(mut input: R) -> Result<Vec<KeyUri>, SealedFileError>
    where
        R: AsyncRead + Unpin,
    {
        let header = read_header(&mut input).await?;
        let recipients = file::parse_recipients(recipients_in(&header))?;
        Ok(recipients
            .into_iter()
            .map(|recipient| recipient.key)
            .collect())
    }

    async fn open_header<R: AsyncRead + Unpin>(
        &self,
        input: &mut R,
        context: &EncryptionContext,
    ) -> Result<Aes256Gcm, SealedFileError> {
        let header = read_header(input).await?;
        let mut commitment = [0; 32];
        exactly(input, &mut commitment).await?;

        let recipients = file::parse_recipients(recipients_in(&header))?;
        let open = |key: &ExpandedDek| {
            let file_key = key.schedule().file_key(&header, context);
            if file_key.is_committed_to(&commitment) {
                Ok(file_key.cipher)
            } else {
                Err(PayloadError::NotAuthentic)
            }
        };
        let keys = self.decryption();
        Ok(keys
            .open(&recipients, context, &keys.budget(), open)
            .await?)
    }
}

/// The header: everything before the commitment.
async fn read_header<R: AsyncRead + Unpin>(input: &mut R) -> Result<Vec<u8>, SealedFileError> {
    let mut header = Vec::with_capacity(START_LEN);
    (&mut *input)
        .take(START_LEN as u64)
        .read_to_end(&mut header)
        .await
        .map_err(SealedFileError::Read)?;
    if !file::has_magic(&header) {
        return Err(SealedFileError::NotSealed);
    }
    let start = header.first_chunk().ok_or(SealedFileError::Truncated)?;
    let recipients_end = START_LEN + file::parse_len(start)?;
    header.resize(recipients_end + FILE_ID_LEN, 0);
    exactly(input, header.get_mut(START_LEN..).unwrap_or_default()).await?;
    Ok(header)
}

/// The recipients in a whole header.
fn recipients_in(header: &[u8]) -> &[u8] {
    let end = header.len().saturating_sub(FILE_ID_LEN);
    header.get(START_LEN..end).unwrap_or_default()
}

fn open_chunk<'a>(
    cipher: &Aes256Gcm,
    number: u64,
    last: bool,
    sealed: &'a mut [u8],
) -> Result<&'a [u8], SealedFileError> {
    if sealed.len() < TAG_LEN {
        return Err(SealedFileError::Truncated);
    }
    // A chunk that ends the input without being the last one tells that the rest was cut off.
    if last && sealed.len() == SEALED_CHUNK_LEN {
        let mut copy = Zeroizing::new(sealed.to_vec());
        if cipher
            .open(file::nonce(number, false), &[], &mut copy)
            .is_ok()
        {
            return Err(SealedFileError::Truncated);
        }
    }
    cipher
        .open(file::nonce(number, last), &[], sealed)
        .map_err(|_| {
            if last {
                SealedFileError::IncompleteOrAltered
            } else {
                SealedFileError::NotAuthentic
            }
        })
}

async fn exactly<R: AsyncRead + Unpin>(
    input: &mut R,
    bytes: &mut [u8],
) -> Result<(), SealedFileError> {
    match input.read_exact(bytes).await {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Err(SealedFileError::Truncated)
        }
        Err(error) => Err(SealedFileError::Read(error)),
    }
}
