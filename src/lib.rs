//! nsplay: the bare-metal lab that runs anywhere Linux runs.
//!
//! Data goes one way: a lab file becomes a [`lab::Lab`], that becomes a
//! [`plan::Plan`], and the [`supervisor`] carries the plan out.

pub mod bmc;
pub mod capture;
pub mod cell;
pub mod cli;
pub mod client;
pub mod command;
pub mod confine;
pub mod diff;
pub mod doctor;
pub mod embedded;
pub mod error;
pub mod event;
pub mod examples;
mod faultpoint;
pub mod fetch;
pub mod files;
pub mod graph;
pub mod host;
pub mod image;
pub mod import;
pub mod inspect;
pub mod journal;
pub mod json;
pub mod kernel;
pub mod lab;
pub mod labs;
pub mod lines;
pub mod node;
pub mod plan;
pub mod program;
pub mod progress;
pub mod relay;
pub mod rules;
pub mod rundir;
pub mod service;
pub mod step;
pub mod supervisor;
pub mod ui;
pub mod ways;
