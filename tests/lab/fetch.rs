//! Downloads of what a lab needs, from a real web server on the host's loopback.

use std::process::{Child, Stdio};

use crate::caller::ordinary_user;
use crate::host::Host;

/// A server of the host, which ends with the test.
struct Server(Child);

impl Server {
    /// Runs a shell script and waits until somebody listens on `port`.
    fn start(host: &Host, port: u16, script: &str) -> Self {
        let mut server = host.bounded("sh");
        let server = server.args(["-c", script]).stdout(Stdio::null());
        let server = Self(server.spawn().unwrap());
        let listens = format!("ss -Hltn 'sport = :{port}' | grep -q .");
        host.until("the server listens", || host.shell(&listens).code == 0);
        server
    }

    /// Serves the folder `mirror`, and writes down what it answers.
    fn mirror(host: &Host) -> Self {
        let script = "exec busybox httpd -f -vv -p 127.0.0.1:8000 -h mirror 2>answers";
        Self::start(host, 8000, script)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Makes `mirror/v1/big` of 3 MB and the list of its digest.
fn publish(host: &Host) {
    host.shell(
        "mkdir -p mirror/v1 webroot && head -c 3000000 /dev/urandom > mirror/v1/big &&
         cd mirror && sha256sum ./v1/big > SHA256SUMS",
    )
    .ok();
    host.give("webroot");
}

/// A lab file that downloads `big` from `port`.
fn lab(port: u16, check: &str) -> String {
    format!("[fetch.big]\nurl = \"http://127.0.0.1:{port}/v1/big\"\nto = \"x/big\"\n{check}\n")
}

const SUMS: &str = "sums = \"http://127.0.0.1:8000/SHA256SUMS\"";

#[test]
fn a_download_is_checked_and_is_made_once_and_goes_on_where_it_was_cut() {
    let host = Host::new();
    publish(&host);
    let _mirror = Server::mirror(&host);
    let sums = std::fs::read_to_string(host.folder().join("mirror/SHA256SUMS")).unwrap();
    let digest = format!("sha256 = \"{}\"", &sums[..64]);
    host.write("cut.toml", &lab(8001, &digest));
    host.write("nsplay.toml", &lab(8000, SUMS));
    let cut = "{ printf 'HTTP/1.1 200 OK\\r\\nContent-Length: 3000000\\r\\n\\r\\n'
        head -c 1000000 mirror/v1/big; } | busybox nc -l -p 8001 >request";
    let cut = Server::start(&host, 8001, cut);
    let said = host.nsplay(&["fetch", "cut"]);
    let said = said.fails(1, &["after 1000000 of 3000000 bytes", "run it again"]);
    assert_eq!(said.out, "");
    drop(cut);
    let part = host.folder().join("webroot/x/big.part");
    assert_eq!(part.metadata().unwrap().len(), 1_000_000);
    let said = host.nsplay(&["fetch"]).ok();
    assert_eq!(said.err, "x/big: 2.9 MiB\n");
    host.shell("cmp mirror/v1/big webroot/x/big && ! ls webroot/x/*.part && grep -q 'response:206' answers")
        .ok();
    let said = host.nsplay(&["fetch"]).ok();
    assert_eq!(said.err, "x/big: there already\n");
    // Halves of two versions do not go together: it begins anew.
    host.shell("rm webroot/x/big; head -c 5000 /dev/zero > webroot/x/big.part")
        .ok();
    host.give("webroot");
    host.nsplay(&["fetch"]).ok();
    host.shell("cmp mirror/v1/big webroot/x/big").ok();
    // What the mirror has changed is downloaded again.
    publish(&host);
    host.nsplay(&["fetch"]).ok();
    host.shell("cmp mirror/v1/big webroot/x/big").ok();
    // Who has the folder leads root nowhere, and has what root downloads into it.
    let owner = ordinary_user();
    host.shell(&format!(
        "umask 077; rm webroot/x/big; echo secret >secret; ln -s ../../secret webroot/x/big.part
         chown -Rh {owner}:{owner} webroot"
    ))
    .ok();
    host.nsplay(&["fetch"]).fails(1, &["cannot write "]);
    host.shell("rm webroot/x/big.part").ok();
    host.nsplay(&["fetch"]).ok();
    host.shell(&format!(
        "grep -qx secret secret && test $(stat -c %u webroot/x/big) = {owner}"
    ))
    .ok();
}

#[test]
fn what_cannot_be_downloaded_or_is_wrong_is_told_and_leaves_nothing() {
    let host = Host::new();
    let before = host.inventory();
    publish(&host);
    host.write("nsplay.toml", &lab(8000, SUMS));
    // Before anything is made, `up` says what to do.
    host.nsplay(&["up", "-d"]).fails(
        2,
        &[
            "serves what has not been downloaded yet: x/big",
            "hint: nsplay fetch\n",
        ],
    );
    assert_eq!(host.inventory(), before);
    host.nsplay(&["fetch"]).fails(
        1,
        &[
            "cannot download http://127.0.0.1:8000/SHA256SUMS: ",
            "refused",
        ],
    );
    let _mirror = Server::mirror(&host);
    host.shell("echo other > mirror/v1/big").ok();
    host.nsplay(&["fetch"]).fails(
        1,
        &[
            "v1/big is not what it should be: its digest is ",
            "nothing of it was kept",
        ],
    );
    host.write(
        "nsplay.toml",
        &lab(8000, "sums = \"http://127.0.0.1:8000/v1/SUMS\""),
    );
    host.nsplay(&["fetch"])
        .fails(1, &["v1/SUMS: the server answers 404 Not Found"]);
    host.write("nsplay.toml", &lab(8000, "").replace("v1/big", "v2/big"));
    host.nsplay(&["fetch"])
        .fails(1, &["v2/big: the server answers 404 Not Found"]);
    host.shell("! find webroot -type f | grep .").ok();
    host.nsplay(&["fetch", "nowhere"])
        .fails(2, &["cannot read lab file nowhere"]);
}
