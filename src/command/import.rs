//! `nsplay import`.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::cli;
use crate::error::{Failure, Problem};
use crate::import::{self, Error, Import};
use crate::{json, ui};

type Read = fn(&Import) -> Result<String, Error>;

/// Prints a lab file, or writes it.
pub fn run(verb: &cli::Import) -> Result<u8, Failure> {
    let (options, read): (_, Read) = match verb {
        cli::Import::Infrasim(options) => (options, import::infrasim),
        cli::Import::Compose(options) => (options, import::compose),
    };
    let file = options.file.display().to_string();
    let text = super::text(&options.file).map_err(|error| {
        Failure::refused(
            format!("cannot read {file}: {error}"),
            "name the file that is to be imported",
        )
    })?;
    let from = parent(&options.file);
    let open = |path: &Path| super::text(&from.join(path));
    let elsewhere = match &options.output {
        Some(output) => other_folder(&from, &parent(output))
            .map_err(|error| Failure::io(format_args!("write {}", output.display()), &error))?,
        None => None,
    };
    let lab = read(&Import {
        file: &file,
        text: &text,
        variables: &super::variables(),
        folder: elsewhere.as_deref(),
        open: &open,
    });
    let lab = lab.map_err(|error| {
        Failure::all(vec![Problem {
            message: error.to_string(),
            hint: error.hint,
        }])
    })?;
    if let Some(output) = &options.output {
        write(output, &lab)?;
    }
    if options.json {
        let (output, text) = (options.output.clone(), lab);
        return ui::json(&json::Import { output, text });
    }
    if options.output.is_none() {
        ui::data(&lab);
    }
    Ok(0)
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        Some(_) | None => PathBuf::from("."),
    }
}

/// The folder `from`, absolute, if `to` is another one.
fn other_folder(from: &Path, to: &Path) -> io::Result<Option<PathBuf>> {
    let (from, to) = (fs::canonicalize(from)?, fs::canonicalize(to)?);
    Ok((from != to).then_some(from))
}

/// Writes a new file.
fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let shown = path.display();
    let made = OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(Failure::refused(
                format!("{shown} is there already"),
                format!("rm {shown}, or -o another name"),
            ));
        }
        made => made.map_err(|error| Failure::io(format_args!("make {shown}"), &error))?,
    };
    file.write_all(text.as_bytes())
        .map_err(|error| Failure::io(format_args!("write {shown}"), &error))
}
