//! What is sealed outside of Temporal: values and files.

mod data_envelope;
mod file;
mod sealer;

pub use self::{
    data_envelope::DataEnvelope,
    file::SealedFileError,
    sealer::{Sealer, SealerBuilder},
};
