//! `nsplay media`.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::libc;

use crate::cli::{self, MediaDeed};
use crate::client::Client;
use crate::error::Failure;
use crate::json::Media;
use crate::kernel::passing;
use crate::lab::Name;
use crate::rundir::RunDir;
use crate::supervisor::protocol::{MediaChange, Reply, Request};
use crate::ui;

/// Changes what is in a node's CD drive, and prints what is in it.
pub fn run(options: &cli::Media, lab: &Name) -> Result<u8, Failure> {
    let (change, image) = match (options.deed, &options.iso) {
        (Some(MediaDeed::Insert), Some(iso)) => {
            let (image, path) = open(iso)?;
            (Some(MediaChange::Insert { path }), Some(image))
        }
        (Some(MediaDeed::Eject), None) => (Some(MediaChange::Eject), None),
        (Some(MediaDeed::Eject), Some(iso)) => {
            return Err(Failure::refused(
                format!("`eject` takes no image, and got {}", iso.display()),
                "`insert` puts it in place of what is there",
            ));
        }
        (Some(MediaDeed::Insert) | None, _) => (None, None),
    };
    let node = options.node.clone();
    let client = Client::to_lab(&RunDir::new(lab), &Request::Media { node, change })?;
    let hear = |error| Failure::io("hear of the lab", &error);
    let socket = client.socket().map_err(hear)?;
    let (mut image, mut done) = (image, Ok(0));
    client.replies(|reply| match reply {
        Reply::GoOn => {
            let sent = image
                .take()
                .map_or(Ok(()), |image| passing::send(&socket, &[image.into()]));
            if let Err(error) = sent {
                done = Err(Failure::io("pass the image to the lab", &error));
            }
        }
        Reply::Media { medium } => done = tell(options, medium),
        _ => {}
    })?;
    done
}

fn tell(options: &cli::Media, medium: Option<PathBuf>) -> Result<u8, Failure> {
    let node = options.node.clone();
    if options.json {
        return ui::json(&Media { node, medium });
    }
    ui::data(&match medium {
        Some(medium) => format!("{node}: {} is in the CD drive\n", medium.display()),
        None => format!("{node}: the CD drive is empty\n"),
    });
    Ok(0)
}

/// Opens an image as who calls nsplay may, and returns its absolute path too.
fn open(iso: &Path) -> Result<(File, PathBuf), Failure> {
    let refuse = |why: &str| {
        Failure::refused(
            format!("cannot insert {}: {why}", iso.display()),
            "name an image of a CD or DVD, such as what `xorriso` or a download makes",
        )
    };
    // A FIFO would have this wait for who writes to it.
    let mut options = OpenOptions::new();
    let file = options
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(iso)
        .and_then(|file| {
            // For people: a name that is no text is shown as near as can be.
            let path = std::path::absolute(iso)?;
            let path = PathBuf::from(path.to_string_lossy().into_owned());
            Ok((file.metadata()?, file, path))
        });
    let (metadata, file, path) = file.map_err(|error| {
        refuse(&match error.kind() {
            io::ErrorKind::NotFound => "there is no such file".to_owned(),
            _ => error.to_string(),
        })
    })?;
    if metadata.is_dir() {
        return Err(refuse("it is a folder"));
    }
    if !metadata.is_file() {
        return Err(refuse("it is no regular file"));
    }
    if metadata.len() == 0 {
        return Err(refuse("it is empty"));
    }
    Ok((file, path))
}
