//! The answers that labs give to installers: they parse as their readers parse them.

use std::path::{Path, PathBuf};
use std::process::Command;

fn served(folder: &str) -> PathBuf {
    let webroot = Path::new(env!("CARGO_MANIFEST_DIR")).join("webroot");
    webroot.join(folder)
}

#[test]
fn ignition_files_are_of_a_version_that_flatcar_reads() {
    let mut seen = 0;
    for folder in ["flatcar-ignition", "k3s-three-nodes"] {
        for file in std::fs::read_dir(served(folder)).unwrap() {
            let file = file.unwrap().path();
            if file.extension().is_none_or(|ending| ending != "ign") {
                continue;
            }
            let text = std::fs::read_to_string(&file).unwrap();
            let read: serde_json::Value = serde_json::from_str(&text).unwrap();
            let version = read["ignition"]["version"].as_str().unwrap();
            assert!(version.starts_with("3."), "{}: {version}", file.display());
            seen += 1;
        }
    }
    assert_eq!(seen, 4);
}

#[test]
fn debconf_takes_the_preseed() {
    let debconf = Path::new("/usr/bin/debconf-set-selections");
    if !debconf.exists() {
        // It is a part of every Debian, which CI is to be.
        assert!(std::env::var_os("CI").is_none(), "no {}", debconf.display());
        return;
    }
    let checked = Command::new(debconf)
        .arg("-c")
        .arg(served("debian-preseed/preseed.cfg"))
        .output()
        .unwrap();
    assert!(checked.status.success(), "{checked:?}");
}
