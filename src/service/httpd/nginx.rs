//! nginx: every path that it would take from its build is named here.

use std::fmt::Write as _;
use std::path::Path;

use super::{OTHER_TYPE, Site, TYPES, argv};
use crate::program::TextFile;

pub(super) fn render(site: &Site, binary: &Path) -> (TextFile, Vec<String>) {
    let dir = site.dir.display();
    let mut types = String::new();
    for (media, extensions) in TYPES {
        writeln!(types, "    {media} {};", extensions.join(" ")).expect("a string takes all");
    }
    let text = format!(
        r"daemon off;
pid {dir}/nginx.pid;
lock_file {dir}/nginx.lock;
error_log stderr warn;
worker_processes 1;
events {{
  worker_connections 512;
}}
http {{
  log_format lab '$request_method $request_uri $status $body_bytes_sent $remote_addr';
  access_log /dev/stderr lab;
  log_not_found off;
  server_tokens off;
  sendfile on;
  sendfile_max_chunk 2m;
  tcp_nopush on;
  keepalive_timeout 15s;
  client_max_body_size 64k;
  client_body_temp_path {dir}/tmp;
  proxy_temp_path {dir}/tmp;
  fastcgi_temp_path {dir}/tmp;
  uwsgi_temp_path {dir}/tmp;
  scgi_temp_path {dir}/tmp;
  types {{
{types}  }}
  default_type {OTHER_TYPE};
  server {{
    listen {listen};
    root {root};
    index index.html;
    autoindex on;
  }}
}}
",
        listen = site.listen,
        root = site.root.display(),
    );
    let config = site.config("nginx.conf", text);
    let path = config.path.display().to_string();
    // Until it has read its configuration it logs where it was built to, in /var/log: hence -e.
    (config, argv(binary, &["-e", "stderr", "-c", &path]))
}
