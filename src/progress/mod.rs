//! How nodes boot, as far as it can be seen from outside: what their services, their firmware and
//! their guests print, and what QEMU says.
//!
//! [`tracker`] turns events into stages, [`access`] reads the log lines of servers, [`why`] says
//! where a boot stands or died, [`timeline`] draws it, [`goal`] is what can be waited for. All of it
//! is pure; listening and asking is the [`supervisor`](crate::supervisor)'s.

pub mod access;
pub mod goal;
pub mod timeline;
pub mod tracker;
pub mod why;
