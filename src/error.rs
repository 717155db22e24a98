//! Errors as users meet them: one line that says what, and one that says what to do.

use std::fmt;
use std::io;

/// Why a command failed.
#[derive(Debug)]
pub struct Failure {
    /// What was wrong, each with its way out; never empty.
    pub problems: Vec<Problem>,
    /// The exit code.
    pub code: u8,
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

    /// All that was refused.
    #[must_use]
    pub fn all(problems: Vec<Problem>) -> Self {
        Self {
            problems,
            code: REFUSED,
        }
    }

    /// What was tried, with what the kernel said.
    #[must_use]
    pub fn io(operation: impl fmt::Display, error: &io::Error) -> Self {
        let hint = (error.kind() == io::ErrorKind::PermissionDenied)
            .then(|| "run it as root: sudo nsplay …".to_owned());
        Self::one(FAILED, format!("cannot {operation}: {error}"), hint)
    }

    fn one(code: u8, message: impl Into<String>, hint: Option<String>) -> Self {
        Self {
            problems: vec![Problem {
                message: message.into(),
                hint,
            }],
            code,
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
