//! What somebody has done to a node from outside: pulled its cables, shaped its links, changed its CD.

use super::{About, Problem, Told};
use crate::lab::BootDevice;
use crate::progress::tracker::Boot;

impl About<'_> {
    /// The first of what it boots from that somebody has taken away; none when all is there.
    pub(super) fn outside(&self, boot: &Boot) -> Option<Told> {
        self.tries.iter().find_map(|device| {
            match device {
                BootDevice::Network(nic) => self.cable_out(boot, usize::from(*nic)),
                // Who has asked the network has gone past the drive.
                BootDevice::Cdrom if boot.discovers == 0 => self.medium(boot),
                BootDevice::Cdrom | BootDevice::Disk(_) => None,
            }
        })
    }

    fn cable_out(&self, boot: &Boot, nic: usize) -> Option<Told> {
        let cable = self.cables_out.contains(&nic).then(|| self.cable(nic))?;
        let text = format!(
            "{} boots over the network and reaches none. {cable}",
            self.node.name
        );
        Some((Problem::LinkDown, text, self.shown(boot)))
    }

    fn cable(&self, nic: usize) -> String {
        let (name, which) = (&self.node.name, which(nic));
        format!(
            "The cable of its network card {nic} is out: `nsplay link {name} up{which}` plugs it in."
        )
    }

    /// What is wrong with the medium in its drive; none where it is the lab file's.
    fn medium(&self, boot: &Boot) -> Option<Told> {
        let name = &self.node.name;
        let boots = match &self.tries[..] {
            [BootDevice::Cdrom, ..] => "boots from its CD first".to_owned(),
            tries => {
                let tries: Vec<String> = tries.iter().map(ToString::to_string).collect();
                format!("boots from {} in this order", tries.join(", "))
            }
        };
        let text = match &self.medium {
            None => format!(
                "{name} {boots}, and its CD drive is empty: `nsplay media {name} insert ISO` puts \
                 an image into it, `iso` in the lab file does it for each run; then `nsplay power \
                 {name} reset` has it look again."
            ),
            medium if *medium == self.node.iso => return None,
            Some(image) => format!(
                "{name} {boots}, and in its drive is {}, which is not of the lab file: somebody \
                 has inserted it. Whether its firmware found a system on it is seen below; after \
                 `nsplay media {name} insert ISO`, `nsplay power {name} reset` boots from another \
                 one.",
                image.display()
            ),
        };
        Some((Problem::Medium, text, self.shown(boot)))
    }

    /// What else somebody has done, beside what is the `problem`.
    pub(super) fn notes(&self, problem: Problem) -> String {
        let name = &self.node.name;
        let cables = match problem {
            Problem::LinkDown => &[],
            _ => &self.cables_out[..],
        };
        let cables = cables.iter().map(|nic| self.cable(*nic));
        let shapes = self.shapes.iter().map(|(nic, shape)| {
            let which = which(*nic);
            format!(
                "What comes to its network card {nic} has {shape}: `nsplay link {name} \
                 clear{which}` lets everything pass at once."
            )
        });
        cables
            .chain(shapes)
            .map(|note| format!(" {note}"))
            .collect()
    }
}

/// The option that names a card; the first needs none.
fn which(nic: usize) -> String {
    match nic {
        1 => String::new(),
        nic => format!(" --nic {nic}"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::lab::file::{Origin, load};
    use crate::node::Power;
    use crate::progress::why::why;

    #[test]
    fn what_is_taken_away_counts_if_it_is_booted_from_and_was_not_passed_over() {
        const CD: BootDevice = BootDevice::Cdrom;
        const DISK: BootDevice = BootDevice::Disk(1);
        const NETWORK: BootDevice = BootDevice::Network(1);
        let lab = load("[node.node1]\n", &Origin::built_in(None)).unwrap();
        let other = || Some(PathBuf::from("/other.iso"));
        for (tries, cables_out, medium, discovers, problem) in [
            (&[CD, NETWORK][..], &[][..], None, 0, Problem::Medium),
            (&[CD, NETWORK], &[], other(), 0, Problem::Medium),
            (&[CD, NETWORK], &[], None, 3, Problem::NoOffer),
            (&[NETWORK, CD], &[1], None, 0, Problem::LinkDown),
            (&[NETWORK], &[2], None, 0, Problem::NoDiscover),
            (&[DISK], &[1], None, 0, Problem::NoDiscover),
        ] {
            let mut boot = Boot::default();
            boot.discovers = discovers;
            let about = About {
                lab: &lab,
                node: &lab.nodes[0],
                power: Power::On,
                tries: tries.to_vec(),
                cables_out: cables_out.to_vec(),
                shapes: Vec::new(),
                medium,
                screen: None,
                nearest: &|_| None,
                now: 60_000,
            };
            let (found, text, _) = about.before_a_kernel(&boot);
            assert_eq!(found, problem, "{text}");
            // Whatever it is that stops it, a cable that is out is told.
            let text = why(&boot, &about).text;
            let told = text.contains("nsplay link node1 up");
            assert_eq!(told, !cables_out.is_empty(), "{text}");
        }
    }
}
