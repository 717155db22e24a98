//! The ways in which a node boots over the network, as the logs of dnsmasq and httpd show them.

use std::collections::BTreeSet;

use crate::host::Host;

/// A boot program (PXE 2.1, section 3.4) that prints a line through INT 10h, which SeaBIOS repeats
/// on the serial line, and halts.
const PROGRAM: &[u8] = b"\
    \x31\xc0\x8e\xd8\xfc\xbe\x19\x7c\
    \xac\x84\xc0\x74\x09\xb4\x0e\xbb\x07\x00\xcd\x10\xeb\xf2\
    \xf4\xeb\xfdthis came over TFTP\r\n\0";

/// Each node says who it is, and how it came to say so.
const SAYS: &str = "ipxe = \"\"\"\n\
    echo this is ${nsplay-node} on ${platform}, ${nsplay-bmc} ${nsplay-mac} = ${net0/mac}\n\
    shell\n\"\"\"\n";

#[test]
fn a_node_boots_by_its_firmware_over_tftp_and_over_http() {
    let host = Host::new();
    host.write(
        "nsplay.toml",
        &format!(
            "[defaults]\nmemory = \"128MiB\"\ndisk = false\n\
             [node.program]\nnetwork_boot = \"pxe\"\nboot_file = \"hello.0\"\n\
             [node.tftp]\nfirmware = \"uefi\"\nnetwork_boot = \"pxe\"\n{SAYS}\
             [node.http]\nfirmware = \"uefi\"\nnetwork_boot = \"http\"\n{SAYS}"
        ),
    );
    host.write("tftproot/README", "");
    std::fs::write(host.folder().join("tftproot/hello.0"), PROGRAM).unwrap();
    host.nsplay(&["up", "-d"]).ok();
    host.prints("program", "this came over TFTP", 1);
    host.prints("tftp", "this is tftp on efi, 192.168.25.6 ", 1);
    host.prints("http", "this is http on efi, 192.168.25.7 ", 1);
    // To whom; EDK2 loads a file twice, the first time for its size.
    let sent = |file: &str| {
        let lines = host.lines("dhcp").into_iter();
        let to = lines.filter_map(|line| {
            let sent = line.strip_prefix("sent ")?;
            let (path, to) = sent.split_once(" to ")?;
            path.ends_with(&format!("/root/{file}"))
                .then(|| to.to_owned())
        });
        to.collect::<BTreeSet<String>>()
    };
    assert_eq!(sent("hello.0").len(), 1);
    let loaded = sent("snponly.efi");
    assert_eq!(loaded.len(), 1, "only one node boots over TFTP: {loaded:?}");
    let got = |file: &str| {
        let line = format!("GET /{file} 200 ");
        let lines = host.lines("web");
        lines.iter().filter(|said| said.starts_with(&line)).count()
    };
    assert!(got("snponly.efi") >= 1, "{:#?}", host.lines("web"));
    assert_eq!(got("nsplay/node/tftp.ipxe"), 1);
    assert_eq!(got("nsplay/node/http.ipxe"), 1);
    assert_eq!(got("boot.ipxe"), 0);
}

#[test]
fn a_node_runs_its_own_ipxe_script_from_the_lab_file_or_the_web_root() {
    let host = Host::new();
    host.write(
        "nsplay.toml",
        &format!(
            "[defaults]\nmemory = \"64MiB\"\n\
             [node.inline]\n{SAYS}\
             [node.file]\n[node.usual]\n"
        ),
    );
    host.write("webroot/boot.ipxe", "#!ipxe\necho the menu of all\nshell\n");
    host.write(
        "webroot/node/file.ipxe",
        "#!ipxe\necho a file for ${nsplay-node}\nchain /boot.ipxe\n",
    );
    host.nsplay(&["up", "-d"]).ok();
    host.prints("inline", "this is inline on pcbios, 192.168.25.5 ", 1);
    host.prints("file", "a file for file", 1);
    host.prints("file", "the menu of all", 1);
    host.prints("usual", "the menu of all", 1);
    let lines = host.lines("inline");
    let macs = lines.iter().find_map(|line| line.split_once("25.5 "));
    let (ours, its) = macs.unwrap().1.trim().split_once(" = ").unwrap();
    assert_eq!(ours, its);
    // What a node does not have of its own, nothing asks for.
    let lost = host
        .lines("web")
        .into_iter()
        .find(|line| line.contains(" 404 "));
    assert_eq!(lost, None);
    // The file is read again at each boot.
    host.write(
        "webroot/node/file.ipxe",
        "#!ipxe\necho another file\nshell\n",
    );
    host.nsplay(&["power", "file", "reset"]).ok();
    host.prints("file", "another file", 1);
}
