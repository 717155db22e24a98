//! `nsplay doctor` on this host: what it says is one for people and programs, with and without root.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

#[path = "json/validator.rs"]
mod validator;

fn doctor() -> Command {
    let mut nsplay = Command::new(env!("CARGO_BIN_EXE_nsplay"));
    nsplay.arg("doctor").stdin(Stdio::null());
    nsplay
}

fn told(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    let mut documents = validator::check("nsplay doctor --json", &text);
    assert_eq!(documents.len(), 1, "{text}");
    documents.remove(0)
}

fn level<'v>(told: &'v Value, what: &str) -> &'v str {
    let findings = told["findings"].as_array().unwrap();
    let found = findings.iter().find(|finding| finding["what"] == what);
    let found = found.unwrap_or_else(|| panic!("no {what} in {told:#}"));
    found["level"].as_str().unwrap()
}

#[test]
fn a_host_on_which_labs_run_is_told_so() {
    let output = doctor().arg("--json").output().unwrap();
    let told = told(&output);
    assert_eq!(told["labs_run"], true, "{told:#}");
    assert_eq!(output.status.code(), Some(0));
    for what in [
        "kernel",
        "privileges",
        "namespaces",
        "bridge",
        "veth",
        "/dev/net/tun",
    ] {
        assert_eq!(
            level(&told, what),
            "ok",
            "{what}: the tests run here, as root"
        );
    }
    let findings = told["findings"].as_array().unwrap();
    for finding in findings.iter().filter(|finding| finding["level"] != "ok") {
        assert!(finding["cost"].is_string(), "{finding}");
    }
    let table = doctor().output().unwrap();
    let text = String::from_utf8(table.stdout).unwrap();
    assert_eq!(
        text.lines().filter(|line| !line.starts_with(' ')).count(),
        findings.len()
    );
    assert!(text.starts_with("ok        kernel "), "{text}");
    assert!(
        !text.contains('\u{1b}'),
        "no colour goes into a pipe: {text}"
    );
}

/// Nobody may look at a host, too.
#[test]
fn it_needs_no_root() {
    // The folder of the build may be nobody's business.
    let folder = std::env::temp_dir().join(format!("nsplay-doctor-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    let binary: PathBuf = folder.join("nsplay");
    fs::copy(env!("CARGO_BIN_EXE_nsplay"), &binary).unwrap();
    let output = Command::new(&binary)
        .args(["doctor", "--json"])
        .current_dir("/")
        .uid(65534)
        .gid(65534)
        .output()
        .unwrap();
    fs::remove_dir_all(&folder).unwrap();
    let told = told(&output);
    assert_eq!(level(&told, "privileges"), "degraded");
    assert_eq!(level(&told, "kernel"), "ok");
}

/// In a mount namespace of its own the state directory is empty, so that there is something to mend.
#[test]
fn nothing_is_run_unasked() {
    let nsplay = env!("CARGO_BIN_EXE_nsplay");
    let script = format!(
        "mount -t tmpfs none /var/lib
         {nsplay} doctor --json > /var/lib/told; echo \"status $?\" >&2
         {nsplay} doctor --fix < /dev/null > /dev/null; echo \"status $?\" >&2
         (sleep 3; echo n) | script -qec '{nsplay} doctor --fix' /var/lib/typed > /dev/null
         ls -A /var/lib/nsplay >&2; cat /var/lib/told"
    );
    let output = Command::new("unshare")
        .args(["-m", "sh", "-c", &script])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let told = told(&output);
    assert_eq!(level(&told, "image"), "degraded");
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(
        err.starts_with("status 0\n"),
        "it is no reason for no lab to run: {err}"
    );
    assert!(err.contains("    nsplay image build\n"), "{err}");
    assert!(err.contains("nobody is there to be asked"), "{err}");
    assert!(
        err.contains("\nhint: nsplay doctor --fix --yes runs them unasked\nstatus 2\n"),
        "{err}"
    );
    assert!(!err.contains("$ "), "a command was run: {err}");
    assert!(err.contains("No such file"), "nothing was made: {err}");
}
