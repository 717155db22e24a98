//! nsplay: the bare-metal lab that runs anywhere Linux runs.

pub mod bmc;
pub mod embedded;
pub mod event;
pub mod files;
pub mod host;
pub mod image;
pub mod journal;
pub mod kernel;
pub mod lab;
pub mod lines;
pub mod node;
pub mod plan;
pub mod program;
pub mod rundir;
pub mod service;
pub mod step;
pub mod supervisor;
