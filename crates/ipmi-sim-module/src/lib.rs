//! The module that nsplay loads into ipmi_sim: chassis commands are answered
//! by the node's own state machine, and nothing is forked to do so; the watchdog acts
//! through that machine too.
//!
//! Without it ipmi_sim runs a shell for every power question and is blocked
//! while that runs, loses the persistent and EFI bits of the boot flags, knows
//! no power-on hours, restart cause or restore policy, and dies of one `Get
//! Channel Payload Support` (2.0.33). It also tells nobody that a session has
//! activated serial over LAN, who could then show it what was printed before. Privilege levels stay ipmi_sim's job: it
//! refuses a session that may not do a command before any handler is called.
//!
//! - `ffi`: what ipmi_sim calls and what is called in it; the other unsafe code is `sel_clock`'s.
//! - `chassis`, `boot`: IPMI bytes to questions, answers to IPMI bytes. Pure.
//! - `watchdog`: the watchdog timer; `event`: events that clients report. Pure.
//! - `protocol`: the questions and answers as text. Pure.
//! - `sol`: what ipmi_sim forgets when a serial-over-LAN session begins. Pure.
//! - `link`: the socket to the node, and how long it is waited for.
//! - `sel_clock`: the true time for the event log.
//!
//! The node keeps all state that matters, so that it outlives a crash of
//! ipmi_sim: power, boot flags, restore policy, identify light, power-on hours.
//! Here lives only what IPMI lets a BMC forget when it restarts.
//!
//! Loaded by `loadlib "FILE" "fd=N"` in lan.conf, where N is a descriptor that
//! ipmi_sim inherited: one end of an `AF_UNIX`, `SOCK_SEQPACKET` socketpair.

mod boot;
mod chassis;
mod event;
mod ffi;
mod hooks;
mod link;
mod protocol;
mod sel_clock;
mod sol;
mod watchdog;
