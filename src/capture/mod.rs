//! Captures: the packets of a lab's links, in files that Wireshark reads or in lines for people.
//!
//! Opening the links is [`kernel::packet`](crate::kernel::packet)'s; which ones, and for how
//! long, is `nsplay capture`'s.

mod bootp;
mod ipmi;
pub mod summary;

use std::borrow::Cow;
use std::io::{self, Write};

use pcap_file::DataLink;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketBlock;
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::blocks::section_header::{SectionHeaderBlock, SectionHeaderOption};
use pcap_file::pcapng::{PcapNgBlock, PcapNgWriter};
use pcap_file::{Endianness, PcapError};

use crate::kernel::packet::{Frame, Instruction, LONGEST};

/// A capture file that is being written (pcapng, draft-ietf-opsawg-pcapng).
pub struct CaptureFile<W: Write>(PcapNgWriter<W>);

impl<W: Write> CaptureFile<W> {
    /// Begins a file of packets from `links`, which have these names in it.
    ///
    /// # Errors
    /// What write(2) says.
    pub fn begin(to: W, links: &[String]) -> io::Result<Self> {
        let program = format!("nsplay {}", env!("CARGO_PKG_VERSION"));
        let section = SectionHeaderBlock {
            endianness: Endianness::native(),
            options: vec![SectionHeaderOption::UserApplication(program.into())],
            ..SectionHeaderBlock::default()
        };
        let mut file = PcapNgWriter::with_section_header(to, section).map_err(error)?;
        for link in links {
            let description = InterfaceDescriptionBlock {
                linktype: DataLink::ETHERNET,
                snaplen: u32::try_from(LONGEST).unwrap_or(u32::MAX),
                options: vec![
                    InterfaceDescriptionOption::IfName(Cow::Owned(link.clone())),
                    // Times are in units of 10^-9 s.
                    InterfaceDescriptionOption::IfTsResol(9),
                ],
            };
            file.write_pcapng_block(description).map_err(error)?;
        }
        Ok(Self(file))
    }

    /// Adds a frame that passed the link of this number.
    ///
    /// # Errors
    /// What write(2) says.
    pub fn add(&mut self, link: usize, frame: &Frame) -> io::Result<()> {
        let packet = EnhancedPacketBlock {
            interface_id: u32::try_from(link).map_err(io::Error::other)?,
            timestamp: frame.at,
            original_len: u32::try_from(frame.length).map_err(io::Error::other)?,
            data: Cow::Borrowed(frame.bytes),
            options: Vec::new(),
        };
        self.0
            .write_block(&packet.into_block())
            .map_err(error)
            .map(drop)
    }

    /// Passes on what is held back so far.
    ///
    /// # Errors
    /// What write(2) says.
    pub fn flush(&mut self) -> io::Result<()> {
        self.0.get_mut().flush()
    }
}

fn error(error: PcapError) -> io::Error {
    match error {
        PcapError::IoError(error) => error,
        error => io::Error::other(error),
    }
}

/// Reads a filter as `tcpdump -ddd` prints it: how many instructions, then each in numbers.
#[must_use]
pub fn instructions(text: &str) -> Option<Vec<Instruction>> {
    let mut lines = text.lines();
    let count: usize = lines.next()?.trim().parse().ok()?;
    let one = |line: &str| {
        let mut numbers = line.split_ascii_whitespace();
        Some(Instruction {
            code: numbers.next()?.parse().ok()?,
            jt: numbers.next()?.parse().ok()?,
            jf: numbers.next()?.parse().ok()?,
            k: numbers.next()?.parse().ok()?,
        })
    };
    let all: Vec<Instruction> = lines.map(one).collect::<Option<_>>()?;
    (all.len() == count).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_read_whole_or_not_at_all() {
        // tcpdump -ddd arp
        let arp = "4\n40 0 0 12\n21 0 1 2054\n6 0 0 262144\n6 0 0 0\n";
        let filter = instructions(arp).unwrap();
        assert_eq!(filter.len(), 4);
        assert_eq!((filter[1].code, filter[1].jf, filter[1].k), (21, 1, 2054));
        assert_eq!(instructions("4\n40 0 0 12\n"), None);
        assert_eq!(instructions("1\n40 0 0\n"), None);
        assert_eq!(instructions(""), None);
    }
}
