//! What `--json` prints: documents, each with the name and the version of its schema.
//!
//! A document is a type with a schema that schemars derives from it; [`crate::ui`] prints nothing
//! else as JSON. docs/json.md says what is promised, docs/json/ has the schemas.

mod acts;
mod error;
mod host;
mod lab;
mod members;
mod schema;
mod text;
pub mod time;
mod verbs;

use schemars::JsonSchema;
use serde::Serialize;

pub use acts::*;
pub use error::{Error, ErrorKind, Wrong};
pub use host::*;
pub use lab::*;
pub use members::*;
pub use schema::{DOCUMENTS, Known, schema};
pub use verbs::{Prints, VERBS, of_verb};

/// Something that is printed as JSON.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is printed as JSON, and is no document: it has no schema",
    note = "give it a type in src/json/, and the type a line in src/json/schema.rs, its verb one in \
            src/json/verbs.rs and a row in docs/json.md; `nsplay generate schemas docs/json`"
)]
pub trait Document: Serialize + JsonSchema {
    /// What its schema is called: `ps`.
    const NAME: &'static str;
    /// Counts the changes that programs cannot overlook: a field that is gone, or means another thing.
    const VERSION: u32 = 1;
}

/// A document as it is printed.
#[derive(Serialize)]
struct Tagged<'d, D> {
    schema: String,
    #[serde(flatten)]
    document: &'d D,
}

impl<'d, D: Document> Tagged<'d, D> {
    fn of(document: &'d D) -> Self {
        Self {
            schema: tag(D::NAME, D::VERSION),
            document,
        }
    }
}

/// What a document says of itself: `nsplay/ps/1`.
fn tag(name: &str, version: u32) -> String {
    format!("nsplay/{name}/{version}")
}

/// A document over several lines, for people too.
///
/// # Errors
/// What has no JSON: a path that is no text.
pub fn pretty(document: &impl Document) -> serde_json::Result<String> {
    Ok(serde_json::to_string_pretty(&Tagged::of(document))? + "\n")
}

/// A document on a line of its own.
///
/// # Errors
/// What has no JSON: a path that is no text.
pub fn line(document: &impl Document) -> serde_json::Result<String> {
    Ok(serde_json::to_string(&Tagged::of(document))? + "\n")
}
