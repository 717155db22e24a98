//! Queueing disciplines that shape what leaves a link, over rtnetlink: tbf for a rate alone, netem
//! for loss and delay (`<linux/pkt_sched.h>`, tc-tbf(8), tc-netem(8)).

use std::io;

use nix::libc;
use nix::net::if_::if_nametoindex;

use super::netlink::{Attributes, Socket};
use crate::lab::LinkName;
use crate::node::shape::Shape;

// Messages, their flags and attributes of `<linux/rtnetlink.h>`.
const NEW: u16 = 36;
const DELETE: u16 = 37;
const REQUEST: u16 = 1;
const ACK: u16 = 4;
const REPLACE: u16 = 0x100;
const CREATE: u16 = 0x400;
const ROOT: u32 = u32::MAX;
const KIND: u16 = 1;
const OPTIONS: u16 = 2;

// Attributes of the two.
const TBF_PARMS: u16 = 1;
const TBF_BURST: u16 = 6;
const NETEM_RATE: u16 = 6;

/// `TC_LINKLAYER_ETHERNET`: the kernel computes itself how long a packet takes, and needs no table.
const ETHERNET: u8 = 1;

/// How much tbf lets through at once, in bytes: a packet of 9000 bytes fits, and at high rates what
/// comes in a [`TICK`].
const BURST: u32 = 16 << 10;

/// A timer that is late by so much takes nothing from the rate, in parts of a second.
const TICK: u32 = 1000;

/// How much waits in tbf before packets are dropped, in bytes: what comes in a tenth of a second, but
/// no less and no more than this.
const QUEUE: (u32, u32) = (64 << 10, 16 << 20);

/// How many packets wait in netem: a second of a gigabit needs 80000.
const PACKETS: u32 = 100_000;

/// The kernel's unit for delays is 64 ns (`PSCHED_SHIFT`); u32 holds 274 s.
const TICKS_PER_MS: u32 = 15_625;

/// What shapes: the name by which the kernel knows it. Its module is `sch_` and the name.
fn kind(shape: &Shape) -> &'static str {
    match (shape.loss_percent, shape.delay_ms) {
        (None, None) => "tbf",
        (Some(_), _) | (_, Some(_)) => "netem",
    }
}

/// Shapes what leaves a link of the calling thread's network namespace; none lets it leave as it comes.
///
/// # Errors
/// What the kernel says, ENOENT where it has no such discipline; then all is as it was.
pub fn set(link: &LinkName, shape: Option<&Shape>) -> io::Result<()> {
    let index = if_nametoindex(link.as_str())?;
    let socket = Socket::route()?;
    let Some(shape) = shape else {
        return match socket.send(&message(DELETE, REQUEST | ACK, index, |_| {}), 1) {
            // Somebody has removed it already.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            done => done,
        };
    };
    let flags = REQUEST | ACK | REPLACE | CREATE;
    let request = message(NEW, flags, index, |it| {
        it.text(KIND, kind(shape));
        it.put(OPTIONS, |it| options(shape, it));
    });
    socket.send(&request, 1)
}

/// An error of [`set`] for people, where it says that the kernel cannot shape so.
#[must_use]
pub fn explained(error: io::Error, shape: &Shape) -> io::Error {
    if !matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EOPNOTSUPP)) {
        return error;
    }
    let kind = kind(shape);
    let needs = match kind {
        "tbf" => "which a rate needs",
        _ => "which loss and delay need and a rate alone does not",
    };
    io::Error::other(format!(
        "this kernel has no {kind}, {needs}; nothing was changed, and `sudo modprobe sch_{kind}` \
         loads it where the kernel's packages have it (Fedora: kernel-modules-extra)"
    ))
}

fn message(kind: u16, flags: u16, index: u32, fill: impl FnOnce(&mut Attributes)) -> Vec<u8> {
    let mut bytes = vec![0; 4];
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend([0; 8]);
    // `struct tcmsg`: family, link, handle, parent, information.
    for number in [0, index, 0, ROOT, 0] {
        bytes.extend(number.to_ne_bytes());
    }
    fill(&mut Attributes(&mut bytes));
    #[allow(clippy::cast_possible_truncation)]
    let length = bytes.len() as u32;
    bytes[..4].copy_from_slice(&length.to_ne_bytes());
    bytes
}

/// Writes the options of the discipline that shapes so.
fn options(shape: &Shape, it: &mut Attributes) {
    let rate = shape.rate_bits_per_second.unwrap_or_default() / 8;
    let rate = u32::try_from(rate).unwrap_or(u32::MAX);
    match (shape.loss_percent, shape.delay_ms) {
        (None, None) => tbf(rate, it),
        (loss, delay) => netem(rate, loss.unwrap_or(0), delay.unwrap_or(0), it),
    }
}

