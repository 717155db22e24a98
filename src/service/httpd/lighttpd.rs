//! lighttpd: the smallest that does everything.
//!
//! Given a file, even `/dev/stderr`, mod_accesslog keeps its lines for up to
//! 4 s (1.4.69). Given a command it writes each line at once, so the log goes
//! through a cat that lighttpd starts, restarts, and ends by closing its pipe.
//!
//! It would believe a file's size for a second after it has looked, and cut
//! what has been written anew since: so it looks each time.

use std::fmt::Write as _;
use std::path::Path;

use super::{OTHER_TYPE, Site, TYPES, argv};
use crate::program::TextFile;

pub(super) fn render(site: &Site, binary: &Path) -> (TextFile, Vec<String>) {
    let dir = site.dir.display();
    let mut types = String::new();
    for (media, extensions) in TYPES {
        for extension in *extensions {
            writeln!(types, r#"  ".{extension}" => "{media}","#).expect("a string takes all");
        }
    }
    // The command's own stderr is /dev/null (1.4.69): it writes to its parent's.
    let text = format!(
        r#"server.modules = ("mod_accesslog", "mod_dirlisting")
server.bind = "{address}"
server.port = {port}
server.document-root = "{root}"
server.upload-dirs = ("{dir}")
server.follow-symlink = "enable"
server.stat-cache-engine = "disable"
server.tag = "lighttpd"
server.max-keep-alive-idle = 15
server.max-request-size = 64
index-file.names = ("index.html")
dir-listing.activate = "enable"
dir-listing.encoding = "utf-8"
accesslog.filename = "|exec cat >/proc/$PPID/fd/2"
accesslog.format = "%m %U %s %b %a"
$HTTP["querystring"] != "" {{
  accesslog.format = "%m %U?%q %s %b %a"
}}
mimetype.assign = (
{types}  "" => "{OTHER_TYPE}"
)
"#,
        address = site.listen.ip(),
        port = site.listen.port(),
        root = site.root.display(),
    );
    let config = site.config("lighttpd.conf", text);
    let path = config.path.display().to_string();
    (config, argv(binary, &["-D", "-f", &path]))
}
