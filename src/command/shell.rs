//! `nsplay shell`.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use super::exec;
use crate::cli;
use crate::error::Failure;
use crate::host::programs::Finder;
use crate::lab::Name;

/// Runs a shell of this host inside a member's network; its prompt says whose.
pub fn run(options: &cli::Shell, lab: &Name) -> Result<u8, Failure> {
    let place = format!("{lab}/{}", options.member);
    let (shell, arguments) = shell(&Finder::from_env(), &place);
    let mut command = Command::new(shell);
    command.args(arguments).env("NSPLAY_SHELL", &place);
    // A shell that reads no file of ours takes its prompt from here, unless its own files set one.
    command.env("PS1", format!("({place}) $ "));
    exec::inside(&options.member, lab, &mut command)
}

/// bash, whose prompt can be had whatever the user's files make of it, else sh.
fn shell(finder: &Finder, place: &str) -> (std::path::PathBuf, Vec<OsString>) {
    let Some(bash) = finder.program("bash") else {
        return (Path::new("/bin/sh").to_owned(), Vec::new());
    };
    // Read before the first prompt, once; then it is the user's own shell.
    let begin = format!(
        "[ ! -r ~/.bashrc ] || . ~/.bashrc; PS1='({place}) '\"${{PS1-\\$ }}\"; unset PROMPT_COMMAND"
    );
    let script = "exec bash --rcfile <(printf '%s\\n' \"$0\") -i";
    (bash, ["-c".into(), script.into(), begin.into()].into())
}
