//! The initrd as an archive: a tree of files in memory, written as newc cpio.
//!
//! The same tree gives the same bytes: paths are sorted, inode numbers are counted,
//! times and owners are 0.

use std::collections::BTreeMap;
use std::io::Write;

use cpio::newc::{Builder, ModeFileType, trailer};
use flate2::Compression as Level;
use flate2::write::GzEncoder;

use super::Progress;

/// How the initrd is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// As it is: larger to load, nothing to unpack.
    #[default]
    None,
    /// gzip, which every kernel can unpack.
    Gzip,
}

/// Packed in about 10 ms, after which it is told how far that is.
const PART: usize = 1 << 18;

/// A tree of files that becomes an initrd.
#[derive(Debug, Default)]
pub(super) struct Archive {
    nodes: BTreeMap<String, Node>,
}

#[derive(Debug)]
enum Node {
    Folder,
    File { mode: u32, bytes: Vec<u8> },
    Link { target: String },
}

impl Archive {
    /// Adds a folder and those above it; one that is there already is fine.
    pub(super) fn folder(&mut self, path: &str) {
        if let Some((above, _)) = path.rsplit_once('/') {
            self.folder(above);
        }
        self.nodes.entry(path.to_owned()).or_insert(Node::Folder);
    }

    /// Adds a regular file, with the folders above it.
    pub(super) fn file(&mut self, path: &str, mode: u32, bytes: impl Into<Vec<u8>>) {
        let bytes = bytes.into();
        self.insert(path, Node::File { mode, bytes });
    }

    /// Adds a symbolic link, with the folders above it.
    pub(super) fn link(&mut self, path: &str, target: &str) {
        let target = target.to_owned();
        self.insert(path, Node::Link { target });
    }

    /// A later file takes the place of an earlier one: a script of ours that of the
    /// applet with its name.
    fn insert(&mut self, path: &str, node: Node) {
        if let Some((above, _)) = path.rsplit_once('/') {
            self.folder(above);
        }
        self.nodes.insert(path.to_owned(), node);
    }

    /// Returns the archive's bytes.
    pub(super) fn finish(
        self,
        compression: Compression,
        progress: &mut dyn FnMut(Progress),
    ) -> Vec<u8> {
        let cpio = self.cpio();
        match compression {
            Compression::None => cpio,
            Compression::Gzip => {
                // GzEncoder writes neither a name nor a time into the header.
                let mut gzip = GzEncoder::new(Vec::new(), Level::best());
                let (mut bytes, of) = (0, cpio.len() as u64);
                for part in cpio.chunks(PART) {
                    gzip.write_all(part).expect(MEMORY);
                    bytes += part.len() as u64;
                    progress(Progress::Packed { bytes, of });
                }
                gzip.finish().expect(MEMORY)
            }
        }
    }

    /// Sorted by path, so that a folder comes before what is in it: the kernel makes
    /// entries in the order in which it reads them.
    fn cpio(self) -> Vec<u8> {
        let mut out = Vec::new();
        for (ino, (path, node)) in (1..).zip(self.nodes) {
            let (kind, mode, bytes) = match node {
                Node::Folder => (ModeFileType::Directory, 0o755, Vec::new()),
                Node::File { mode, bytes } => (ModeFileType::Regular, mode, bytes),
                Node::Link { target } => (ModeFileType::Symlink, 0o777, target.into_bytes()),
            };
            let size = u32::try_from(bytes.len()).expect("a file of an initrd is below 4 GiB");
            let mut writer = Builder::new(&path)
                .ino(ino)
                .mode(mode)
                .set_mode_file_type(kind)
                .nlink(1)
                .write(&mut out, size);
            writer.write_all(&bytes).expect(MEMORY);
            writer.finish().expect(MEMORY);
        }
        trailer(&mut out).expect(MEMORY);
        out
    }
}

/// Why writing into a `Vec` is expected to succeed.
const MEMORY: &str = "writing to memory cannot fail";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_come_before_what_is_in_them_and_only_once() {
        let mut archive = Archive::default();
        archive.file("lib/modules/6.1/a.ko", 0o644, b"x");
        archive.folder("lib");
        archive.link("bin/sh", "busybox");
        let paths: Vec<_> = archive.nodes.keys().map(String::as_str).collect();
        assert_eq!(
            paths,
            [
                "bin",
                "bin/sh",
                "lib",
                "lib/modules",
                "lib/modules/6.1",
                "lib/modules/6.1/a.ko"
            ]
        );
    }

    #[test]
    fn a_later_file_takes_the_place_of_an_earlier_one() {
        let mut archive = Archive::default();
        archive.link("sbin/poweroff", "../bin/busybox");
        archive.file("sbin/poweroff", 0o755, b"#!/bin/sh\n");
        assert!(matches!(archive.nodes["sbin/poweroff"], Node::File { .. }));
    }

    #[test]
    fn an_archive_is_a_whole_newc_cpio() {
        let mut archive = Archive::default();
        archive.file("init", 0o755, b"#!/bin/sh\n");
        let bytes = archive.finish(Compression::None, &mut |_| {});
        assert!(bytes.starts_with(b"070701"));
        assert!(bytes.windows(10).any(|window| window == b"TRAILER!!!"));
        assert_eq!(bytes.len() % 4, 0);
    }
}
