//! The HTTP servers as they are installed, in an environment like a lab's.

mod sandbox;

use std::fs::File;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Output;

use nsplay::lab::{HttpServer, Name, Root, Web};
use nsplay::service::httpd::{self, Found, Kind, READY_PATH};
use sandbox::{Sandbox, Stage, installed};

const ADDRESS: &str = "192.168.25.3";
const GIB: u64 = 1 << 30;

fn start(kind: Kind, binary: &str, package: &str) -> (Sandbox, Stage) {
    installed("curl", "curl");
    let web = Web {
        name: Name::new("web").unwrap(),
        network: Name::new("main").unwrap(),
        address: ADDRESS.parse().unwrap(),
        root: Root::Embedded,
        server: HttpServer::Auto,
        publish: None,
    };
    let found = Found {
        kind,
        binary: installed(binary, package),
    };
    let program = httpd::program(&web, &found);
    let stage = Stage::new(&format!("httpd-{kind}"));
    stage.program(&program);
    // The served folder is of links into a folder that is not the member's.
    let (root, files) = (httpd::root(&web), Path::new("/run/lab/files"));
    stage.dir(&root, 0);
    stage.file(&files.join("boot.ipxe"), 0o644, 0, "#!ipxe\n");
    stage.file(&files.join("sub/page.html"), 0o644, 0, "<p>page</p>\n");
    stage.file(&files.join("vmlinuz-6.1.0"), 0o644, 0, "0123456789");
    File::create(stage.at(&files.join("big")))
        .unwrap()
        .set_len(5 * GIB)
        .unwrap();
    for name in ["boot.ipxe", "sub", "vmlinuz-6.1.0", "big"] {
        symlink(files.join(name), stage.at(&root.join(name))).unwrap();
    }
    let mut server = Sandbox::start(&program, &stage, ADDRESS);
    server.until_ready(|server| {
        let mut curl = server.inside("curl");
        curl.args([
            "-s",
            "--noproxy",
            "*",
            &format!("http://{ADDRESS}{READY_PATH}"),
        ]);
        curl
    });
    (server, stage)
}

