//! Compiles the module that ipmi_sim loads, so that the binary can carry it.
//!
//! The module has no dependencies; cargo itself cannot embed the output of one
//! package in another yet (artifact dependencies, RFC 3028, are unstable).

use std::env;
use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=crates/ipmi-sim-module/src");
    let variable = |name: &str| env::var_os(name).unwrap_or_else(|| panic!("cargo sets {name}"));
    let output = Path::new(&variable("OUT_DIR")).join("ipmi-sim-module.so");
    let status = Command::new(variable("RUSTC"))
        .args(["--edition", "2024", "--crate-name", "ipmi_sim_module"])
        .args(["--crate-type", "cdylib", "--cap-lints", "warn"])
        .args([
            "-C",
            "opt-level=2",
            "-C",
            "panic=abort",
            "-C",
            "strip=symbols",
        ])
        .arg("--target")
        .arg(variable("TARGET"))
        .arg("-o")
        .arg(&output)
        .arg("crates/ipmi-sim-module/src/lib.rs")
        .status()
        .unwrap_or_else(|error| panic!("cannot run rustc: {error}"));
    assert!(
        status.success(),
        "rustc cannot compile crates/ipmi-sim-module"
    );
}
