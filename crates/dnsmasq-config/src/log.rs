//! Logging: where to, and how much.

use crate::argument::Argument;
use crate::{FilePath, ValueError};

/// The syslog facilities that dnsmasq takes (syslog(3)).
const FACILITIES: [&str; 19] = [
    "auth", "authpriv", "cron", "daemon", "ftp", "kern", "lpr", "mail", "news", "syslog", "user",
    "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];

/// Where the log goes (log-facility).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFacility(Target);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    Stderr,
    File(FilePath),
    Syslog(&'static str),
}

impl LogFacility {
    /// Standard error (`-`).
    pub const STDERR: Self = Self(Target::Stderr);

    /// A file; dnsmasq appends to it, and opens it again on SIGUSR2.
    ///
    /// # Errors
    /// Refuses a path without `/`, which would be a facility's name.
    pub fn file(path: FilePath) -> Result<Self, ValueError> {
        if !path.as_str().contains('/') {
            return Err(ValueError::new(
                "a log file",
                path.as_str(),
                "put `./` or its directory in front",
            ));
        }
        Ok(Self(Target::File(path)))
    }

    /// A syslog facility, such as `daemon` or `local0`.
    ///
    /// # Errors
    /// Refuses names that syslog does not have.
    pub fn syslog(name: &str) -> Result<Self, ValueError> {
        let known = FACILITIES
            .into_iter()
            .find(|known| known.eq_ignore_ascii_case(name));
        known.map(|name| Self(Target::Syslog(name))).ok_or_else(|| {
            ValueError::new(
                "a log facility",
                name,
                format!(
                    "write `-`, a path with `/`, or one of {}",
                    FACILITIES.join(", ")
                ),
            )
        })
    }
}

impl Argument for LogFacility {
    fn read(raw: &str) -> Result<Self, ValueError> {
        if raw == "-" {
            Ok(Self::STDERR)
        } else if raw.contains('/') {
            Self::file(FilePath::read(raw)?)
        } else {
            Self::syslog(raw)
        }
    }

    fn write(&self) -> String {
        match &self.0 {
            Target::Stderr => "-".into(),
            Target::File(path) => path.write(),
            Target::Syslog(name) => (*name).to_owned(),
        }
    }
}

/// How much of each DNS question is logged (log-queries).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryLog {
    /// With a serial number and the asker's address on every line.
    Extra,
}

impl Argument for QueryLog {
    fn read(raw: &str) -> Result<Self, ValueError> {
        match raw {
            "extra" => Ok(Self::Extra),
            _ => Err(ValueError::new(
                "a query log",
                raw,
                "write `extra`, or `log-queries` alone",
            )),
        }
    }

    fn write(&self) -> String {
        match self {
            Self::Extra => "extra".into(),
        }
    }
}
