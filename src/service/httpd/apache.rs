//! Apache: distributions differ in where its modules are and in which are built in.
//!
//! The configuration asks for both itself (`IfFile`, 2.4.34), so that it stays
//! one text that needs no look at the host.

use std::fmt::Write as _;
use std::path::Path;

use super::{OTHER_TYPE, Site, TYPES, argv};
use crate::program::TextFile;

/// Where modules are, one place per distribution.
const MODULES: &[&str] = &[
    // Debian
    "/usr/lib/apache2/modules",
    // Fedora
    "/usr/lib64/httpd/modules",
    // Arch
    "/usr/lib/httpd/modules",
    // openSUSE
    "/usr/lib64/apache2",
    "/usr/lib64/apache2-prefork",
    // Alpine
    "/usr/lib/apache2",
];

/// The modules, in the order in which they are loaded.
///
/// mpm_event and log_config are built in on some distributions.
const LOADED: &[&str] = &[
    "mpm_event",
    "unixd",
    "log_config",
    "authz_core",
    "dir",
    "mime",
    "headers",
    "autoindex",
];

pub(super) fn render(site: &Site, binary: &Path) -> (TextFile, Vec<String>) {
    let dir = site.dir.display();
    let mut modules = String::new();
    for place in MODULES {
        write!(
            modules,
            "<IfFile \"{place}/mod_dir.so\">\n  Define MODULES {place}\n</IfFile>\n"
        )
        .expect("a string takes all");
    }
    for name in LOADED {
        write!(
            modules,
            "<IfFile \"${{MODULES}}/mod_{name}.so\">\n  \
             LoadModule {name}_module ${{MODULES}}/mod_{name}.so\n</IfFile>\n"
        )
        .expect("a string takes all");
    }
    let mut types = String::new();
    for (media, extensions) in TYPES {
        writeln!(types, "AddType {media} {}", extensions.join(" ")).expect("a string takes all");
    }
    let text = format!(
        r#"ServerRoot {dir}
{modules}ServerName {address}
Listen {listen}
DefaultRuntimeDir {dir}
PidFile {dir}/httpd.pid
Mutex pthread
ServerTokens Prod
<IfModule mpm_event_module>
  StartServers 1
  ServerLimit 1
  ThreadsPerChild 64
  MaxRequestWorkers 64
</IfModule>
KeepAliveTimeout 15
LimitRequestBody 65536
EnableSendfile On
ErrorLog /dev/stderr
ErrorLogFormat "%l %M"
LogLevel warn
LogFormat "%m %U%q %>s %B %a" lab
CustomLog /dev/stderr lab
DocumentRoot {root}
DirectoryIndex index.html
IndexOptions FancyIndexing HTMLTable SuppressIcon NameWidth=* Charset=UTF-8
<Directory />
  Require all granted
  Options Indexes FollowSymLinks
  AllowOverride None
</Directory>
TypesConfig /dev/null
{types}Header set Content-Type {OTHER_TYPE} "expr=-z %{{CONTENT_TYPE}}"
"#,
        address = site.listen.ip(),
        listen = site.listen,
        root = site.root.display(),
    );
    let config = site.config("httpd.conf", text);
    let path = config.path.display().to_string();
    (config, argv(binary, &["-D", "FOREGROUND", "-f", &path]))
}
