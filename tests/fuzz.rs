//! Whatever others send or write: none of it makes nsplay panic, hang, or contradict itself.
//!
//! Each test first takes every file of `tests/__fuzz__/NAME/corpus`, then makes up more for a
//! second. `scripts/fuzz` goes on for as long as it is told to.

use std::io::Write;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use nsplay::bmc::question::Question;
use nsplay::bmc::rmcp::{self, Packet};
use nsplay::event::Event;
use nsplay::lab::file::{Origin, load, load_profile, render};
use nsplay::lines::Lines;
use nsplay::node::qmp::Qmp;
use nsplay::supervisor::protocol::Request;
use tokio::sync::mpsc;
use tokio::task::{LocalSet, yield_now};

/// Hands what is valid UTF-8 to `check`.
fn text(bytes: &[u8], check: impl Fn(&str)) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        check(text);
    }
}

#[test]
fn a_lab_file_is_a_lab_or_a_report() {
    bolero::check!().for_each(|bytes: &[u8]| {
        text(bytes, |text| match load(text, &Origin::built_in(None)) {
            Ok(lab) => {
                let spelled = render(&lab);
                let again = load(&spelled, &Origin::built_in(None));
                assert_eq!(again.unwrap(), lab, "{spelled}");
            }
            Err(report) => assert!(!report.to_string().is_empty()),
        });
    });
}

#[test]
fn a_profile_is_a_profile_or_a_report() {
    bolero::check!().for_each(|bytes: &[u8]| {
        text(bytes, |text| drop(load_profile(text, "mine", "mine.toml")));
    });
}

#[test]
fn a_dnsmasq_configuration_reads_back_as_it_is_written() {
    bolero::check!().for_each(|bytes: &[u8]| {
        text(bytes, |text| {
            if let Ok(config) = text.parse::<dnsmasq_config::Config>() {
                let written = config.to_string();
                assert_eq!(written.parse().as_ref(), Ok(&config), "{written}");
            }
        });
    });
}

#[test]
fn a_packet_of_the_network_is_answered_or_passed_on() {
    bolero::check!().for_each(|packet: &[u8]| {
        let _ = rmcp::opened(packet);
        match rmcp::read(packet) {
            Packet::CipherSuites(request) => assert!(request.cipher_suites().len() < 64),
            Packet::Challenge(request) => assert!(request.no_session_left().len() < 64),
            Packet::Open(session) => {
                assert_eq!(session.no_session_left().len(), 24);
                assert_eq!(session.no_cipher_suite().len(), 24);
            }
            Packet::Rakp1(wish) => assert_eq!(wish.too_high([0; 4]).len(), 24),
            Packet::Unauthenticated | Packet::Other => {}
        }
    });
}

#[test]
fn a_question_of_the_module_is_understood_or_refused() {
    bolero::check!().for_each(|bytes: &[u8]| {
        let _ = Question::read(&String::from_utf8_lossy(bytes));
    });
}

#[test]
fn a_request_to_the_supervisor_is_understood_or_refused() {
    bolero::check!().for_each(|bytes: &[u8]| {
        if let Ok(request) = serde_json::from_slice::<Request>(bytes) {
            let line = serde_json::to_string(&request).unwrap();
            assert!(serde_json::from_str::<Request>(&line).is_ok(), "{line}");
        }
    });
}

#[test]
fn a_line_of_the_log_is_an_event_or_nothing() {
    bolero::check!().for_each(|bytes: &[u8]| {
        if let Ok(event) = serde_json::from_slice::<Event>(bytes) {
            let line = serde_json::to_string(&event).unwrap();
            assert!(serde_json::from_str::<Event>(&line).is_ok(), "{line}");
        }
    });
}

#[test]
fn what_a_guest_prints_becomes_short_lines_without_control_characters() {
    bolero::check!().for_each(|bytes: &[u8]| {
        let (mut lines, mut seen) = (Lines::default(), Vec::new());
        lines.push(bytes, &mut |line| seen.push(line));
        seen.extend(lines.rest());
        for line in seen {
            assert!(!line.is_empty() && line.chars().count() <= 1000);
            assert!(!line.chars().any(char::is_control), "{line:?}");
        }
    });
}

#[test]
fn whatever_qemu_says_after_its_greeting_is_heard_or_ends_the_connection() {
    const GREETING: &str = concat!(
        r#"{"QMP":{"version":{"qemu":{"micro":0,"minor":2,"major":7},"package":""},"#,
        r#""capabilities":[]}}"#,
        "\r\n",
        r#"{"return":{}}"#,
        "\r\n"
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    bolero::check!().for_each(|bytes: &[u8]| {
        let talk = async {
            let (ours, mut qemus) = UnixStream::pair().unwrap();
            // More does not fit into the socket, and nobody would read it meanwhile.
            let bytes = &bytes[..bytes.len().min(16 << 10)];
            qemus.write_all(GREETING.as_bytes()).unwrap();
            qemus.write_all(bytes).unwrap();
            qemus.shutdown(Shutdown::Write).unwrap();
            let (said, mut heard) = mpsc::channel(nsplay::node::qmp::HEARD);
            // One that begins with more than the greeting may be refused.
            let _connection = Qmp::greet(ours, said).await;
            yield_now().await;
            while heard.recv().await.is_some() {}
        };
        LocalSet::new().block_on(&runtime, talk);
    });
}
