//! A kernel's modules: what the image wants, what each needs, and their bytes.
//!
//! depmod has done the hard part: `modules.dep` names what each module needs, and
//! `modules.alias` which hardware it is for.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::archive::Archive;
use super::{ImageError, Progress, output};

/// The drivers of the network cards that QEMU has and that racks have; a kernel needs
/// one of them. virtio_net is no use without virtio_pci, which is wanted below.
const NICS: &[&str] = &[
    "e1000e",
    "virtio_net",
    "e1000",
    "igb",
    "vmxnet3",
    "8139cp",
    "8139too",
];

/// What else the image wants, each for a reason.
const OTHERS: &[&str] = &[
    // virtio devices appear through it.
    "virtio_pci",
    // udhcpc talks before there is an address.
    "af_packet",
    // The ACPI power button, and its event device: soft shutdown.
    "button",
    "evdev",
    // Disks.
    "ahci",
    "sd_mod",
    "virtio_blk",
    "virtio_scsi",
    "nvme",
    // The CD drive.
    "sr_mod",
    // The TPM, by either interface.
    "tpm_crb",
    "tpm_tis",
    // The BMC, seen from inside.
    "ipmi_msghandler",
    "ipmi_si",
    "ipmi_devintf",
    "ipmi_watchdog",
    // By it QEMU learns that the kernel panicked.
    "pvpanic_mmio",
];

/// The modules of one kernel.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) folder: PathBuf,
    /// Name to file, relative to `folder`, and what that module needs, by name.
    modules: BTreeMap<String, (String, Vec<String>)>,
    builtin: BTreeSet<String>,
}

/// Which of a tree's modules go into the image.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Modules {
    /// Name to file, relative to the tree.
    pub(super) files: BTreeMap<String, String>,
    pub(super) builtin: Vec<String>,
    pub(super) missing: Vec<String>,
}

impl Tree {
    /// Reads `modules.dep` and, where there is one, `modules.builtin`.
    ///
    /// # Errors
    ///
    /// [`ImageError::Read`].
    pub(super) fn open(folder: &Path) -> Result<Self, ImageError> {
        let modules = dependencies(&output::read_text(&folder.join("modules.dep"))?);
        let list = folder.join("modules.builtin");
        let builtin = match list.exists() {
            true => output::read_text(&list)?.lines().map(name).collect(),
            false => BTreeSet::new(),
        };
        Ok(Self {
            folder: folder.to_owned(),
            modules,
            builtin,
        })
    }

    /// Says whether any network card of a node would work.
    pub(super) fn has_a_nic(&self) -> bool {
        NICS.iter().any(|nic| self.has(nic))
    }

    /// Says whether a lab's usual network card would work.
    pub(super) fn drives_e1000e(&self) -> bool {
        self.has("e1000e")
    }

    fn has(&self, name: &str) -> bool {
        self.modules.contains_key(name) || self.builtin.contains(name)
    }

    /// Chooses the usual modules and `extra`, with everything that they need.
    pub(super) fn select(&self, extra: &[String]) -> Modules {
        let extra = extra.iter().map(|module| name(module));
        let usual = NICS.iter().chain(OTHERS).map(|&module| module.to_owned());
        let mut chosen = Modules {
            files: BTreeMap::new(),
            builtin: Vec::new(),
            missing: Vec::new(),
        };
        let wanted: BTreeSet<String> = usual.chain(extra).collect();
        for module in wanted {
            if self.builtin.contains(&module) {
                chosen.builtin.push(module);
            } else if self.modules.contains_key(&module) {
                self.close_over(module, &mut chosen.files);
            } else {
                chosen.missing.push(module);
            }
        }
        chosen
    }

    fn close_over(&self, module: String, files: &mut BTreeMap<String, String>) {
        let mut open = vec![module];
        while let Some(module) = open.pop() {
            if let Some((file, needs)) = self.modules.get(&module)
                && files.insert(module, file.clone()).is_none()
            {
                open.extend(needs.iter().cloned());
            }
        }
    }

