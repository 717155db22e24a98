//! nsplay: the bare-metal lab that runs anywhere Linux runs.

pub mod image;
pub mod kernel;
pub mod lab;
pub mod program;
pub mod step;
