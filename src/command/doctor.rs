//! `nsplay doctor`.

use std::io::{self, BufRead, IsTerminal};
use std::os::fd::AsFd;
use std::process::Command;

use crate::cli;
use crate::doctor::{Facts, Finding, Level, examine};
use crate::error::{FAILED, Failure};
use crate::json::Doctor;
use crate::ui;

/// Prints what this host lacks; with `--fix` mends it.
pub fn run(options: &cli::Doctor) -> Result<u8, Failure> {
    let mut findings = examine(&Facts::gather());
    if !options.json {
        ui::findings(&findings);
    }
    if options.fix {
        let commands = commands(&findings);
        if commands.is_empty() {
            ui::status("there is nothing to mend by a command");
        } else if agreed(&commands, options.yes)? {
            commands
                .iter()
                .try_for_each(|command| mend(command, options.json))?;
            findings = examine(&Facts::gather());
            if !options.json {
                ui::findings(&findings);
            }
        }
    }
    let runs = findings
        .iter()
        .all(|finding| finding.level != Level::Missing);
    if options.json {
        let labs_run = runs;
        ui::json(&Doctor { labs_run, findings })?;
    }
    Ok(if runs { 0 } else { FAILED })
}

/// The commands that may be run, each once; packages of one manager by one command.
fn commands(findings: &[Finding]) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    let automatic = findings.iter().filter_map(|finding| {
        let mend = finding.mend.as_ref()?;
        mend.automatic.then_some(mend.command.as_str())
    });
    for command in automatic {
        // The last word is the package, or the module.
        let (head, last) = command.rsplit_once(' ').unwrap_or((command, ""));
        let installs = head.contains("install") || head.contains("add") || head.contains("-S");
        let same = |known: &&mut String| installs && known.starts_with(&format!("{head} "));
        if commands.iter().any(|known| known == command) {
            continue;
        }
        match commands.iter_mut().find(same) {
            Some(known) if known.split(' ').any(|word| word == last) => {}
            Some(known) => *known += &format!(" {last}"),
            None => commands.push(command.to_owned()),
        }
    }
    // The image is made of what the others bring.
    commands.sort_by_key(|command| command.starts_with("nsplay "));
    commands
}

/// Whether the user wants these commands to be run.
fn agreed(commands: &[String], yes: bool) -> Result<bool, Failure> {
    let lines: String = commands
        .iter()
        .map(|line| format!("    {line}\n"))
        .collect();
    ui::status(&format!(
        "this mends what can be mended:\n{}",
        lines.trim_end()
    ));
    if yes {
        return Ok(true);
    }
    if !io::stdin().is_terminal() {
        return Err(Failure::refused(
            "nobody is there to be asked whether these commands may be run",
            "nsplay doctor --fix --yes runs them unasked",
        ));
    }
    ui::status("run them? [y/N]");
    let mut answer = String::new();
    io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(|error| Failure::io("read the answer", &error))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Runs a command that mends something; beside JSON, what it prints is for people.
fn mend(command: &str, json: bool) -> Result<(), Failure> {
    let mut words: Vec<&str> = command.split(' ').collect();
    // The nsplay that runs may be in no folder of PATH.
    let own = std::env::current_exe().ok();
    let own = own.as_ref().and_then(|path| path.to_str());
    if let (Some("nsplay"), Some(own)) = (words.first().copied(), own) {
        words[0] = own;
    }
    if !nix::unistd::geteuid().is_root() {
        words.insert(0, "sudo");
    }
    ui::status(&format!("$ {}", words.join(" ")));
    let fail = |why: String| Failure::failed(format!("cannot mend by `{command}`: {why}"));
    let mut mending = Command::new(words[0]);
    mending.args(&words[1..]);
    if json {
        let stderr = io::stderr().as_fd().try_clone_to_owned();
        mending.stdout(stderr.map_err(|error| fail(error.to_string()))?);
    }
    let status = mending.status().map_err(|error| fail(error.to_string()))?;
    match status.success() {
        true => Ok(()),
        false => Err(fail(status.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Mend;

    #[test]
    fn packages_are_installed_together_and_the_image_is_built_last() {
        let finding = |command: &str, automatic| Finding {
            what: String::new(),
            level: Level::Missing,
            found: String::new(),
            cost: String::new(),
            mend: Some(Mend {
                command: command.to_owned(),
                automatic,
            }),
        };
        let findings = [
            finding("nsplay image build", true),
            finding("modprobe tun", true),
            finding("apt-get install -y --no-install-recommends a", true),
            finding("modprobe veth", true),
            finding("apt-get install -y --no-install-recommends b", true),
            finding("apt-get install -y --no-install-recommends a", true),
            finding("rm -rf /", false),
        ];
        assert_eq!(
            commands(&findings),
            [
                "modprobe tun",
                "apt-get install -y --no-install-recommends a b",
                "modprobe veth",
                "nsplay image build",
            ]
        );
    }
}
