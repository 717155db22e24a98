//! Tells a KVM that runs code from one that only opens.

use kvm_bindings::{kvm_segment, kvm_userspace_memory_region};
use kvm_ioctls::{Kvm, VcpuExit};

/// What `/dev/kvm` is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It runs 64-bit code.
    Works,
    /// It cannot be used; why, in a few words.
    Unusable(String),
}

const PAGE: usize = 4096;
/// One page each for the PML4, the PDPT, the page directory and the code.
const PAGES: usize = 4;

#[repr(C, align(4096))]
struct Memory([u8; PAGES * PAGE]);

/// Runs two instructions in a virtual machine, which takes about a millisecond.
///
/// Nested hosts exist whose KVM opens, makes machines, runs SeaBIOS, and then
/// hangs every 64-bit guest, because it emulates instructions and knows no
/// SSE. `xorps xmm0,xmm0; hlt` in long mode ends with KVM_EXIT_HLT on a KVM
/// that runs code, and with KVM_EXIT_INTERNAL_ERROR on such a one.
#[must_use]
pub fn probe() -> Verdict {
    match run() {
        Ok(verdict) => verdict,
        Err(errno) if errno.errno() == nix::libc::ENOENT => {
            Verdict::Unusable("there is no /dev/kvm".to_owned())
        }
        Err(errno) => Verdict::Unusable(format!("/dev/kvm: {errno}")),
    }
}

fn run() -> Result<Verdict, kvm_ioctls::Error> {
    let machine = Kvm::new()?.create_vm()?;
    let mut memory = Box::new(Memory([0; PAGES * PAGE]));
    let mut put = |at: usize, bytes: &[u8]| memory.0[at..at + bytes.len()].copy_from_slice(bytes);
    // Present and writable entries; the directory's first one maps 2 MiB (bit 7) onto itself.
    put(0, &(PAGE as u64 | 0b11).to_le_bytes());
    put(PAGE, &((2 * PAGE) as u64 | 0b11).to_le_bytes());
    put(2 * PAGE, &0b1000_0011_u64.to_le_bytes());
    put(3 * PAGE, &[0x0f, 0x57, 0xc0, 0xf4]);
    let region = kvm_userspace_memory_region {
        slot: 0,
        guest_phys_addr: 0,
        memory_size: (PAGES * PAGE) as u64,
        userspace_addr: std::ptr::from_ref(&*memory) as u64,
        flags: 0,
    };
    // SAFETY: the memory is as large as the region says, and outlives the machine.
    unsafe { machine.set_user_memory_region(region) }?;
    let mut cpu = machine.create_vcpu(0)?;

    let mut special = cpu.get_sregs()?;
    let code = kvm_segment {
        limit: u32::MAX,
        selector: 8,
        type_: 11,
        present: 1,
        s: 1,
        l: 1,
        g: 1,
        ..Default::default()
    };
    let data = kvm_segment {
        selector: 16,
        type_: 3,
        l: 0,
        db: 1,
        ..code
    };
    special.cs = code;
    for segment in [
        &mut special.ds,
        &mut special.es,
        &mut special.fs,
        &mut special.gs,
        &mut special.ss,
    ] {
        *segment = data;
    }
    special.cr0 = 0x8000_0033; // PG, NE, ET, MP, PE
    special.cr3 = 0;
    special.cr4 = 0x0000_0220; // OSFXSR, PAE
    special.efer = 0x0000_0500; // LMA, LME
    cpu.set_sregs(&special)?;
    let mut registers = cpu.get_regs()?;
    registers.rip = (3 * PAGE) as u64;
    registers.rflags = 2;
    cpu.set_regs(&registers)?;

    let verdict = match cpu.run()? {
        VcpuExit::Hlt => Verdict::Works,
        VcpuExit::InternalError => {
            Verdict::Unusable("/dev/kvm opens but cannot run 64-bit code".to_owned())
        }
        other => Verdict::Unusable(format!(
            "/dev/kvm ran two instructions and left with {other:?}"
        )),
    };
    drop(cpu);
    drop(machine);
    Ok(verdict)
}
