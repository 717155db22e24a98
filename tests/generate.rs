//! Completions and manual pages: shells and groff read them.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use nsplay::error::{EXITS, Exit};
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

/// What zsh makes of each line when TAB is typed at its end, on a terminal.
///
/// Control-T and Control-G mean nothing to a terminal whose shell is still starting, so that all
/// may be typed at once.
fn zsh_completes(lines: &[&str]) -> Vec<String> {
    let folder = std::env::temp_dir().join(format!("nsplay-zsh-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    fs::write(
        folder.join("_nsplay"),
        nsplay(&["generate", "completions", "zsh"]),
    )
    .unwrap();
    let seen = folder.join("seen");
    let rc = format!(
        "fpath=({} $fpath); autoload -Uz compinit; compinit -u -D\n\
         seen() {{ print -r -- $BUFFER >> {}; BUFFER= }}; zle -N seen; bindkey '^T' seen\n\
         quit() {{ BUFFER=exit; zle .accept-line }}; zle -N quit; bindkey '^G' quit\n",
        folder.display(),
        seen.display()
    );
    fs::write(folder.join(".zshrc"), rc).unwrap();
    let typed: String = lines.iter().map(|line| format!("{line}\t\u{14}")).collect();
    fs::write(folder.join("typed"), format!("{typed}\u{7}")).unwrap();
    let run = Command::new("timeout")
        .args(["60", "script", "-qec", "zsh -d -i", "/dev/null"])
        .env("ZDOTDIR", &folder)
        .env("TERM", "xterm")
        .stdin(fs::File::open(folder.join("typed")).unwrap())
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&run.stdout).into_owned();
    let seen = fs::read_to_string(seen).unwrap_or_else(|error| panic!("{error}: {shown}"));
    fs::remove_dir_all(&folder).unwrap();
    seen.lines()
        .map(|line| line.trim_end().to_owned())
        .collect()
}

#[test]
fn zsh_completes_verbs_options_and_values() {
    assert_eq!(
        zsh_completes(&[
            "nsplay po",
            "nsplay up --det",
            "nsplay generate completions zs",
            "nsplay boot node1 --device netw",
            "nsplay superv",
        ]),
        [
            "nsplay power",
            "nsplay up --detach",
            "nsplay generate completions zsh",
            "nsplay boot node1 --device network",
            // It is nobody's verb.
            "nsplay superv",
        ]
    );
}

#[test]
fn fish_completes_verbs_options_and_values() {
    let script = String::from_utf8(nsplay(&["generate", "completions", "fish"])).unwrap();
    for (line, completed) in [
        ("nsplay po", "power"),
        ("nsplay up --det", "--detach"),
        ("nsplay boot node1 --device netw", "network"),
        ("nsplay superv", ""),
    ] {
        let done = Command::new("fish")
            .args([
                "--no-config",
                "-c",
                &format!("{script}\ncomplete -C '{line}'"),
            ])
            .output()
            .unwrap();
        let text = String::from_utf8(done.stdout).unwrap();
        let wrong = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(wrong.is_empty(), "{wrong}");
        // A description follows a tab.
        let offered: Vec<_> = text.lines().filter_map(|l| l.split('\t').next()).collect();
        assert_eq!(offered.join(" "), completed, "{line}");
    }
}

#[test]
fn there_are_completions_for_elvish_and_powershell() {
    for shell in ["elvish", "powershell"] {
        let script = String::from_utf8(nsplay(&["generate", "completions", shell])).unwrap();
        assert!(script.contains("nsplay;power"), "{shell}");
    }
}

/// Who ends with these codes, and how, in a folder that has no lab.
#[test]
fn each_exit_code_is_in_the_manual_and_the_readme_and_is_what_a_command_ends_with() {
    let page = String::from_utf8(nsplay(&["generate", "man"])).unwrap();
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(readme).unwrap();
    let mut codes = Vec::new();
    for (exit, says) in EXITS {
        assert!(
            page.contains(&format!("\\fB{exit}\\fR\n{says}\n")),
            "{page}"
        );
        let row = format!("| {exit} | {says} |\n");
        assert!(readme.contains(&row), "README.md lacks: {row}");
        match exit {
            Exit::Is(code) => codes.push(i32::from(code)),
            // tests/lab: run, exec, and `up` that a signal ends.
            Exit::Signalled | Exit::Commands => {}
        }
    }
    let ends = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nsplay"));
        let done = command.args(arguments).output().unwrap();
        done.status.code().unwrap()
    };
    let ended = [
        ends(&["-p", "no-such-lab", "down"]),
        ends(&["generate", "man", "/proc/self/no-such-folder"]),
        ends(&["-p", "no-such-lab", "ps"]),
    ];
    assert_eq!(ended.to_vec(), codes);
    assert_eq!(ends(&["no-such-verb"]), 2, "a bad command line is refused");
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
