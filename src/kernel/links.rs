//! Which kinds of links the kernel makes, and whether it can lose and delay packets, found out by
//! making it so.

use std::io;
use std::thread;

use nix::sched::{CloneFlags, unshare};
use rtnetlink::{LinkBridge, LinkVeth};

use super::qdisc;
use crate::lab::LinkName;
use crate::node::shape::Shape;

/// Makes a bridge and a veth, and has its loopback delay packets, in a network namespace that ends with
/// this call; returns the modules of those that the kernel can.
///
/// # Errors
/// What clone(2) or unshare(2) says, or opening a netlink socket.
pub fn probe() -> io::Result<Vec<&'static str>> {
    // A thread that has left its namespace must not go on to do anything else.
    let tried = thread::Builder::new().spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let (connection, handle, _) = rtnetlink::new_connection()?;
            tokio::spawn(connection);
            let mut made = Vec::new();
            let bridge = LinkBridge::new("bridge0").build();
            if handle.link().add(bridge).execute().await.is_ok() {
                made.push("bridge");
            }
            let veth = LinkVeth::new("veth0", "veth1").build();
            if handle.link().add(veth).execute().await.is_ok() {
                made.push("veth");
            }
            let slow = Shape {
                delay_ms: Some(1),
                ..Shape::default()
            };
            if qdisc::set(&LinkName::loopback(), Some(&slow)).is_ok() {
                made.push("sch_netem");
            }
            Ok(made)
        })
    })?;
    tried
        .join()
        .unwrap_or_else(|_| Err(io::Error::other("the attempt ended")))
}
