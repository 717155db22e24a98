//! What CI runs of scripts/ci, as it stands: a lab, a test in it, and what is kept of both.

use std::path::PathBuf;

use crate::host::{Host, Ran, ran};

fn script(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("scripts/ci")
        .join(name)
}

fn run(host: &Host, lab: &str, test: &str) -> Ran {
    let mut command = host.bounded("env");
    command
        .arg(format!("NSPLAY_BIN={}", env!("CARGO_BIN_EXE_nsplay")))
        .arg(format!("NSPLAY_LAB={lab}"))
        .arg(format!("NSPLAY_TEST={test}"))
        .arg(script("run"));
    ran(&mut command)
}

#[test]
fn a_job_has_a_lab_and_keeps_its_logs_and_results() {
    let host = Host::new();
    let before = host.inventory();
    host.write(
        "lab.toml",
        "node = false\nssh = false\n[web]\nserver = \"busybox\"\n",
    );
    let fetch = "$NSPLAY_BIN -p $NSPLAY_NAME exec fabric -- curl -s http://192.168.25.3/boot.ipxe | head -n 1";
    let done = run(&host, "lab.toml", fetch).ok();
    assert_eq!(done.out, "#!ipxe\n");
    host.is_as_before(&before);
    let kept = |name: &str| {
        host.run("cat", &[&format!("nsplay-artifacts/{name}")])
            .ok()
            .out
    };
    assert!(
        kept("junit.xml").contains("tests=\"2\" failures=\"0\""),
        "{}",
        kept("junit.xml")
    );
    assert!(kept("junit.xml").contains("<system-out>#!ipxe</system-out>"));
    assert!(
        kept("lab.log").contains("url:/boot.ipxe"),
        "{}",
        kept("lab.log")
    );
    assert!(kept("ps.json").contains("\"busybox\""));
    assert!(kept("log.jsonl").contains("\"event\":"));

    let failed = run(
        &host,
        "lab.toml",
        "echo '<no> & \"worse\"'; false; echo never",
    );
    assert_eq!(
        (failed.code, failed.out.as_str()),
        (1, "<no> & \"worse\"\n")
    );
    let junit = kept("junit.xml");
    let failure = "<failure message=\"the test ended with status 1\">&lt;no&gt; &amp; &quot;worse&quot;</failure>";
    assert!(
        junit.contains("failures=\"1\"") && junit.contains(failure),
        "{junit}"
    );
    host.is_as_before(&before);

    host.write("bad.toml", "nonsense = 1\n");
    let refused = run(&host, "bad.toml", "true");
    assert_eq!(refused.code, 2);
    assert!(
        refused.err.contains("bad.toml:1:1: unknown key `nonsense`"),
        "{}",
        refused.err
    );
    let junit = kept("junit.xml");
    assert!(
        junit.contains("tests=\"1\" failures=\"1\"") && junit.contains("bad.toml:1:1"),
        "{junit}"
    );
    host.is_as_before(&before);
}

#[test]
fn a_build_from_the_cache_is_used_as_it_is() {
    let host = Host::new();
    let built = ran(host
        .bounded("env")
        .arg(format!("NSPLAY_BIN={}", env!("CARGO_BIN_EXE_nsplay")))
        .arg(script("build")))
    .ok();
    assert!(built.out.starts_with("nsplay "), "{}", built.out);
    assert!(built.err.contains("from the cache"), "{}", built.err);
}
