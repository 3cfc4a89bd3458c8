//! Why a file of the lab cannot be used: which, where, and what is wrong.
//!
//! Why here: worlds and models are written by people, and both are told of a mistake in the same
//! words.

/// Why it cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadFile {
    /// It cannot be read.
    #[error("read {file}")]
    Io {
        /// Which.
        file: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A place in it is not what it must be.
    #[error("understand {file}, line {line}, field `{field}`: {why}")]
    Line {
        /// Which file.
        file: String,
        /// Which line, from 1.
        line: usize,
        /// Which field.
        field: String,
        /// What is wrong.
        why: String,
    },
    /// There is nothing in it.
    #[error("use {file}: it has no case")]
    Empty {
        /// Which file.
        file: String,
    },
}
