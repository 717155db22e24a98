//! What a node shares with everything else that runs in its lab.

use std::rc::Rc;

use crate::journal::Journal;
use crate::kernel::net::Members;
use crate::kernel::reaper::Reaper;

/// What a node needs of the supervisor.
#[derive(Clone)]
pub struct Host {
    /// The namespaces.
    pub members: Rc<Members>,
    /// Who reaps.
    pub reaper: Reaper,
    /// Who is told.
    pub journal: Journal,
}
