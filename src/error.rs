//! Errors as users meet them: one line that says what, and one that says what to do.

use std::fmt;
use std::io;

use crate::lab::Name;
use crate::lab::file::Report;

/// Why a command failed.
#[derive(Debug)]
pub struct Failure {
    /// What was wrong, each with its way out; never empty.
    pub problems: Vec<Problem>,
    /// The exit code.
    pub code: u8,
    /// What sort of failure it is, for programs.
    pub cause: Cause,
}

/// What sort of failure something is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Cause {
    /// The lab file is wrong.
    LabFile(Report),
    /// No lab of this name is up.
    NotUp,
    /// There is nothing of a name that was given, or it cannot be so.
    Unknown,
    /// The user may not.
    Permission,
    /// What the exit code says.
    #[default]
    Other,
}

/// That there is no such thing, and what there is instead.
#[must_use]
pub fn no_such<'n>(what: &str, name: &Name, known: impl IntoIterator<Item = &'n Name>) -> String {
    let known: Vec<&str> = known.into_iter().map(Name::as_str).collect();
    format!("no {what} `{name}`; the lab has: {}", known.join(", "))
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Exit code of a lab that failed.
pub const FAILED: u8 = 1;
/// Exit code of bad input and of a host that lacks something; nothing was made.
pub const REFUSED: u8 = 2;

/// Exit code of a command that a signal ended, less the signal's number, as shells have it.
pub const SIGNALLED: u8 = 128;

/// An exit code of nsplay's, or a range of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// This one.
    Is(u8),
    /// [`SIGNALLED`] and a signal's number.
    Signalled,
    /// That of a command that nsplay has run.
    Commands,
}

/// All exit codes, with what each says: the manual page and the README have this table.
pub const EXITS: [(Exit, &str); 5] = [
    (Exit::Is(0), "done"),
    (
        Exit::Is(FAILED),
        "something did not work: a lab that failed, a goal that was not reached in time, a host on \
         which no lab runs (`doctor`)",
    ),
    (
        Exit::Is(REFUSED),
        "refused, and nothing was changed: a bad command line or lab file, no such lab or member, a \
         missing program, a port that is taken",
    ),
    (
        Exit::Signalled,
        "a signal ended it: 130 is Ctrl-C; `up` has taken its lab down, `down` has finished",
    ),
    (
        Exit::Commands,
        "of `run`, `exec` and `shell`: the exit code of the command that they have run",
    ),
];

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(code) => write!(f, "{code}"),
            Self::Signalled => write!(f, "{SIGNALLED} + N"),
            Self::Commands => f.write_str("any"),
        }
    }
}

impl Failure {
    /// Something that did not work.
    #[must_use]
    pub fn failed(message: impl Into<String>) -> Self {
        Self::one(FAILED, message, None)
    }

    /// Something that was refused before anything was made.
    #[must_use]
    pub fn refused(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::one(REFUSED, message, Some(hint.into()))
    }

    /// Something that there is not; the message says what there is.
    #[must_use]
    pub fn unknown(message: impl Into<String>) -> Self {
        Self::one(REFUSED, message, None).because(Cause::Unknown)
    }

    /// All that was refused.
    #[must_use]
    pub fn all(problems: Vec<Problem>) -> Self {
        Self {
            problems,
            code: REFUSED,
            cause: Cause::Other,
        }
    }

    /// The same, of this sort.
    #[must_use]
    pub fn because(self, cause: Cause) -> Self {
        Self { cause, ..self }
    }

    /// What was tried, with what the kernel said.
    #[must_use]
    pub fn io(operation: impl fmt::Display, error: &io::Error) -> Self {
        let failure = |hint| Self::one(FAILED, format!("cannot {operation}: {error}"), hint);
        match error.kind() {
            io::ErrorKind::PermissionDenied => {
                let hint = "run it as root: sudo nsplay …".to_owned();
                failure(Some(hint)).because(Cause::Permission)
            }
            _ => failure(None),
        }
    }

    fn one(code: u8, message: impl Into<String>, hint: Option<String>) -> Self {
        Self {
            problems: vec![Problem {
                message: message.into(),
                hint,
            }],
            code,
            cause: Cause::Other,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            writeln!(f, "error: {}", problem.message)?;
            if let Some(hint) = &problem.hint {
                writeln!(f, "hint: {hint}")?;
            }
        }
        Ok(())
    }
}
