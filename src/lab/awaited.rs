//! What a member waits for before it starts.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Name, Stage};

/// A service that is ready, or a node that has come far enough.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Awaited {
    /// A service, spelled `web`.
    Service(Name),
    /// A node's boot stage, spelled `node1:userland`; a boot that has gone farther is as good.
    Stage(Name, Stage),
}

impl Awaited {
    /// The member that it is about.
    #[must_use]
    pub fn member(&self) -> &Name {
        match self {
            Self::Service(name) | Self::Stage(name, _) => name,
        }
    }
}

impl fmt::Display for Awaited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(name) => write!(f, "{name}"),
            Self::Stage(name, stage) => write!(f, "{name}:{stage}"),
        }
    }
}
