//! The outcome of a run as JUnit XML.

use std::path::Path;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::Part;
use crate::error::Failure;
use crate::lab::Name;

/// Writes what came of the parts of a run of `lab`.
pub fn write(file: &Path, lab: &Name, parts: &[Part]) -> Result<(), Failure> {
    let mut suite = TestSuite::new(format!("nsplay run {lab}"));
    for part in parts {
        let status = match &part.failed {
            None => TestCaseStatus::success(),
            Some(why) => {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                status.set_message(why.lines().next().unwrap_or_default());
                // What many CI systems show is this and no other element.
                status.set_description(match part.printed.trim_end() {
                    "" => why.clone(),
                    printed => format!("{}\n\n{printed}", why.trim_end()),
                });
                status
            }
        };
        let mut case = TestCase::new(part.name.as_str(), status);
        case.set_time(part.took);
        case.set_classname(lab.as_str());
        if !part.printed.is_empty() {
            case.set_system_out(part.printed.as_str());
        }
        suite.add_test_case(case);
    }
    let mut report = Report::new("nsplay");
    report.add_test_suite(suite);
    let xml = report
        .to_string()
        .map_err(|error| Failure::failed(error.to_string()))?;
    std::fs::write(file, xml)
        .map_err(|error| Failure::io(format_args!("write {}", file.display()), &error))
}
