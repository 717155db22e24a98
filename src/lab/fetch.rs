//! What a lab serves that is somebody else's: where it is from, and how it is known to be right.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Name;

/// A file that `nsplay fetch` downloads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payload {
    /// What the lab file calls it.
    pub name: Name,
    /// Where it is from: http or https.
    pub url: String,
    /// Where it belongs, below the web root.
    pub to: PathBuf,
    /// How it is known to be what it should be.
    pub check: Check,
}

/// How a download is known to be what it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// By nothing but who sent it.
    Origin,
    /// By its SHA-256 digest, in 64 lower-case hexadecimal digits.
    Sha256(String),
    /// By the digest in a list that is published at this URL.
    Sums(String),
}
