//! The CD drive: what is in it, whatever the node's power does.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::path::PathBuf;
use std::rc::Rc;

use qapi::qmp;

use super::{Deed, Keeper, Node, Running};
use crate::event::What;
use crate::node::qemu::Medium;
use crate::node::qmp::Qmp;

/// The drive, as QEMU calls it.
const DRIVE: &str = "cd0";

/// An image for the drive. The file is open: its path means something to who opened it.
#[derive(Clone, Debug)]
pub struct Image {
    /// The open file.
    pub file: Rc<File>,
    /// Where it was, for people.
    pub path: PathBuf,
}

/// What is in the drive; clones are the same drive.
#[derive(Clone)]
pub(super) struct Drive(Rc<RefCell<Inside>>);

enum Inside {
    Nothing,
    /// The image that the lab file names.
    OfLabFile(PathBuf),
    Inserted(Image),
}

impl Drive {
    pub(super) fn new(of_lab_file: Option<PathBuf>) -> Self {
        let inside = of_lab_file.map_or(Inside::Nothing, Inside::OfLabFile);
        Self(Rc::new(RefCell::new(inside)))
    }

    /// What a QEMU that starts has in its drive, and the descriptor that it inherits for it.
    pub(super) fn passed(&self) -> (Medium, Option<RawFd>) {
        match &*self.0.borrow() {
            Inside::Nothing => (Medium::Nothing, None),
            Inside::OfLabFile(_) => (Medium::OfLabFile, None),
            Inside::Inserted(image) => {
                let fd = image.file.as_raw_fd();
                (Medium::Open(fd), Some(fd))
            }
        }
    }

    fn path(&self) -> Option<PathBuf> {
        match &*self.0.borrow() {
            Inside::Nothing => None,
            Inside::OfLabFile(path) | Inside::Inserted(Image { path, .. }) => Some(path.clone()),
        }
    }

    /// Whether QEMU has a descriptor of what is inside.
    fn is_passed(&self) -> bool {
        matches!(&*self.0.borrow(), Inside::Inserted(_))
    }
}

impl Node {
    /// Puts an image into the CD drive, in place of what is in it; none leaves it empty.
    ///
    /// # Errors
    /// Why it could not be, for people.
    pub async fn change_medium(&self, image: Option<Image>) -> Result<(), String> {
        self.ask(Deed::Medium(image)).await
    }

    /// The image that is in the CD drive; none when it is empty.
    #[must_use]
    pub fn medium(&self) -> Option<PathBuf> {
        self.drive.path()
    }
}

impl Keeper {
    /// Changes what is in the drive: of the QEMU that runs, and of those that come.
    pub(super) async fn change_medium(
        &self,
        image: Option<Image>,
        running: &mut Option<Running>,
    ) -> io::Result<()> {
        let had = self.drive.path();
        if image.is_none() && had.is_none() {
            return Ok(());
        }
        if let Some(on) = running {
            let old = had.is_some().then_some(on.media);
            on.media += u32::from(image.is_some());
            let new = on.media;
            let qmp = on.qmp().await?;
            if let Some(image) = &image {
                load(qmp, new, &image.file).await?;
            }
            swap(qmp, image.is_some().then_some(new)).await?;
            if let Some(old) = old {
                forget(qmp, old, self.drive.is_passed()).await?;
            }
        }
        let medium = image.as_ref().map(|image| image.path.clone());
        *self.drive.0.borrow_mut() = image.map_or(Inside::Nothing, Inside::Inserted);
        let node = self.name().clone();
        self.host.journal.say(What::Media { node, medium });
        Ok(())
    }
}

/// How QEMU calls its medium of this number; the one that it was started with is its first.
fn node_name(number: u32) -> String {
    format!("cd{number}")
}

/// Opens an image in QEMU, as what it is: no format is guessed.
async fn load(qmp: &Qmp, number: u32, file: &File) -> io::Result<()> {
    qmp.add_fd(number.into(), file.try_clone()?.into()).await?;
    let image: qmp::blockdev_add = serde_json::from_value(serde_json::json!({
        "driver": "raw",
        "node-name": node_name(number),
        "read-only": true,
        "file": { "driver": "file", "filename": format!("/dev/fdset/{number}") },
    }))?;
    qmp.execute(image).await
}

/// Takes out what is in the drive, and puts `new` into it. As on a server with remote media, the
/// guest is not asked: one that has locked its drive finds another medium in it.
async fn swap(qmp: &Qmp, new: Option<u32>) -> io::Result<()> {
    let id = || Some(DRIVE.to_owned());
    #[allow(deprecated, reason = "the crate's structures name every field")]
    let open = qmp::blockdev_open_tray {
        device: None,
        force: Some(true),
        id: id(),
    };
    qmp.execute(open).await?;
    let id = DRIVE.to_owned();
    qmp.execute(qmp::blockdev_remove_medium { id }).await?;
    if let Some(number) = new {
        let (id, node_name) = (DRIVE.to_owned(), node_name(number));
        let insert = qmp::blockdev_insert_medium { id, node_name };
        qmp.execute(insert).await?;
    }
    #[allow(deprecated, reason = "the crate's structures name every field")]
    let close = qmp::blockdev_close_tray {
        device: None,
        id: Some(DRIVE.to_owned()),
    };
    qmp.execute(close).await
}

/// Closes an image that is in no drive any more.
async fn forget(qmp: &Qmp, number: u32, was_passed: bool) -> io::Result<()> {
    let node_name = node_name(number);
    qmp.execute(qmp::blockdev_del { node_name }).await?;
    if was_passed {
        let (fd, fdset_id) = (None, number.into());
        qmp.execute(qmp::remove_fd { fd, fdset_id }).await?;
    }
    Ok(())
}
