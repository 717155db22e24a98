//! Why a verb failed, as JSON.

use schemars::JsonSchema;
use serde::Serialize;

use super::Document;
use crate::error::{Cause, Failure};
use crate::lab::file::Place;

/// Why a verb failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Error {
    /// What sort of failure it is.
    pub kind: ErrorKind,
    /// The exit code.
    pub exit_code: u8,
    /// Everything that is wrong, never nothing.
    #[schemars(length(min = 1))]
    pub errors: Vec<Wrong>,
}

/// A sort of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// The command line is none.
    Usage,
    /// The lab file is wrong.
    LabFile,
    /// No lab of this name is up.
    NotUp,
    /// The lab has no member, node or network of this name, or what was asked cannot be of it.
    Unknown,
    /// This user may not.
    Permission,
    /// It was refused before anything was done: something is missing, or taken, or there already.
    Refused,
    /// It was tried, and did not work.
    Failed,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Wrong {
    /// What.
    pub message: String,
    /// The way out, where one is known.
    pub hint: Option<String>,
    /// Where in the lab file.
    pub place: Option<Place>,
}

impl Document for Error {
    const NAME: &'static str = "error";
}

impl From<&Failure> for Error {
    fn from(failure: &Failure) -> Self {
        let kind = match &failure.cause {
            Cause::LabFile(_) => ErrorKind::LabFile,
            Cause::NotUp => ErrorKind::NotUp,
            Cause::Unknown => ErrorKind::Unknown,
            Cause::Permission => ErrorKind::Permission,
            Cause::Other if failure.code == crate::error::REFUSED => ErrorKind::Refused,
            Cause::Other => ErrorKind::Failed,
        };
        let errors = match &failure.cause {
            Cause::LabFile(report) => report
                .problems
                .iter()
                .map(|problem| Wrong {
                    message: problem.message.clone(),
                    hint: problem.hint.clone(),
                    place: problem.place.clone(),
                })
                .collect(),
            Cause::NotUp | Cause::Unknown | Cause::Permission | Cause::Other => failure
                .problems
                .iter()
                .map(|problem| Wrong {
                    message: problem.message.clone(),
                    hint: problem.hint.clone(),
                    place: None,
                })
                .collect(),
        };
        Self {
            kind,
            exit_code: failure.code,
            errors,
        }
    }
}

impl From<&clap::Error> for Error {
    fn from(error: &clap::Error) -> Self {
        let text = error.to_string();
        let (first, rest) = text.split_once("\n\n").unwrap_or((&text, ""));
        let message = first.trim_start_matches("error: ").trim().to_owned();
        let hints = rest
            .split("\n\n")
            .map(str::trim)
            .filter(|hint| !hint.is_empty());
        let hint = hints.collect::<Vec<_>>().join("\n");
        Self {
            kind: ErrorKind::Usage,
            exit_code: u8::try_from(error.exit_code()).unwrap_or(crate::error::REFUSED),
            errors: vec![Wrong {
                message,
                hint: Some(hint).filter(|hint| !hint.is_empty()),
                place: None,
            }],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::file::{Origin, load};

    #[test]
    fn what_is_wrong_with_a_lab_file_has_its_place_apart() {
        let origin = Origin::built_in(None);
        let report = load("[node.node1]\nmemory = 5\nserail = \"x\"\n", &origin).unwrap_err();
        let problems = report.problems.len();
        let failure = Failure::all(Vec::new()).because(Cause::LabFile(report));
        let error = Error::from(&failure);
        assert_eq!((error.kind, error.exit_code), (ErrorKind::LabFile, 2));
        assert_eq!(error.errors.len(), problems);
        let place = error.errors[0].place.as_ref().unwrap();
        assert_eq!((place.line, place.column), (2, 10));
        assert!(!error.errors[0].message.contains("2:10"));
    }

    #[test]
    fn who_may_not_is_told_so_and_who_cannot_that() {
        let of = |kind: std::io::ErrorKind| {
            let failure = Failure::io("reach lab `one`", &kind.into());
            Error::from(&failure).kind
        };
        assert_eq!(
            of(std::io::ErrorKind::PermissionDenied),
            ErrorKind::Permission
        );
        assert_eq!(of(std::io::ErrorKind::StorageFull), ErrorKind::Failed);
    }

    #[test]
    fn what_is_wrong_with_a_command_line_has_its_way_out_apart() {
        let parsed = crate::examples::command().try_get_matches_from(["nsplay", "ps", "--jsn"]);
        let error = Error::from(&parsed.unwrap_err());
        assert_eq!((error.kind, error.exit_code), (ErrorKind::Usage, 2));
        let wrong = &error.errors[0];
        assert_eq!(wrong.message, "unexpected argument '--jsn' found");
        assert!(
            wrong.hint.as_ref().unwrap().contains("'--json'"),
            "{wrong:?}"
        );
    }
}
