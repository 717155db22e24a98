//! Which ports who runs nsplay may publish (ip(7)).

use std::fs;

use nix::unistd::geteuid;

use crate::kernel::user;

/// What the kernel has when nobody has changed it.
const USUAL: u16 = 1024;

/// The first port that may be published: 0 for who may have all.
#[must_use]
pub fn first() -> u16 {
    if geteuid().is_root() || user::has(user::NET_BIND_SERVICE) {
        return 0;
    }
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    let first = text.ok().and_then(|text| text.trim().parse().ok());
    first.unwrap_or(USUAL)
}
