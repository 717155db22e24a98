//! What this host lacks for labs, what that costs, and the command that mends it.
//!
//! [`Facts::gather`] looks at the host and changes nothing; [`examine`] judges what was seen, and is
//! pure. Running commands is left to the verb.

mod facts;
mod judge;
mod versions;

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

use crate::host::packages::Manager;

pub use facts::{Facts, Feature, Folder, Port, Program};
pub use judge::{examine, install};
pub use versions::wrong;

/// What was found about one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Finding {
    /// The thing.
    pub what: String,
    /// How it is.
    pub level: Level,
    /// What was seen.
    pub found: String,
    /// What that costs; nothing where all is well.
    #[serde(serialize_with = "some")]
    #[schemars(with = "Option<String>")]
    pub cost: String,
    /// The one command that mends it, if there is one.
    pub mend: Option<Mend>,
}

/// A text, or null where there is none.
fn some<S: serde::Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    Some(text)
        .filter(|text| !text.is_empty())
        .serialize(serializer)
}

/// A command that mends something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Mend {
    /// It, for a shell.
    pub command: String,
    /// Whether `nsplay doctor --fix` runs it; others are for people to judge.
    pub automatic: bool,
    /// The package that it installs.
    #[serde(skip)]
    pub package: Option<(Manager, &'static str)>,
}

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Labs run, but not all of them, or not as well.
    Degraded,
    /// No lab runs.
    Missing,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Missing => "missing",
        })
    }
}