/// Writes the options of tbf: a rate in bytes a second.
fn tbf(rate: u32, it: &mut Attributes) {
    let burst = BURST.max(rate / TICK);
    let limit = burst + (rate / 10).clamp(QUEUE.0, QUEUE.1);
    it.put(TBF_PARMS, |it| {
        // `struct tc_tbf_qopt`: the rate, no peak rate, the limit; the burst follows in bytes.
        it.0.extend([0, ETHERNET, 0, 0, 0, 0, 0, 0]);
        for number in [rate, 0, 0, 0, limit, 0, 0] {
            it.0.extend(number.to_ne_bytes());
        }
    });
    it.put(TBF_BURST, |it| it.0.extend(burst.to_ne_bytes()));
}

/// Writes the options of netem: a rate in bytes a second or 0, percent and milliseconds.
fn netem(rate: u32, loss: u8, delay: u32, it: &mut Attributes) {
    // Of 2^32 packets so many are lost, rounded.
    let share = (u64::from(loss) * u64::from(u32::MAX) + 50) / 100;
    let share = u32::try_from(share).unwrap_or(u32::MAX);
    let delay = delay.saturating_mul(TICKS_PER_MS);
    // `struct tc_netem_qopt`: latency, limit, loss, gap, duplicates, jitter.
    for number in [delay, PACKETS, share, 0, 0, 0] {
        it.0.extend(number.to_ne_bytes());
    }
    if rate > 0 {
        // `struct tc_netem_rate`: the rate, and nothing of cells.
        it.put(NETEM_RATE, |it| {
            for number in [rate, 0, 0, 0] {
                it.0.extend(number.to_ne_bytes());
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(bytes: &[u8]) -> Vec<u32> {
        let words = bytes.chunks_exact(4);
        words
            .map(|word| u32::from_ne_bytes(word.try_into().unwrap()))
            .collect()
    }

    /// Whole messages of tc (iproute2 6.1.0) behind its sequence number, as strace(1) showed them, for
    /// `tc qdisc replace dev t0 root netem limit 100000` and:
    #[test]
    fn netem_is_told_what_tc_tells_it() {
        const HEAD: [u32; 10] = [0, 0, 0, 2, 0, ROOT, 0, 0x0001_000a, 0x6574_656e, 0x6d];
        for (rate, loss, delay, length, options) in [
            // loss 37% delay 60s rate 16kbit
            (
                Some(16_000),
                Some(37),
                Some(60_000),
                0x60,
                &[
                    0x0002_0030,
                    0x37e1_1d60,
                    100_000,
                    0x5eb8_51eb,
                    0,
                    0,
                    0,
                    0x0006_0014,
                    2000,
                    0,
                    0,
                    0,
                ][..],
            ),
            // loss 1%
            (
                None,
                Some(1),
                None,
                0x4c,
                &[0x0002_001c, 0, 100_000, 0x028f_5c29, 0, 0, 0],
            ),
            // delay 50ms
            (
                None,
                None,
                Some(50),
                0x4c,
                &[0x0002_001c, 0x000b_ebc2, 100_000, 0, 0, 0, 0],
            ),
        ] {
            let shape = Shape {
                rate_bits_per_second: rate,
                loss_percent: loss,
                delay_ms: delay,
            };
            let flags = REQUEST | ACK | REPLACE | CREATE;
            let told = message(NEW, flags, 2, |it| {
                it.text(KIND, kind(&shape));
                it.put(OPTIONS, |it| super::options(&shape, it));
            });
            let told = words(&told);
            assert_eq!(told[..2], [length, 0x0505_0024]);
            assert_eq!(told[2..12], HEAD, "{shape}");
            assert_eq!(&told[12..], options, "{shape}");
        }
    }

    /// What it means is asked of the kernel by the tests that make labs.
    #[test]
    fn more_than_a_packet_and_a_late_timer_pass_tbf_at_once() {
        for (rate, burst, limit) in [
            (2000, 16 << 10, (16 << 10) + (64 << 10)),
            (3_750_000_000, 3_750_000, 3_750_000 + (16 << 20)),
        ] {
            let mut bytes = Vec::new();
            tbf(rate, &mut Attributes(&mut bytes));
            let told = words(&bytes);
            assert_eq!(told[0], 0x0001_0028);
            assert_eq!((told[3], told[7]), (rate, limit));
            assert_eq!(told[10..], [0x0006_0008, burst]);
        }
    }

    #[test]
    fn a_kernel_that_cannot_is_named_with_the_way_out() {
        let shape = Shape {
            loss_percent: Some(5),
            ..Shape::default()
        };
        let missing = io::Error::from_raw_os_error(libc::ENOENT);
        let said = explained(missing, &shape).to_string();
        assert!(said.contains("no netem"), "{said}");
        assert!(said.contains("`sudo modprobe sch_netem`"), "{said}");
        let other = io::Error::from_raw_os_error(libc::EPERM);
        let said = explained(other, &shape).raw_os_error();
        assert_eq!(said, Some(libc::EPERM));
    }
}
