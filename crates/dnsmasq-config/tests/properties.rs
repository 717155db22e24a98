//! Claims about every value: it reads back as itself, and dnsmasq accepts it.

mod strategies;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::process::{Command, Output, Stdio};

use dnsmasq_config::{Config, Directive};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config as Cases, TestRunner};

/// Asks the real dnsmasq whether the syntax is right; it binds and reads nothing else.
fn check(text: &str) -> io::Result<Output> {
    let program = ["/usr/sbin/dnsmasq", "/usr/bin/dnsmasq"]
        .into_iter()
        .find(|path| std::path::Path::new(path).exists());
    let mut child = Command::new(program.unwrap_or("dnsmasq"))
        .args(["--test", "--conf-file=-"])
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        match stdin.write_all(text.as_bytes()) {
            // dnsmasq stops reading at the first error and says which.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error),
            _ => {}
        }
    }
    child.wait_with_output()
}

fn assert_accepted(text: &str) {
    let output = check(text).unwrap_or_else(|error| {
        panic!("cannot run dnsmasq: {error}; install dnsmasq 2.90 or later (Debian: dnsmasq-base)")
    });
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "dnsmasq refuses it: {said}\n{text}"
    );
}

proptest! {
    #![proptest_config(Cases { failure_persistence: None, ..Cases::with_cases(2000) })]

    #[test]
    fn every_directive_reads_back_as_itself(directive in strategies::directive()) {
        if let Ok(config) = Config::builder().with(directive).build() {
            let text = config.to_string();
            prop_assert_eq!(text.parse(), Ok(config), "{}", text);
        }
    }

    #[test]
    fn any_text_parses_or_fails_without_panic(text in "\\PC{0,80}") {
        settles(&text)?;
    }

    #[test]
    fn any_value_parses_or_fails_without_panic(
        name in prop::sample::select(Directive::NAMES),
        value in "([ ,:=#\"\\\\/.*!@%0-9a-f\\[\\]-]|tag:|set:|option:|option6:|encap:|id:|mtu:|[ghmswx]){0,20}",
    ) {
        settles(&format!(" {name} = {value}"))?;
    }
}

/// What parses is written as text that parses to the same.
fn settles(text: &str) -> Result<(), TestCaseError> {
    if let Ok(config) = text.parse::<Config>() {
        let written = config.to_string();
        prop_assert_eq!(written.parse(), Ok(config), "{} became {}", text, written);
    }
    Ok(())
}

proptest! {
    #![proptest_config(Cases { failure_persistence: None, ..Cases::with_cases(64) })]

    #[test]
    fn dnsmasq_accepts_every_configuration(config in strategies::config()) {
        let text = config.to_string();
        prop_assert_eq!(text.parse(), Ok(config));
        assert_accepted(&text);
    }

    #[test]
    fn dnsmasq_accepts_what_is_parsed_and_written(
        lines in prop::collection::vec((prop::sample::select(Directive::NAMES), "[ ,:0-9a-f./*\"-]{0,9}"), 200),
    ) {
        let mut config = Config::default();
        for (name, value) in lines {
            let Ok(parsed) = format!("{name}={value}\n").parse::<Config>() else { continue };
            let builder = config.clone().into_builder();
            config = builder.with_all(parsed.directives().to_vec()).build().unwrap_or(config);
        }
        assert_accepted(&config.to_string());
    }
}

#[test]
fn the_strategies_reach_every_directive() {
    let mut runner = TestRunner::deterministic();
    let mut missing: BTreeSet<&str> = Directive::NAMES.iter().copied().collect();
    for _ in 0..5000 {
        let directive = strategies::directive()
            .new_tree(&mut runner)
            .unwrap()
            .current();
        missing.remove(directive.name());
    }
    assert_eq!(missing, BTreeSet::new());
}
