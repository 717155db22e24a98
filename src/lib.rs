//! nsplay: the bare-metal lab that runs anywhere Linux runs.

pub mod image;
pub mod lab;
