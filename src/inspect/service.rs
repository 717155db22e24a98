//! What a service is: what it runs and where, and how it is.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::lab::{Limits, Name};
use crate::plan::Plan;
use crate::supervisor::protocol::{Member, State};

/// What stands for a secret.
pub const HIDDEN: &str = "***";

/// A service, as `nsplay inspect` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Service {
    /// The member.
    pub member: Name,
    /// Its lab.
    pub lab: Name,
    /// What it runs: `dnsmasq`, `lighttpd`.
    #[serde(rename = "runs")]
    pub what: String,
    /// What state it is in; none when the lab is not up.
    pub state: Option<State>,
    /// When it came into that state, in milliseconds after 1970-01-01 UTC.
    #[serde(with = "crate::json::time::maybe")]
    #[schemars(with = "Option<crate::json::time::Time>")]
    pub since: Option<u64>,
    /// How often it had to be started again.
    pub restarts: Option<u32>,
    /// Its process as the lab numbers it, once it has answered.
    pub pid: Option<i32>,
    /// Its address.
    pub address: Ipv4Addr,
    /// The network that it is on.
    pub network: Name,
    /// Where the host reaches it.
    pub published: Vec<SocketAddr>,
    /// How much of the host it may take.
    pub limits: Limits,
    /// What it does when it is ready, as the end of a sentence.
    pub ready: String,
    /// The program and its arguments, without what looks like a secret.
    pub argv: Vec<String>,
}

impl Service {
    /// Everything about the service `name`, and how it is `now` if the lab is up; none when the
    /// plan has no such service.
    #[must_use]
    pub fn of(plan: &Plan, name: &Name, now: Option<&Member>) -> Option<Self> {
        let seats = plan.lab.services();
        let seat = seats.into_iter().find(|seat| seat.name == name)?;
        let mut programs = plan.services.iter();
        let program = programs.find(|program| program.member == *name)?;
        Some(Self {
            member: name.clone(),
            lab: plan.lab.name.clone(),
            what: program.what.clone(),
            state: now.map(|now| now.state),
            since: now.map(|now| now.since),
            restarts: now.map(|now| now.restarts),
            pid: now.and_then(|now| now.pid),
            address: seat.address,
            network: seat.network.clone(),
            published: seat.publish,
            limits: plan.lab.limits.of(name),
            ready: program.ready.to_string(),
            argv: without_secrets(&program.argv),
        })
    }
}

/// Whether a name, of an argument or a variable, says that its value is secret.
#[must_use]
pub fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let marks = [
        "password", "passwd", "secret", "token", "apikey", "api-key", "api_key",
    ];
    marks.iter().any(|mark| name.contains(mark))
}

/// Hides the values of arguments whose names say that they are secret: `--password=X`,
/// `--token X`, `SECRET=X`.
#[must_use]
pub fn without_secrets(argv: &[String]) -> Vec<String> {
    let mut follows = false;
    let hide = |argument: &String| {
        if std::mem::take(&mut follows) {
            return HIDDEN.to_owned();
        }
        match argument.split_once('=') {
            Some((name, _)) if is_secret(name) => format!("{name}={HIDDEN}"),
            Some(_) => argument.clone(),
            None => {
                follows = argument.starts_with('-') && is_secret(argument);
                argument.clone()
            }
        }
    };
    argv.iter().map(hide).collect()
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |key: &str, value: &dyn fmt::Display| writeln!(f, "{key:<15} {value}");
        line("Service", &self.member)?;
        line("Lab", &self.lab)?;
        line("Runs", &self.what)?;
        match (self.state, self.restarts) {
            (None, _) => line("State", &"the lab is not up")?,
            (Some(state), None | Some(0)) => line("State", &state)?,
            (Some(state), Some(n)) => {
                line("State", &format_args!("{state}, started again {n} times"))?
            }
        }
        if let Some(pid) = self.pid {
            line("Process", &format_args!("{pid}, as the lab numbers it"))?;
        }
        line(
            "Address",
            &format_args!("{}, network {}", self.address, self.network),
        )?;
        for published in &self.published {
            line("Published on", published)?;
        }
        line("Limits", &self.limits)?;
        line("Ready", &format_args!("to {}", self.ready))?;
        let words = self.argv.iter().map(String::as_str);
        // An argument with a zero byte starts no program.
        let command = shlex::try_join(words).unwrap_or_default();
        line("Command", &command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_secret_is_not_shown() {
        let argv = "serve --password=a --token b -v PASSWD=c --user=d secrets.txt";
        let argv: Vec<String> = argv.split(' ').map(str::to_owned).collect();
        assert_eq!(
            without_secrets(&argv).join(" "),
            "serve --password=*** --token *** -v PASSWD=*** --user=d secrets.txt"
        );
    }
}
