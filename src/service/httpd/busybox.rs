//! busybox httpd: on almost every host, and the least able.
//!
//! What it lacks (1.35):
//!
//! - no folder listing: `/` without an `index.html` is 404;
//! - a suffix range (`bytes=-4`) and `bytes=0-0` send the whole file; other ranges work;
//! - a file of no known type has no Content-Type, nor has any part of a file;
//! - HEAD gets headers and then the body (the client has gone: `error: Broken pipe`);
//! - one connection per request, one process per connection;
//! - an access log in one format with the others. It writes two lines before
//!   the body, without method or bytes, and the path decoded and not escaped,
//!   so that a client can put any byte, a newline too, into the log:
//!
//! ```text
//! 192.168.25.150:50416: url:/boot.ipxe
//! 192.168.25.150:50416: response:200
//! ```

use std::fmt::Write as _;
use std::path::Path;

use super::{READY_PATH, Site, TYPES, argv};
use crate::program::TextFile;

pub(super) fn render(site: &Site, binary: &Path) -> (TextFile, Vec<String>) {
    // A password on the probe's path alone makes its response line unlike any other.
    let mut text = format!("{READY_PATH}:nsplay:nsplay\n");
    for (media, extensions) in TYPES {
        for extension in *extensions {
            writeln!(text, ".{extension}:{media}").expect("a string takes all");
        }
    }
    let config = site.config("busybox.conf", text);
    let path = config.path.display().to_string();
    let listen = site.listen.to_string();
    let root = site.root.display().to_string();
    let arguments = [
        "httpd", "-f", "-vv", "-p", &listen, "-h", &root, "-c", &path,
    ];
    (config, argv(binary, &arguments))
}

/// Tells whether one of busybox's lines comes from a readiness probe.
pub(super) fn is_probe(line: &str) -> bool {
    let Some((client, rest)) = line.split_once(": ") else {
        return false;
    };
    !client.contains(' ')
        && (rest == "response:401" || rest.strip_prefix("url:") == Some(READY_PATH))
}
