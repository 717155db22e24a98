//! What the lab's servers serve: what is in their folders, and nothing that lies elsewhere.

use std::fs;

use crate::host::Host;

const SERVERS: [&str; 2] = ["http://192.168.25.3", "tftp://192.168.25.2"];

/// Folders of the user's, and a home elsewhere on the host that everybody may read.
fn host() -> Host {
    let host = Host::new();
    host.shell(
        "mount -t tmpfs -o mode=755 tmpfs /mnt
         mkdir -p /mnt/home webroot tftproot
         echo canary >/mnt/home/file
         echo canary >outside
         for root in webroot tftproot; do
             mkdir $root/folder
             echo yes >$root/inside
             echo yes >$root/folder/real
         done",
    )
    .ok();
    // A guest would only ask for what nobody asks about here.
    host.write(
        "nsplay.toml",
        "ssh = false\n[node.node1]\npower = \"off\"\n",
    );
    host
}

/// What a client gets that sends the path as it is: nothing where it is refused.
fn get(host: &Host, server: &str, path: &str) -> Option<String> {
    let url = format!("{server}/{path}");
    let curl = ["curl", "-s", "--path-as-is", "-f", "-m", "20", &url];
    let got = host.nsplay(&[&["exec", "fabric", "--"], &curl[..]].concat());
    (got.code == 0).then_some(got.out)
}

#[test]
fn a_server_does_not_leave_its_folder() {
    let host = host();
    host.nsplay(&["up", "-d"]).ok();
    for server in SERVERS {
        assert_eq!(get(&host, server, "inside").as_deref(), Some("yes\n"));
        for path in [
            "../outside",
            "../../../../etc/passwd",
            "%2e%2e/outside",
            "..%2f..%2f..%2f..%2fetc/passwd",
            "nsplay/../../lighttpd.conf",
        ] {
            assert_eq!(get(&host, server, path), None, "{server}/{path}");
        }
    }
}

#[test]
fn links_lead_inside_a_served_folder_and_to_what_is_installed_and_nowhere_else() {
    let host = host();
    host.shell(
        "for root in webroot tftproot; do
             ln -s folder/real $root/inner
             ln -s ../inside $root/folder/inner
             ln -s $PWD/$root/inside $root/folder/absolute
             ln -s /usr/lib/os-release $root/installed
             ln -s /etc/passwd $root/passwd
             ln -s /mnt/home/file $root/folder/file
             ln -s /mnt/home $root/home
             ln -s ../outside $root/outside
             ln -s ../../../../../../../../../../mnt/home/file $root/folder/dots
         done",
    )
    .ok();
    let up = host.nsplay(&["up", "-d"]).ok();
    for said in [
        "web does not serve ",
        "webroot/folder/dots: it leads out of the folder, to /mnt/home/file; copy that there",
        "web does not serve 2 more links and pipes",
        "dhcp does not serve ",
    ] {
        assert!(up.err.contains(said), "{said:?} is not in: {}", up.err);
    }
    host.shell(
        "for root in webroot tftproot; do
             ln -s /mnt/home/file $root/late
             ln -s /mnt/home/file $root/folder/late
             ln -s inside $root/late-inner
             ln -s ../folder/real $root/folder/late-inner
             mkfifo $root/late-pipe
         done",
    )
    .ok();
    let installed = fs::read_to_string("/usr/lib/os-release").unwrap();
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    for server in SERVERS {
        host.until("what came late is served", || {
            get(&host, server, "late-inner").is_some()
        });
        for inner in [
            "inner",
            "folder/inner",
            "folder/absolute",
            "folder/late-inner",
        ] {
            let got = get(&host, server, inner);
            assert_eq!(got.as_deref(), Some("yes\n"), "{server}/{inner}");
        }
        assert_eq!(get(&host, server, "installed").as_ref(), Some(&installed));
        for path in [
            "folder/file",
            "home/file",
            "outside",
            "folder/dots",
            "late",
            "folder/late",
            "late-pipe",
        ] {
            assert_eq!(get(&host, server, path), None, "{server}/{path}");
        }
        // The lab has accounts of its own, and they are no secret.
        let accounts = get(&host, server, "passwd").unwrap_or_default();
        assert_ne!(accounts, passwd, "{server}");
        assert!(!accounts.contains("daemon:"), "{server}: {accounts}");
    }
}
