//! How `up` looks: on a terminal, which script(1) makes and vt100 reads, and in a pipe.

use std::num::NonZero;

use crate::host::Host;
use crate::typist::Typist;

/// Members that answer at once, one that takes its time, and one that waits for it.
const LAB: &str = r#"
    ssh = false
    [web]
    server = "busybox"
    [node.node1]
    power = "off"
    vnc = false
    [service.slow]
    command = ["sleep", "1000"]
    ready = "exec:sleep 1"
    [service.late]
    command = ["sleep", "1000"]
    after = ["slow"]
"#;

/// Marks of lines that are still to change.
const SPINNER: [&str; 4] = ["[|]", "[/]", "[-] late", "[\\]"];

/// A terminal of 40 columns in which `nsplay ARGUMENTS` runs, with `more` in its environment.
fn terminal(host: &Host, more: &str, arguments: &str) -> Typist {
    let nsplay = host.spelled();
    let environment = format!("env -u CI -u NO_COLOR TERM=xterm {more}");
    Typist::at(
        host,
        &format!("stty rows 20 cols 40; {environment} {nsplay} {arguments}"),
    )
}

/// What the terminal shows in the end, with what has scrolled away.
fn screen(typist: &Typist) -> vt100::Parser {
    let mut terminal = vt100::Parser::new(NonZero::new(200).unwrap(), NonZero::new(40).unwrap(), 0);
    terminal.process(typist.seen().as_bytes());
    terminal
}

#[track_caller]
fn is_whole(typist: &Typist) -> String {
    let parser = screen(typist);
    let screen = parser.screen();
    let shown = screen.contents();
    for mark in SPINNER {
        assert!(!shown.contains(mark), "{mark} is left: {shown}");
    }
    assert!(!screen.hide_cursor(), "the cursor is there: {shown}");
    assert_eq!(screen.cursor_position().1, 0, "the line is ended: {shown}");
    // What is there to be copied, and what members print, is not broken.
    let rows: Vec<_> = screen.rows(0, 40).collect();
    for (row, text) in (0..).zip(&rows) {
        let as_it_is = text.starts_with("    ipmitool ") || text.contains(" | ");
        assert!(!screen.row_wrapped(row) || as_it_is, "{text:?} in: {shown}");
    }
    shown
}

#[test]
fn a_lab_comes_up_in_lines_that_fit_whoever_reads_them() {
    let host = Host::new();
    host.write("nsplay.toml", LAB);
    let before = host.inventory();

    let mut up = terminal(&host, "", "up -d");
    up.sees("slow   created; starting");
    up.sees("late   created; waits for slow");
    assert_eq!(up.ends(), 0, "{}", up.seen());
    let shown = is_whole(&up);
    for member in [
        "dhcp (dnsmasq)",
        "web (busybox)",
        "slow (sleep)",
        "late (sleep)",
        "node1 (ipmi_sim)",
    ] {
        let lines: Vec<_> = shown.lines().filter(|l| l.contains(member)).collect();
        assert_eq!(lines.len(), 1, "{member} in: {shown}");
        let line = lines[0];
        assert!(
            line.starts_with("[+]") && line.contains(" ready ") && line.ends_with(" ms"),
            "{shown}"
        );
    }
    assert!(!shown.contains("created"), "{shown}");
    host.nsplay(&["down"]).ok();

    // In a pipe there is one line for each thing, and nothing that moves a cursor.
    let piped = host.nsplay(&["up", "-d"]).ok();
    assert!(
        piped.out.lines().all(|line| line.contains(" | ")),
        "what members print: {}",
        piped.out
    );
    for line in piped.err.lines() {
        assert!(!line.contains(|c: char| c.is_control()), "{line:?}");
        let begins = ["[+] ", "[-] ", "    "].iter().any(|m| line.starts_with(m));
        assert!(begins, "{line:?}");
    }
    assert!(piped.err.contains("[+] slow (sleep)     "), "{}", piped.err);
    host.nsplay(&["down"]).ok();

    // A terminal that cannot, and one that a CI system keeps as a file, are like a pipe.
    for (more, escapes) in [
        ("TERM=dumb", false),
        ("CI=true", true),
        ("NO_COLOR=1 CI=true", false),
    ] {
        let mut up = terminal(&host, more, "up -d");
        assert_eq!(up.ends(), 0, "{}", up.seen());
        let seen = up.seen();
        assert!(!seen.contains("waits for slow"), "{more}: {seen}");
        assert_eq!(seen.contains('\u{1b}'), escapes, "{more}: {seen:?}");
        assert!(!seen.contains("\u{1b}[J"), "{more}: {seen:?}");
        host.nsplay(&["down"]).ok();
    }

    let quiet = host.nsplay(&["-q", "up", "-d"]).ok();
    assert_eq!((quiet.out.as_str(), quiet.err.as_str()), ("", ""));
    let ps = host.nsplay(&["-q", "ps"]).ok();
    assert!(
        ps.out.contains("slow"),
        "what is asked for is printed: {}",
        ps.out
    );
    assert_eq!(host.nsplay(&["--quiet", "down"]).ok().err, "");
    let mut up = terminal(&host, "", "up -d -q");
    assert_eq!((up.ends(), up.seen().as_str()), (0, ""));
    host.nsplay(&["down"]).ok();
    host.nsplay(&["-q", "-v", "ps"])
        .fails(2, &["cannot be used with"]);

    // Who interrupts it, and a lab that fails, leave a terminal that is whole.
    host.write("nsplay.toml", &LAB.replace("sleep 1\"", "sleep 100\""));
    let mut up = terminal(&host, "", "up");
    up.sees("waits for slow");
    up.types("\u{3}");
    assert_eq!(up.ends(), 130, "{}", up.seen());
    let shown = is_whole(&up);
    assert!(shown.contains("lab is going down, asked by"), "{shown}");
    assert!(!shown.contains("created"), "{shown}");

    let never = "exec:false\"\n    ready_within = \"1s\"";
    host.write("nsplay.toml", &LAB.replace("exec:sleep 1\"", never));
    let mut up = terminal(&host, "", "up -d");
    up.sees("waits for slow");
    assert_eq!(up.ends(), 1, "{}", up.seen());
    let parser = screen(&up);
    let shown = parser.screen().contents();
    assert!(shown.contains("error: `slow`: "), "{shown}");
    assert!(!shown.contains("created"), "{shown}");
    assert_eq!(parser.screen().cursor_position().1, 0, "{shown}");
    host.until("nothing runs", || {
        host.processes(env!("CARGO_BIN_EXE_nsplay")).is_empty()
    });
    host.is_as_before(&before);
}
