//! `nsplay image`.

use crate::cli::Image;
use crate::error::{Cause, Failure, Problem, REFUSED};
use crate::host::places::Places;
use crate::host::tools::IMAGE;
use crate::image::{self, Options};
use crate::ui::{self, Building};
use crate::{json, supervisor};

/// Builds the image.
pub fn run(options: &Image) -> Result<u8, Failure> {
    let Image::Build {
        kernel,
        output,
        json,
    } = options;
    let output = output
        .clone()
        .unwrap_or_else(|| Places::of_caller().state.join(IMAGE));
    let mut wanted = Options::new(output);
    wanted.kernel.clone_from(kernel);
    let building = Building::new();
    let built =
        image::build(&wanted, &mut |progress| building.is_at(&progress)).map_err(|error| {
            Failure {
                problems: vec![Problem {
                    message: supervisor::chain(&error),
                    hint: error.hint(),
                }],
                code: REFUSED,
                cause: Cause::Other,
            }
        })?;
    drop(building);
    if *json {
        return ui::json(&json::Image {
            folder: wanted.output,
            kernel: built.kernel,
            modules: built.modules,
            missing_modules: built.missing,
            busybox: built.busybox,
            programs: built.programs,
            missing_programs: built.missing_programs,
            vmlinuz_bytes: built.vmlinuz_bytes,
            initrd_bytes: built.initrd_bytes,
        });
    }
    ui::status(&format!(
        "kernel {}, {} modules, busybox {}",
        built.kernel,
        built.modules.len(),
        built.busybox
    ));
    Ok(0)
}
