//! What firmware and iPXE print when a boot has failed, and what that means.

/// A part of a line, and its meaning; what is farther up is the cause of what is below.
const SIGNS: [(&str, &str); 8] = [
    (
        "command not found",
        "a command of its script is none of iPXE's",
    ),
    (
        "[PXE-NBP]",
        "it took the file for a boot program; the first line of a script is `#!ipxe`",
    ),
    (
        "Exec format error",
        "the file is neither a script that begins with `#!ipxe` nor something that iPXE can boot",
    ),
    (
        "Connection reset",
        "whoever should serve that has closed the connection; `nsplay ps` shows whether it is ready",
    ),
    (
        "Connection timed out",
        "nobody answers there; `nsplay ps` shows whether the server is ready",
    ),
    (
        "Operation not supported",
        "this iPXE has no such protocol or format",
    ),
    (
        "Boot from SAN device",
        "it had nothing else to boot, and nothing boots from its disk",
    ),
    (
        "No bootable device",
        "its firmware has tried all that it may boot from",
    ),
];

/// What the last of `lines` say of a boot that has failed.
pub fn read<'l>(lines: impl DoubleEndedIterator<Item = &'l String> + Clone) -> Option<String> {
    SIGNS.iter().find_map(|(sign, means)| {
        let line = lines.clone().rev().find(|line| line.contains(sign))?;
        Some(format!("it printed `{}`: {means}", line.trim()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_is_told_and_not_what_came_of_it() {
        let lines = [
            "http://192.168.25.3/boot.ipxe... ok",
            "kernal: command not found",
            "Could not boot: Exec format error (https://ipxe.org/2e008081)",
            "No bootable device.",
        ];
        let lines = lines.map(str::to_owned);
        assert_eq!(
            read(lines.iter()).unwrap(),
            "it printed `kernal: command not found`: a command of its script is none of iPXE's"
        );
        assert_eq!(read(lines[..1].iter()), None);
    }
}
