//! What the host has for a lab: programs, firmware, things to boot, and what they can do.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::cgroups::Cgroups;
use super::firmware;
use super::places::Places;
use super::programs::{Finder, Host};
use super::served::{self, Strange};
use super::ways::HostWays;
use crate::image::boot_entries::{self, Entry};
use crate::kernel::kvm::{self, Verdict};
use crate::lab::netboot::script_file;
use crate::lab::{Accel, Lab, Name, Root};
use crate::node::qemu::Accelerator;
use crate::plan::limits;
use crate::service::httpd;

/// Where `nsplay image build` puts the image, below the [state](Places::state) folder.
///
/// No lab can have this name: names hold no dot.
pub const IMAGE: &str = ".image";

/// What the host has. Programs that the lab does not need may be missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tools {
    /// Where labs are, and whose.
    pub places: Places,
    /// dnsmasq(8).
    pub dnsmasq: Option<PathBuf>,
    /// The HTTP server that serves the lab.
    pub httpd: Option<httpd::Found>,
    /// sshd(8).
    pub sshd: Option<PathBuf>,
    /// QEMU; its plain name where it is missing and no node needs it.
    pub qemu: PathBuf,
    /// qemu-img(1), likewise.
    pub qemu_img: PathBuf,
    /// swtpm(8), likewise.
    pub swtpm: PathBuf,
    /// ipmi_sim(1), likewise.
    pub ipmi_sim: PathBuf,
    /// The programs of the user's own services, by the services' names.
    pub own: BTreeMap<Name, PathBuf>,
    /// The users of this host that services of the user's own run as, by the services' names.
    pub users: BTreeMap<Name, u32>,
    /// The shell of who logs in.
    pub shell: PathBuf,
    /// iPXE for BIOS clients of TFTP.
    pub ipxe_bios: Option<PathBuf>,
    /// iPXE for UEFI clients.
    pub ipxe_uefi: Option<PathBuf>,
    /// OVMF's code and the template of its variables.
    pub ovmf: Option<(PathBuf, PathBuf)>,
    /// The same for Secure Boot, with the keys of Microsoft and the distribution.
    pub ovmf_secure: Option<(PathBuf, PathBuf)>,
    /// The folder of the image, when it has been built.
    pub image: Option<PathBuf>,
    /// What can be booted.
    pub entries: Vec<Entry>,
    /// The nodes that have an iPXE script of their own below the web root.
    pub scripts: BTreeSet<Name>,
    /// What is in the folders to be served, and cannot be.
    pub strange: Vec<(Name, Vec<Strange>)>,
    /// What KVM is worth.
    pub kvm: Verdict,
    /// Whether the kernel has IPv6.
    pub ipv6: bool,
    /// What there is for a way out.
    pub ways: HostWays,
    /// What limits are enforced by.
    pub cgroups: Cgroups,
}

impl Tools {
    /// Looks for what `lab` uses.
    #[must_use]
    pub fn find(lab: &Lab, finder: &Finder) -> Self {
        let program = |name: &str| finder.program(name);
        let plain = |name: &str| program(name).unwrap_or_else(|| PathBuf::from(name));
        let places = Places::of_caller();
        // A user without an image boots the host's.
        let images = [&places.state, &Places::system().state].map(|state| state.join(IMAGE));
        let built = images.iter().find(|image| image.is_dir());
        let image = built.unwrap_or(&images[0]).clone();
        let asks_kvm = lab.nodes.iter().any(|node| node.accel != Accel::Tcg);
        Self {
            places,
            dnsmasq: program("dnsmasq"),
            httpd: lab
                .web
                .as_ref()
                .and_then(|web| httpd::find(web.server, program).ok()),
            sshd: program("sshd"),
            qemu: plain("qemu-system-x86_64"),
            qemu_img: plain("qemu-img"),
            swtpm: plain("swtpm"),
            ipmi_sim: plain("ipmi_sim"),
            own: lab
                .own
                .iter()
                .filter_map(|own| {
                    let found = program(own.program().to_str()?)?;
                    Some((own.name.clone(), found))
                })
                .collect(),
            users: lab
                .own
                .iter()
                .filter_map(|own| Some((own.name.clone(), user_id(own.user.as_ref()?)?)))
                .collect(),
            shell: program("bash").unwrap_or_else(|| PathBuf::from("/bin/sh")),
            ipxe_bios: firmware::first(finder, firmware::IPXE_BIOS),
            ipxe_uefi: firmware::first(finder, firmware::IPXE_UEFI),
            ovmf: firmware::ovmf(finder, firmware::OVMF),
            ovmf_secure: firmware::ovmf(finder, firmware::OVMF_SECURE),
            entries: boot_entries::discover(Some(&image), Path::new("/")),
            image: image.is_dir().then_some(image),
            scripts: scripts(lab),
            strange: served::strange(lab),
            kvm: if asks_kvm {
                kvm::probe()
            } else {
                Verdict::Unusable("no node asks for it".to_owned())
            },
            ipv6: finder.has_file(Path::new("/proc/sys/net/ipv6/conf/default/disable_ipv6")),
            ways: HostWays::find(lab, finder),
            cgroups: Cgroups::find(),
        }
    }

    /// What runs the instructions of a node that asks for `accel`.
    #[must_use]
    pub fn accelerator(&self, accel: Accel) -> Accelerator {
        match (accel, &self.kvm) {
            (Accel::Kvm, _) | (Accel::Auto, Verdict::Works) => Accelerator::Kvm,
            (Accel::Tcg, _) | (Accel::Auto, Verdict::Unusable(_)) => Accelerator::Tcg,
        }
    }

    /// What a user of `lab` wants to know about how these tools are used.
    #[must_use]
    pub fn notes(&self, lab: &Lab) -> Vec<String> {
        let mut notes = Vec::new();
        if lab.nodes.iter().any(|node| node.accel == Accel::Auto) {
            notes.push(match &self.kvm {
                Verdict::Works => "nodes run under KVM: its probe ran code".to_owned(),
                Verdict::Unusable(why) => {
                    format!("nodes run under TCG, QEMU's own translator: {why}")
                }
            });
        }
        if !lab.nodes.is_empty() && !self.entries.iter().any(|entry| entry.name == "image") {
            notes.push("there is no image to boot yet: `nsplay image build` makes one".to_owned());
        }
        notes.extend(limits::unenforced(
            lab,
            &self.cgroups,
            self.places.user.is_some(),
        ));
        if !self.ipv6 {
            notes.push(
                "the kernel has no IPv6: iPXE waits about 15 s for a router's answer".to_owned(),
            );
        }
        notes.extend(served::notes(&self.strange));
        notes
    }
}

/// The number of a user of this host, who is named or numbered.
fn user_id(user: &str) -> Option<u32> {
    match user.parse() {
        Ok(number) => Some(number),
        Err(_) => {
            let found = nix::unistd::User::from_name(user).ok()??;
            // Root by another name is root.
            (!found.uid.is_root()).then_some(found.uid.as_raw())
        }
    }
}

/// The nodes that have an iPXE script of their own below the web root.
fn scripts(lab: &Lab) -> BTreeSet<Name> {
    let Some(web) = &lab.web else {
        return BTreeSet::new();
    };
    let is_there = |node: &Name| match &web.root {
        Root::Dir(root) => root.join(script_file(node)).is_file(),
        Root::Embedded => false,
    };
    let names = lab.nodes.iter().map(|node| &node.name);
    names.filter(|name| is_there(name)).cloned().collect()
}