    /// Puts `chosen` into the archive with the two indexes that modprobe reads, cut
    /// down to what is there: modprobe reads all of them each time it runs.
    ///
    /// # Errors
    ///
    /// [`ImageError::Read`] and [`ImageError::Unpack`].
    pub(super) fn pack(
        &self,
        chosen: &Modules,
        version: &str,
        archive: &mut Archive,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), ImageError> {
        let folder = format!("lib/modules/{version}");
        let mut dep = String::new();
        let of = chosen.files.len();
        for (modules, (name, file)) in (1..).zip(&chosen.files) {
            let module = unpack(&self.folder.join(file))?;
            archive.file(&format!("{folder}/{name}.ko"), 0o644, module);
            progress(Progress::Unpacked { modules, of });
            dep.push_str(&format!("{name}.ko:"));
            for needed in &self.modules[name].1 {
                dep.push_str(&format!(" {needed}.ko"));
            }
            dep.push('\n');
        }
        archive.file(&format!("{folder}/modules.dep"), 0o644, dep);

        let aliases = output::read_text(&self.folder.join("modules.alias"))?;
        let mut kept: String = aliases
            .lines()
            .filter(|line| {
                let module = line.rsplit(' ').next().unwrap_or_default();
                chosen.files.contains_key(&name(module))
            })
            .flat_map(|line| [line, "\n"])
            .collect();
        kept.insert_str(0, "# Cut down to the modules of this image.\n");
        archive.file(&format!("{folder}/modules.alias"), 0o644, kept);
        Ok(())
    }
}

/// Parses `modules.dep`: `kernel/a/b.ko.xz: kernel/c/d.ko.xz …`. A module that needs
/// one that is built in does not name it.
fn dependencies(text: &str) -> BTreeMap<String, (String, Vec<String>)> {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(file, needs)| {
            let needs = needs.split_whitespace().map(name).collect();
            (name(file), (file.to_owned(), needs))
        })
        .collect()
}

/// Returns a module's name from its file's: `kernel/block/t10-pi.ko.zst` is `t10_pi`.
/// The kernel takes `-` and `_` for the same in the name of a module.
fn name(file: &str) -> String {
    let file = file.rsplit('/').next().unwrap_or(file);
    let stem = file.split_once(".ko").map_or(file, |(stem, _)| stem);
    stem.replace('-', "_")
}

/// Reads a module as insmod wants it. busybox can be built to read packed modules, but
/// nobody promises it, and the initrd is better packed as a whole.
fn unpack(path: &Path) -> Result<Vec<u8>, ImageError> {
    let bytes = output::read(path)?;
    let mut module = Vec::new();
    let packed = bytes.as_slice();
    let read = match path.extension().and_then(|extension| extension.to_str()) {
        Some("gz") => flate2::read::MultiGzDecoder::new(packed).read_to_end(&mut module),
        Some("xz") => lzma_rust2::XzReader::new(packed, true).read_to_end(&mut module),
        Some("zst") => ruzstd::decoding::StreamingDecoder::new(packed)
            .map_err(std::io::Error::other)
            .and_then(|mut decoder| decoder.read_to_end(&mut module)),
        _ => return Ok(bytes),
    };
    read.map_err(|source| ImageError::Unpack {
        path: path.to_owned(),
        source,
    })?;
    Ok(module)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(dep: &str, builtin: &[&str]) -> Tree {
        Tree {
            folder: PathBuf::from("/lib/modules/6.1"),
            modules: dependencies(dep),
            builtin: builtin.iter().map(|&module| module.to_owned()).collect(),
        }
    }

    #[test]
    fn a_module_brings_what_it_needs_and_what_that_needs() {
        let tree = tree(
            "k/igb.ko.xz: k/i2c-algo-bit.ko.xz\nk/i2c-algo-bit.ko.xz: k/dca.ko.xz\nk/dca.ko.xz:\nk/ext4.ko.xz:\n",
            &[],
        );
        let chosen = tree.select(&[]);
        let names: Vec<_> = chosen.files.keys().map(String::as_str).collect();
        assert_eq!(names, ["dca", "i2c_algo_bit", "igb"]);
        assert_eq!(chosen.files["i2c_algo_bit"], "k/i2c-algo-bit.ko.xz");
    }

    #[test]
    fn what_is_built_in_is_neither_packed_nor_missing() {
        let chosen = tree("k/e1000e.ko:\n", &["af_packet"]).select(&[]);
        assert_eq!(chosen.builtin, ["af_packet"]);
        assert!(chosen.missing.contains(&"nvme".to_owned()));
        assert!(!chosen.missing.contains(&"af_packet".to_owned()));
    }

    #[test]
    fn extra_modules_may_be_spelt_with_dashes() {
        let chosen = tree("k/dm-mod.ko:\n", &[]).select(&["dm-mod".to_owned()]);
        assert!(chosen.files.contains_key("dm_mod"));
    }

    #[test]
    fn a_cloud_kernel_has_a_nic_but_not_e1000e() {
        let cloud = tree("k/virtio_net.ko:\n", &[]);
        assert!(cloud.has_a_nic() && !cloud.drives_e1000e());
        assert!(tree("", &["e1000e"]).drives_e1000e());
    }
}
