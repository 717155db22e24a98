//! The host as the lab finds it: nothing in here changes it.

pub mod cgroups;
pub mod denials;
pub mod disk_image;
pub mod firmware;
pub mod owners;
pub mod packages;
pub mod places;
pub mod programs;
pub mod routes;
pub mod served;
pub mod sockets;
pub mod tools;
pub mod unprivileged;
pub mod usage;
pub mod ways;