fn text(output: &Output) -> String {
    assert!(
        output.status.success(),
        "curl: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).replace('\r', "")
}

fn status(server: &Sandbox, options: &[&str], path: &str) -> String {
    let options = [
        &["-o", "/dev/null", "-w", "%{http_code} %{size_download}"],
        options,
    ]
    .concat();
    text(&server.curl(&options, path))
}

/// Returns a header of the answer to a GET, its value in lower case.
fn header(server: &Sandbox, options: &[&str], name: &str, path: &str) -> String {
    // Not --head: busybox sends a HEAD's body too.
    let options = [&["-D", "-", "-o", "/dev/null"], options].concat();
    let head = text(&server.curl(&options, path)).to_ascii_lowercase();
    let prefix = format!("{name}: ");
    head.lines()
        .find_map(|line| line.strip_prefix(&prefix).map(str::to_owned))
        .unwrap_or_else(|| panic!("no {name} in {head}"))
}

/// What every server does.
fn serves_what_a_boot_needs(server: &Sandbox) {
    assert_eq!(text(&server.curl(&[], "/boot.ipxe")), "#!ipxe\n");
    assert_eq!(text(&server.curl(&[], "/sub/page.html")), "<p>page</p>\n");
    assert_eq!(
        status(server, &[], "/absent").split(' ').next(),
        Some("404")
    );
    assert_eq!(text(&server.curl(&["-r", "2-4"], "/vmlinuz-6.1.0")), "234");
    assert_eq!(text(&server.curl(&["-r", "7-"], "/vmlinuz-6.1.0")), "789");
    let media = |path| header(server, &[], "content-type", path);
    assert_eq!(media("/boot.ipxe"), "text/plain");
    assert_eq!(media("/sub/page.html"), "text/html");

    let last = format!("{}-{}", 5 * GIB - 5, 5 * GIB - 1);
    assert_eq!(status(server, &["-r", &last], "/big"), "206 5");
    assert_eq!(
        header(server, &["-r", "1-1"], "content-range", "/big"),
        format!("bytes 1-1/{}", 5 * GIB)
    );
    let outside = text(&server.curl(&[], "/../../../usr/bin/env")).len();
    assert!(
        outside < 5000,
        "a file outside of the root was served: {outside} bytes"
    );
}

/// What the servers do that are more than busybox.
fn serves_what_a_person_needs(server: &Sandbox) {
    let media = header(server, &[], "content-type", "/vmlinuz-6.1.0");
    assert_eq!(media, "application/octet-stream");
    assert_eq!(text(&server.curl(&["-r", "-4"], "/vmlinuz-6.1.0")), "6789");
    assert_eq!(
        text(&server.curl(&["-I"], "/vmlinuz-6.1.0")).lines().next(),
        Some("HTTP/1.1 200 OK")
    );
    let listing = text(&server.curl(&[], "/"));
    for name in ["boot.ipxe", "sub/", "vmlinuz-6.1.0"] {
        assert!(
            listing.contains(name),
            "no {name} in the listing: {listing}"
        );
    }
}

/// One line per request, in the common format, while the server still runs.
fn logs_in_the_common_format(server: &Sandbox) {
    let wanted = format!("GET /boot.ipxe 200 7 {ADDRESS}");
    server.until_line(&wanted, |line| line == wanted);
    let wanted = format!("GET /vmlinuz-6.1.0 206 3 {ADDRESS}");
    server.until_line(&wanted, |line| line == wanted);
    assert_eq!(status(server, &[], "/vmlinuz-6.1.0?a=1"), "200 10");
    let wanted = format!("GET /vmlinuz-6.1.0?a=1 200 10 {ADDRESS}");
    server.until_line(&wanted, |line| line == wanted);

    let _ = server.curl(&[], "/x%1b%5b31m%22y");
    let line = server.until_line("of junk", |line| line.starts_with("GET /x"));
    assert!(line.chars().all(|c| !c.is_control()), "{line:?}");

    assert!(server.lines().iter().any(|line| httpd::is_probe(line)));
    let clients: Vec<_> = server
        .lines()
        .into_iter()
        .filter(|l| !httpd::is_probe(l))
        .collect();
    assert!(
        !clients.iter().any(|l| l.contains(READY_PATH)),
        "{clients:#?}"
    );
}

/// The line of a body that takes time is there as soon as the body is.
fn logs_a_big_body_at_once(server: &Sandbox) {
    assert_eq!(
        status(server, &["-r", "0-999999999"], "/big"),
        "206 1000000000"
    );
    let wanted = format!("GET /big 206 1000000000 {ADDRESS}");
    server.until_line(&wanted, |line| line == wanted);
}

#[test]
fn lighttpd_serves_and_logs_in_a_lab() {
    let (mut server, _stage) = start(Kind::Lighttpd, "lighttpd", "lighttpd");
    serves_what_a_boot_needs(&server);
    serves_what_a_person_needs(&server);
    logs_in_the_common_format(&server);
    logs_a_big_body_at_once(&server);
    let writer = server.children();
    assert_eq!(writer.len(), 1, "lighttpd has one helper, its log writer");
    assert!(server.terminate().success());
    server.until_gone(&writer);
}

#[test]
fn nginx_serves_and_logs_in_a_lab() {
    let (mut server, _stage) = start(Kind::Nginx, "nginx", "nginx-light");
    serves_what_a_boot_needs(&server);
    serves_what_a_person_needs(&server);
    logs_in_the_common_format(&server);
    logs_a_big_body_at_once(&server);
    assert!(server.terminate().success());
}

#[test]
fn apache_serves_and_logs_in_a_lab() {
    let (mut server, _stage) = start(Kind::Apache, "apache2", "apache2-bin");
    serves_what_a_boot_needs(&server);
    serves_what_a_person_needs(&server);
    logs_in_the_common_format(&server);
    logs_a_big_body_at_once(&server);
    assert!(server.terminate().success());
}

#[test]
fn busybox_serves_a_boot_and_lacks_what_its_page_says() {
    let (mut server, _stage) = start(Kind::Busybox, "busybox", "busybox-static");
    serves_what_a_boot_needs(&server);
    // What httpd::busybox says that it lacks: should this fail, it has learnt it.
    assert_eq!(status(&server, &["-r", "-4"], "/vmlinuz-6.1.0"), "200 10");
    assert_eq!(status(&server, &["-r", "0-0"], "/vmlinuz-6.1.0"), "206 10");
    assert_eq!(status(&server, &[], "/").split(' ').next(), Some("404"));

    server.until_line("of a URL", |line| line.ends_with(": url:/boot.ipxe"));
    server.until_line("of a status", |line| line.ends_with(": response:200"));
    let lines = server.lines();
    assert!(lines.iter().any(|l| httpd::is_probe(l)));
    let rest: Vec<_> = lines.into_iter().filter(|l| !httpd::is_probe(l)).collect();
    assert!(
        rest.iter()
            .all(|l| !l.contains(READY_PATH) && !l.contains(":401")),
        "{rest:#?}"
    );
    // It has no handler for SIGTERM: the signal itself ends it.
    assert!(!server.terminate().success());
}
