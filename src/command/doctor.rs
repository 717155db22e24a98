//! `nsplay doctor`.

use std::io::{self, BufRead, IsTerminal};
use std::os::fd::AsFd;
use std::process::Command;

use super::preflight;
use crate::cli;
use crate::doctor::{Facts, Finding, Level, examine, install};
use crate::error::{FAILED, Failure};
use crate::host::packages::Manager;
use crate::json::Doctor;
use crate::ui;

/// Installs packages without starting the servers in them.
const INSTALL_PACKAGES: &str = include_str!("../../scripts/install-packages");

/// Prints what this host lacks; with `--fix` mends it.
pub fn run(options: &cli::Doctor) -> Result<u8, Failure> {
    let look = || examine(&Facts::gather(preflight::privileges()));
    let mut findings = look();
    if !options.json {
        ui::findings(&findings);
    }
    if options.fix {
        let orders = orders(&findings);
        if orders.is_empty() {
            ui::status("there is nothing to mend by a command");
        } else if agreed(&orders, options.yes)? {
            // One that fails keeps no other from being mended; what it leaves is found again.
            for order in &orders {
                if let Err(failure) = mend(order, options.json) {
                    ui::failure(&failure);
                }
            }
            findings = look();
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

/// What `--fix` runs.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Order {
    /// A command line.
    Run(String),
    /// Packages of one manager, all at once.
    Install(Manager, Vec<&'static str>),
}

impl Order {
    /// As people would type it.
    fn shown(&self) -> String {
        match self {
            Self::Run(command) => command.clone(),
            Self::Install(manager, packages) => install(*manager, packages),
        }
    }

    /// The words to be executed.
    fn words(&self) -> Vec<String> {
        match self {
            Self::Run(command) => command.split(' ').map(str::to_owned).collect(),
            Self::Install(manager, packages) => {
                let name = "install-packages";
                let script = ["sh", "-c", INSTALL_PACKAGES, name, manager.program()];
                let words = script.into_iter().chain(packages.iter().copied());
                words.map(str::to_owned).collect()
            }
        }
    }
}

/// What may be run, each once; packages of one manager by one command.
fn orders(findings: &[Finding]) -> Vec<Order> {
    let mut orders: Vec<Order> = Vec::new();
    let mends = findings.iter().filter_map(|finding| finding.mend.as_ref());
    for mend in mends.filter(|mend| mend.automatic) {
        let Some((manager, package)) = mend.package else {
            let command = mend.command.trim_start_matches("sudo ").to_owned();
            orders.push(Order::Run(command));
            continue;
        };
        let known = orders.iter_mut().find_map(|order| match order {
            Order::Install(by, packages) if *by == manager => Some(packages),
            Order::Install(..) | Order::Run(_) => None,
        });
        match known {
            Some(packages) if packages.contains(&package) => {}
            Some(packages) => packages.push(package),
            None => orders.push(Order::Install(manager, vec![package])),
        }
    }
    // The image is made of what the others bring.
    orders.sort_by_key(|order| matches!(order, Order::Run(line) if line.starts_with("nsplay ")));
    orders
}

/// Whether the user wants these commands to be run.
fn agreed(orders: &[Order], yes: bool) -> Result<bool, Failure> {
    let lines: String = orders
        .iter()
        .map(|order| format!("    {}\n", order.shown()))
        .collect();
    ui::status(&format!(
        "this mends what can be mended:\n{}",
        lines.trim_end()
    ));
    if orders
        .iter()
        .any(|order| matches!(order, Order::Install(..)))
    {
        ui::status("servers in these packages are neither started nor enabled");
    }
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

/// Runs what mends something; beside JSON, what it prints is for people.
fn mend(order: &Order, json: bool) -> Result<(), Failure> {
    let shown = order.shown();
    let mut words = order.words();
    // The nsplay that runs may be in no folder of PATH.
    let own = std::env::current_exe().ok();
    let own = own.as_ref().and_then(|path| path.to_str());
    if let ("nsplay", Some(own)) = (words[0].as_str(), own) {
        words[0] = own.to_owned();
    }
    let mut sudo = "";
    if !nix::unistd::geteuid().is_root() {
        words.insert(0, "sudo".to_owned());
        sudo = "sudo ";
    }
    ui::status(&format!("$ {sudo}{shown}"));
    let fail = |why: String| Failure::failed(format!("cannot mend by `{sudo}{shown}`: {why}"));
    let mut mending = Command::new(&words[0]);
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
        let finding = |command: &str, automatic, package| Finding {
            what: String::new(),
            level: Level::Missing,
            found: String::new(),
            cost: String::new(),
            mend: Some(Mend {
                command: command.to_owned(),
                automatic,
                package,
            }),
        };
        let run = |command| finding(command, true, None);
        let package = |name| finding("…", true, Some((Manager::Apt, name)));
        let findings = [
            run("nsplay image build"),
            run("sudo modprobe tun"),
            package("a"),
            run("modprobe veth"),
            package("b"),
            package("a"),
            finding("rm -rf /", false, None),
        ];
        let shown: Vec<_> = orders(&findings).iter().map(Order::shown).collect();
        assert_eq!(
            shown,
            [
                "modprobe tun",
                "apt-get install -y --no-install-recommends a b",
                "modprobe veth",
                "nsplay image build",
            ]
        );
    }
}
