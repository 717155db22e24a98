//! What AppArmor and SELinux have denied of late, as the kernel's log tells.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use nix::libc;
use nix::time::{ClockId, clock_gettime};

/// One record a read, and each begins with its level, number and time (the kernel's
/// Documentation/ABI/testing/dev-kmsg).
const LOG: &str = "/dev/kmsg";

/// The longest record.
const RECORD: usize = 8192;

/// What a denial keeps from answering is waited for 15 s.
const OF_LATE: Duration = Duration::from_secs(30);

/// More than these are of one cause.
const MOST: usize = 3;

/// What has been denied to one of `programs` in the last half minute, each as a sentence.
///
/// None where the log may not be read (`kernel.dmesg_restrict`), and where auditd(8) gets them
/// instead of it.
#[must_use]
pub fn of_late(programs: &[String]) -> Vec<String> {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::MAX, Duration::from);
    let mut denials = among(&log(), now, programs);
    denials.drain(..denials.len().saturating_sub(MOST));
    denials
}

fn log() -> String {
    let mut options = OpenOptions::new();
    let opened = options.read(true).custom_flags(libc::O_NONBLOCK).open(LOG);
    let Ok(mut file) = opened else {
        return String::new();
    };
    let (mut log, mut record) = (Vec::new(), vec![0; RECORD]);
    loop {
        match file.read(&mut record) {
            Ok(0) => break,
            Ok(length) => log.extend_from_slice(&record[..length]),
            // It was overwritten before it was read.
            Err(error) if error.raw_os_error() == Some(libc::EPIPE) => {}
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&log).into_owned()
}

fn among(log: &str, now: Duration, programs: &[String]) -> Vec<String> {
    let of_late = |line: &str| {
        let (head, message) = line.split_once(';')?;
        let at = head.split(',').nth(2)?.parse().ok()?;
        let ago = now.saturating_sub(Duration::from_micros(at));
        (ago <= OF_LATE).then(|| denied(message, programs))?
    };
    log.lines().filter_map(of_late).collect()
}

/// What a record says was denied to one of `programs`, if it does.
fn denied(message: &str, programs: &[String]) -> Option<String> {
    let of = |key: &str| {
        let word = message.split_ascii_whitespace();
        let value = word.filter_map(|word| word.strip_prefix(key)?.strip_prefix('='));
        value.map(|value| value.trim_matches('"')).next()
    };
    // The kernel keeps 15 characters of a program's name.
    let program = of("comm")?;
    if !programs.iter().any(|known| known.contains(program)) {
        return None;
    }
    let object = of("name").or(of("path")).or(of("capname"));
    let object = object.map_or_else(String::new, |object| format!(" {object}"));
    if message.contains("apparmor=\"DENIED\"") {
        let (profile, operation) = (of("profile")?, of("operation")?);
        return Some(format!(
            "AppArmor's profile {profile} denies {program} {operation}{object}: \
             `aa-complain {profile}` lets it through"
        ));
    }
    if message.contains("avc:  denied") && of("permissive") != Some("1") {
        let (_, rest) = message.split_once("{ ")?;
        let (permission, _) = rest.split_once(" }")?;
        let context = of("scontext")?;
        return Some(format!(
            "SELinux denies {program}, as {context}, {permission}{object}: audit2why(8) says what \
             lets it through"
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn denials_of_late_are_told_and_nothing_else_is() {
        let log = "\
6,900,99000000,-;audit: type=1400 audit(1.2:3): apparmor=\"DENIED\" operation=\"open\" profile=\"old\" comm=\"old\"
4,901,100500000,-;audit: type=1400 audit(1764150000.123:88): apparmor=\"DENIED\" operation=\"open\" class=\"file\" profile=\"swtpm\" name=\"/run/lab/node1/tpm/state\" pid=7 comm=\"swtpm\" requested_mask=\"wc\" denied_mask=\"wc\" fsuid=60603 ouid=60603
 SUBSYSTEM=audit
6,902,101000000,c;audit: type=1400 audit(1.2:5): apparmor=\"ALLOWED\" operation=\"open\" profile=\"x\" comm=\"x\"
4,903,102000000,-;audit: type=1400 audit(1.2:6): avc:  denied  { read } for  pid=9 comm=\"dnsmasq\" name=\"dnsmasq.conf\" dev=\"tmpfs\" ino=4 scontext=system_u:system_r:dnsmasq_t:s0 tcontext=system_u:object_r:tmpfs_t:s0 tclass=file permissive=0
4,904,103000000,-;audit: type=1400 audit(1.2:7): avc:  denied  { read } for  pid=9 comm=\"dnsmasq\" scontext=a tcontext=b tclass=file permissive=1
4,905,104000000,-;audit: type=1400 audit(1.2:8): apparmor=\"DENIED\" operation=\"capable\" profile=\"passt\" pid=9 comm=\"passt\" capability=12  capname=\"net_admin\"
4,906,105000000,-;audit: type=1400 audit(1.2:9): apparmor=\"DENIED\" operation=\"open\" profile=\"snap\" name=\"x\" comm=\"firefox\"
no record";
        let programs = ["swtpm", "old", "x", "dnsmasq", "passt"].map(str::to_owned);
        assert_eq!(
            among(log, Duration::from_secs(130), &programs),
            [
                "AppArmor's profile swtpm denies swtpm open /run/lab/node1/tpm/state: \
                 `aa-complain swtpm` lets it through",
                "SELinux denies dnsmasq, as system_u:system_r:dnsmasq_t:s0, read dnsmasq.conf: \
                 audit2why(8) says what lets it through",
                "AppArmor's profile passt denies passt capable net_admin: `aa-complain passt` lets \
                 it through",
            ]
        );
        assert!(among(log, Duration::MAX, &programs).is_empty());
    }
}
