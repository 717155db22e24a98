//! `nsplay image`.

use std::path::Path;

use crate::cli::Image;
use crate::error::{Failure, Problem, REFUSED};
use crate::host::tools::IMAGE;
use crate::image::{self, Options};
use crate::rundir::STATE;
use crate::{supervisor, ui};

/// Builds the image.
pub fn run(options: &Image) -> Result<u8, Failure> {
    let Image::Build { kernel, output } = options;
    let output = output
        .clone()
        .unwrap_or_else(|| Path::new(STATE).join(IMAGE));
    let mut wanted = Options::new(output);
    wanted.kernel.clone_from(kernel);
    let built = image::build(&wanted, &mut |progress| ui::status(&progress.to_string())).map_err(
        |error| Failure {
            problems: vec![Problem {
                message: supervisor::chain(&error),
                hint: error.hint(),
            }],
            code: REFUSED,
        },
    )?;
    ui::status(&format!(
        "kernel {}, {} modules, busybox {}",
        built.kernel,
        built.modules.len(),
        built.busybox
    ));
    Ok(0)
}
