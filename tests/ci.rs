//! Shellcheck has no word against the scripts; CI runs nothing but those in scripts/ci.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/ci")
}

fn scripts() -> Vec<PathBuf> {
    let files = fs::read_dir(folder())
        .unwrap()
        .map(|file| file.unwrap().path());
    let mut scripts: Vec<_> = files.filter(|file| file.extension().is_none()).collect();
    scripts.sort();
    assert!(scripts.len() >= 4, "{scripts:?}");
    scripts
}

#[test]
fn shellcheck_has_no_word_against_the_scripts() {
    let above = fs::read_dir(folder().join("..")).unwrap();
    let above = above.map(|entry| entry.unwrap().path());
    let is_shells = |path: &PathBuf| {
        let text = fs::read_to_string(path).unwrap_or_default();
        matches!(
            text.lines().next(),
            Some("#!/usr/bin/env bash" | "#!/bin/sh")
        )
    };
    let checked = Command::new("shellcheck")
        .arg("--external-sources")
        .args(scripts())
        .args(above.filter(is_shells))
        .output();
    let checked = checked.expect("scripts/install-deps --test installs shellcheck");
    assert!(
        checked.status.success(),
        "{}",
        String::from_utf8_lossy(&checked.stdout)
    );
}

#[test]
fn every_step_is_a_script_of_its_own_that_is_there() {
    for (file, key) in [
        ("action.yml", "run: "),
        ("gitlab.yml", "- '\"$NSPLAY_SOURCE/scripts/ci/"),
    ] {
        let text = fs::read_to_string(folder().join(file)).unwrap();
        let lines = text
            .lines()
            .filter(|line| line.trim_start().starts_with(key));
        let mut steps = 0;
        for line in lines {
            let name = line
                .trim_end_matches(['"', '\''])
                .rsplit('/')
                .next()
                .unwrap();
            let script =
                fs::metadata(folder().join(name)).unwrap_or_else(|_| panic!("{file}: {line}"));
            assert!(script.permissions().mode() & 0o111 == 0o111, "{name}");
            steps += 1;
        }
        assert!(steps >= 3, "{file}");
    }
}

#[test]
fn the_key_of_the_cache_is_the_same_for_the_same_sources() {
    let key = || {
        let mut key = Command::new(folder().join("key"));
        let done = key.env_remove("GITHUB_OUTPUT").output().unwrap();
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
        String::from_utf8(done.stdout).unwrap()
    };
    let first = key();
    assert_eq!(first.trim().len(), 16, "{first}");
    assert_eq!(key(), first);
}
