//! What a node shares with everything else that runs in its lab.

use std::rc::Rc;

use crate::confine::Confinement;
use crate::journal::Journal;
use crate::kernel::net::Members;
use crate::kernel::reaper::Reaper;

/// What whoever starts programs needs of the supervisor.
#[derive(Clone)]
pub struct Host {
    /// The namespaces.
    pub members: Rc<Members>,
    /// Who reaps.
    pub reaper: Reaper,
    /// Who is told.
    pub journal: Journal,
    /// What keeps members within their limits.
    pub confinement: Rc<Confinement>,
}
