//! The kernel: namespaces, links, mounts and processes.
//!
//! All `unsafe` of nsplay is here. What is made with it is decided elsewhere.
#![allow(unsafe_code)]

pub mod cell;
pub mod cgroup;
pub mod clone;
pub mod domain;
pub mod hostlink;
pub mod inotify;
pub mod kvm;
pub mod links;
pub mod mark;
pub mod mount;
pub mod net;
pub mod netlink;
pub mod netns;
pub mod nft;
pub mod occupants;
pub mod outpost;
pub mod packet;
pub mod passing;
pub mod process;
pub mod pump;
pub mod qdisc;
pub mod reaper;
pub mod signals;
pub mod tap;
pub mod user;
