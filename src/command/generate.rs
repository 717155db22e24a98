//! `nsplay generate`.

use std::fs;
use std::path::Path;

use crate::cli;
use crate::error::{EXITS, Failure};
use crate::{examples, json, ui};

/// Prints completions, or writes manual pages or schemas.
pub fn run(verb: &cli::Generate) -> Result<u8, Failure> {
    match verb {
        cli::Generate::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut visible(), "nsplay", &mut script);
            // A reader that has gone is no error.
            let _ = ui::bytes(&script);
        }
        cli::Generate::Man { folder: None } => {
            let _ = ui::bytes(&page()?);
        }
        cli::Generate::Man {
            folder: Some(folder),
        } => write_pages(folder)?,
        cli::Generate::Schemas { folder } => write_schemas(folder)?,
    }
    Ok(0)
}

/// The command line without what is hidden, which clap's completions would offer.
fn visible() -> clap::Command {
    let whole = examples::command();
    let verbs = whole.get_subcommands().filter(|verb| !verb.is_hide_set());
    clap::Command::new("nsplay")
        .version(env!("CARGO_PKG_VERSION"))
        .args(whole.get_arguments().cloned())
        .subcommands(verbs.cloned())
}

/// Writes the schema of each document.
fn write_schemas(folder: &Path) -> Result<(), Failure> {
    let shown = folder.display();
    fs::create_dir_all(folder)
        .map_err(|error| Failure::io(format_args!("make folder {shown}"), &error))?;
    for document in json::DOCUMENTS {
        let file = folder.join(format!("{}.schema.json", document.name));
        fs::write(&file, (document.schema)())
            .map_err(|error| Failure::io(format_args!("write {}", file.display()), &error))?;
    }
    ui::status(&format!(
        "the schemas of {} documents are in {shown}",
        json::DOCUMENTS.len()
    ));
    Ok(())
}

/// The page of nsplay itself, which has the exit codes of all verbs.
fn page() -> Result<Vec<u8>, Failure> {
    let mut page = Vec::new();
    clap_mangen::Man::new(examples::command())
        .render(&mut page)
        .map_err(|error| Failure::io("make the manual page", &error))?;
    page.extend_from_slice(b".SH \"EXIT STATUS\"\n");
    for (exit, says) in EXITS {
        page.extend_from_slice(format!(".TP\n\\fB{exit}\\fR\n{says}\n").as_bytes());
    }
    Ok(page)
}

/// Writes a page for nsplay, and one for each verb.
fn write_pages(folder: &Path) -> Result<(), Failure> {
    let (shown, page) = (folder.display(), page()?);
    fs::create_dir_all(folder)
        .map_err(|error| Failure::io(format_args!("make folder {shown}"), &error))?;
    clap_mangen::generate_to(examples::command(), folder)
        .and_then(|()| fs::write(folder.join("nsplay.1"), page))
        .map_err(|error| Failure::io(format_args!("write manual pages into {shown}"), &error))?;
    ui::status(&format!(
        "manual pages are in {shown}; man -l {shown}/nsplay.1"
    ));
    Ok(())
}
