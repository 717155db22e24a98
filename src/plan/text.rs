//! A plan as text: the shell commands that do the same.

use std::fmt;

use super::{Plan, Target, limits};
use crate::cell::Cell;
use crate::lab::{LinkName, Name, Root};
use crate::node::boot::Boot;
use crate::node::{qemu, tpm};
use crate::program::{TextFile, User};
use crate::ways::{self, By};

impl fmt::Display for Plan {
    /// The plan as shell commands, in the order in which they would be typed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# network")?;
        for step in &self.network {
            writeln!(f, "{step}")?;
        }
        for view in &self.views {
            writeln!(f, "\n# folder {}", view.at.display())?;
            let files = match &view.files.1 {
                Root::Embedded => "(built in)".to_owned(),
                Root::Dir(folder) => folder.display().to_string(),
            };
            writeln!(f, "ln -s {files}/* {}/", view.at.display())?;
            for (name, to) in &view.links {
                writeln!(f, "ln -s {} {}", to.display(), view.at.join(name).display())?;
            }
            for text in &view.texts {
                write_text(f, text)?;
            }
        }
        for (at, folder) in &self.folders {
            writeln!(f, "\n# folder {}", at.display())?;
            let (folder, at) = (folder.display(), at.display());
            writeln!(f, "mount --bind -o ro {folder} {at}")?;
        }
        if !self.files.is_empty() {
            writeln!(f, "\n# files that nodes read")?;
        }
        for (at, file) in &self.files {
            let (file, at) = (file.display().to_string(), at.display());
            writeln!(f, "mount --bind -o ro {} {at}", quote(&file))?;
        }
        for service in &self.services {
            writeln!(f, "\n# {}: {}", service.member, service.what)?;
            for file in &service.files {
                write_text(f, file)?;
            }
            let user = match service.user {
                User::Root => 0,
                User::Member => self.user(&service.member),
                User::Host(user) => user,
            };
            show_cell(f, service.cell.as_ref())?;
            writeln!(f, "{}", command(&service.member, user, &service.argv))?;
        }
        for machine in &self.machines {
            let name = &machine.node.name;
            if machine.node.tpm.is_some() {
                writeln!(f, "\n# {name}: swtpm")?;
                let tpm = tpm::program(machine, 3);
                show_cell(f, tpm.cell.as_ref())?;
                writeln!(f, "{}", command(name, self.user(name), &tpm.argv))?;
            }
            writeln!(f, "\n# {name}: QEMU")?;
            // The descriptors have numbers when there are any; in a plan they follow the standard ones.
            let fds = qemu::Fds {
                qmp: 3,
                serial: 4,
                taps: (5..).take(machine.mtus.len()).collect(),
                medium: qemu::Medium::of(&machine.node),
            };
            let argv = machine.argv(&Boot::usual(&machine.node), &fds);
            show_cell(f, Some(&machine.cell()))?;
            writeln!(f, "{}", command(name, self.user(name), &argv))?;
            writeln!(f, "\n# {name}: ipmi_sim")?;
            let bmc = crate::bmc::ipmi_sim::program(&machine.node, &self.ipmi_sim, 3);
            for file in &bmc.files {
                write_text(f, file)?;
            }
            show_cell(f, bmc.cell.as_ref())?;
            writeln!(f, "{}", command(name, self.user(name), &bmc.argv))?;
        }
        let link = self.out.as_ref().and_then(|out| out.link(&self.lab.name));
        if let Some(out) = &self.out {
            writeln!(f, "\n# way out")?;
            let (gateway, own) = out.addresses();
            if let By::Passt(_) = out.by {
                let (user, argv) = (out.user, out.argv(3).join(" "));
                writeln!(f, "ip tuntap add {} mode tap vnet_hdr", LinkName::out())?;
                show_cell(f, Some(&Cell::default()))?;
                writeln!(f, "ip netns exec host setpriv --reuid {user} {argv}")?;
                writeln!(f, "ip link set {} up", LinkName::out())?;
            }
            if let Some(link) = &link {
                write!(f, "{link}")?;
            }
            writeln!(f, "nft -f - <<'EOF'\n{}EOF", out.rules(&[]))?;
            writeln!(f, "ip address add {own} dev {}", LinkName::out())?;
            writeln!(f, "ip route add default via {gateway}")?;
        }
        if !self.attach.is_empty() || link.is_some() {
            writeln!(f, "\n# host")?;
            let links: Vec<_> = self.attach.iter().map(|link| link.host.clone()).collect();
            let rules = ways::host_rules(&self.lab.name, &links, link.as_ref());
            writeln!(f, "ip netns exec host nft -f - <<'EOF'\n{rules}EOF")?;
            self.attach
                .iter()
                .try_for_each(|link| write!(f, "{link}"))?;
        }
        limits::write(f, self)?;
        if !self.publish.is_empty() {
            writeln!(f, "\n# published")?;
        }
        for publish in &self.publish {
            let to = match &publish.to {
                Target::Tcp(at) => format!("{at}/tcp"),
                Target::Udp(at) => format!("{at}/udp"),
                Target::Unix(path) => path.display().to_string(),
            };
            writeln!(f, "# {}/{} -> {to}", publish.host, publish.protocol())?;
        }
        Ok(())
    }
}

/// What a program sees of the files: no shell command does all that is done for it.
fn show_cell(f: &mut fmt::Formatter<'_>, cell: Option<&Cell>) -> fmt::Result {
    match cell {
        Some(cell) => writeln!(f, "{cell}"),
        None => writeln!(f, "# sees all files of the lab"),
    }
}

/// A file as a here-document; one that others may not read keeps its text to itself.
fn write_text(f: &mut fmt::Formatter<'_>, file: &TextFile) -> fmt::Result {
    let path = file.path.display();
    if file.mode & 0o077 == 0 {
        return writeln!(f, "install -m {:o} … {path}", file.mode);
    }
    writeln!(f, "cat > {path} <<'EOF'\n{}EOF", file.text)
}

fn command(member: &Name, user: u32, argv: &[String]) -> String {
    let quoted: Vec<String> = argv.iter().map(|word| quote(word)).collect();
    let quoted = quoted.join(" ");
    match user {
        0 => format!("ip netns exec {member} {quoted}"),
        user => format!("ip netns exec {member} setpriv --reuid {user} {quoted}"),
    }
}

/// A word as a shell reads it back.
fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}
