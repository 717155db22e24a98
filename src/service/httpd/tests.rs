use std::path::PathBuf;

use insta::assert_snapshot;

use super::{Found, Kind, find, is_probe, program};
use crate::lab::{HttpServer, Name, Root, Web};

fn web() -> Web {
    Web {
        name: Name::new("web").unwrap(),
        network: Name::new("main").unwrap(),
        address: "192.168.25.3".parse().unwrap(),
        root: Root::Embedded,
        server: HttpServer::Auto,
        publish: None,
    }
}

/// The argv on the first line, then every file with its path and mode.
fn whole(kind: Kind, binary: &str) -> String {
    let found = Found {
        kind,
        binary: PathBuf::from(binary),
    };
    let program = program(&web(), &found);
    let mut text = program.argv.join(" ") + "\n";
    for file in &program.files {
        text += &format!("--- {} {:o}\n{}", file.path.display(), file.mode, file.text);
    }
    text
}

#[test]
fn lighttpd_is_told_everything() {
    assert_snapshot!(whole(Kind::Lighttpd, "/usr/sbin/lighttpd"));
}

#[test]
fn nginx_is_told_everything() {
    assert_snapshot!(whole(Kind::Nginx, "/usr/sbin/nginx"));
}

#[test]
fn apache_is_told_everything() {
    assert_snapshot!(whole(Kind::Apache, "/usr/sbin/apache2"));
}

#[test]
fn busybox_is_told_everything() {
    assert_snapshot!(whole(Kind::Busybox, "/usr/bin/busybox"));
}

fn installed(names: &[&str]) -> impl Fn(&str) -> Option<PathBuf> {
    move |name| {
        names
            .contains(&name)
            .then(|| PathBuf::from("/usr/sbin").join(name))
    }
}

#[test]
fn auto_takes_the_first_that_is_installed() {
    let found = find(HttpServer::Auto, installed(&["busybox", "httpd"])).unwrap();
    assert_eq!(found.kind, Kind::Apache);
    assert_eq!(found.binary, PathBuf::from("/usr/sbin/httpd"));
}

#[test]
fn a_named_server_has_no_substitute() {
    let error = find(HttpServer::Nginx, installed(&["lighttpd"])).unwrap_err();
    assert_snapshot!(error, @"cannot find nginx");
    let error = find(HttpServer::Auto, installed(&[])).unwrap_err();
    assert_snapshot!(error, @"cannot find lighttpd, nginx, apache2, httpd, busybox-extras or busybox");
}

#[test]
fn a_probe_is_told_from_a_client() {
    assert!(is_probe("GET /nsplay/ready 404 146 192.168.25.1"));
    assert!(is_probe("HEAD /nsplay/ready 404 0 192.168.25.1"));
    assert!(is_probe("192.168.25.1:50434: url:/nsplay/ready"));
    assert!(is_probe("192.168.25.1:50434: response:401"));
    assert!(!is_probe("GET /boot.ipxe 200 7 192.168.25.150"));
    assert!(!is_probe("GET /nsplay/ready/ 404 7 192.168.25.150"));
    assert!(!is_probe("GET /x?a: response:401 404 7 192.168.25.150"));
    assert!(!is_probe("192.168.25.1:50434: response:404"));
}
