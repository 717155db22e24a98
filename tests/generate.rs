//! Completions and manual pages: shells and groff read them.

use std::fs;
use std::process::{Command, Stdio};

use nsplay::examples;

fn nsplay(arguments: &[&str]) -> Vec<u8> {
    let done = Command::new(env!("CARGO_BIN_EXE_nsplay"))
        .args(arguments)
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    done.stdout
}

/// What bash offers for these words, the last of which is being typed.
fn completed(words: &[&str]) -> Vec<String> {
    let script = String::from_utf8(nsplay(&["generate", "completions", "bash"])).unwrap();
    let last = words.len() - 1;
    let typed = words.join(" ");
    let ask = format!(
        "set -u; {script}\nCOMP_WORDS=({typed}); COMP_CWORD={last}\n\
         _nsplay nsplay '{}' '{}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        words[last],
        words[last - 1],
    );
    let done = Command::new("bash")
        .args(["--norc", "-c", &ask])
        .output()
        .unwrap();
    let wrong = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success() && wrong.is_empty(), "{wrong}");
    let text = String::from_utf8(done.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_verbs_and_their_options() {
    assert_eq!(completed(&["nsplay", "po"]), ["power"]);
    assert_eq!(completed(&["nsplay", "up", "--det"]), ["--detach"]);
    assert_eq!(
        completed(&["nsplay", "generate", "completions", "zs"]),
        ["zsh"]
    );
    assert!(
        !completed(&["nsplay", "s"]).contains(&"supervise".to_owned()),
        "it is nobody's verb"
    );
}

#[test]
fn there_are_completions_for_other_shells() {
    for (shell, has) in [
        ("zsh", "#compdef nsplay"),
        ("fish", "complete -c nsplay"),
        ("elvish", "nsplay"),
    ] {
        let script = String::from_utf8(nsplay(&["generate", "completions", shell])).unwrap();
        assert!(script.contains(has), "{shell}");
    }
}

#[test]
fn groff_reads_every_manual_page_without_a_word() {
    let folder = std::env::temp_dir().join(format!("nsplay-man-{}", std::process::id()));
    nsplay(&["generate", "man", folder.to_str().unwrap()]);
    let mut pages: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|page| page.unwrap().path())
        .collect();
    pages.sort();
    let names: Vec<_> = pages
        .iter()
        .map(|page| page.file_name().unwrap().to_str().unwrap())
        .collect();
    for page in ["nsplay.1", "nsplay-up.1", "nsplay-bmc-set.1"] {
        assert!(names.contains(&page), "{names:?}");
    }
    assert!(
        !names.iter().any(|name| name.contains("supervise")),
        "{names:?}"
    );
    let read = Command::new("groff")
        .args(["-man", "-Tutf8", "-ww", "-z"])
        .args(&pages)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let warnings = String::from_utf8_lossy(&read.stderr).into_owned();
    assert!(read.status.success() && warnings.is_empty(), "{warnings}");
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn every_verb_has_examples() {
    let command = examples::command();
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        let help = verb.clone().render_help().to_string();
        assert!(
            help.contains("\nExamples:\n  "),
            "`nsplay {}` has none: src/examples.rs",
            verb.get_name()
        );
    }
}
