//! Services of the user's own.

use nsplay::event::What;
use nsplay::lab::Stage;

use crate::host::Host;

/// A lab of nothing but `services`.
fn write(host: &Host, services: &str) {
    let nothing = "dhcp = false\nweb = false\nssh = false\nnode = false\n";
    host.write("nsplay.toml", &format!("{nothing}{services}"));
}

/// The members that have become ready, in this order.
fn ready(host: &Host) -> Vec<String> {
    let events = host.events("default").into_iter();
    events
        .filter_map(|event| match event.what {
            What::Ready { member, .. } => Some(member.to_string()),
            _ => None,
        })
        .collect()
}

#[test]
fn a_service_of_ones_own_answers_on_its_published_port() {
    let host = Host::new();
    host.write("pages/index.html", "mine\n");
    write(
        &host,
        r#"
        [service.pages]
        command = ["busybox", "httpd", "-f", "-vv", "-p", "80"]
        folder = "pages"
        publish = "127.0.0.1:8080:80/tcp"
        ready = "http:80/index.html"
        [service.names]
        command = ["dnsmasq", "-k", "-C", "/dev/null", "-R", "-p", "5353", "--log-facility=-",
                   "--pid-file=", "--address=/test/10.1.2.3"]
        publish = "127.0.0.1:8053:5353/udp"
        ready = "log:started, version"
        "#,
    );
    host.nsplay(&["up", "-d"]).ok();
    let page = host.run("curl", &["-sf", "http://127.0.0.1:8080/"]).ok();
    assert_eq!(page.out, "mine\n");
    // Its lines are the user's: also the one of the question whether it is ready.
    host.prints("pages", "response:200", 2);
    // A question for x.test (RFC 1035, section 4.1), and the beginning of the answer.
    let ask = r"exec 3<>/dev/udp/127.0.0.1/8053
        printf '\x12\x34\1\0\0\1\0\0\0\0\0\0\1x\4test\0\0\1\0\1' >&3
        head -c 4 <&3 | busybox xxd -p";
    let answer = host.run("bash", &["-c", ask]).ok().out;
    assert!(answer.starts_with("1234"), "{answer}");
    let ps = host.nsplay(&["ps"]).ok().out;
    assert!(ps.contains("pages  busybox  ready"), "{ps}");
    assert!(ps.contains("127.0.0.1:8080"), "{ps}");
    if host.is_root() {
        host.run("ip", &["netns", "exec", "nsplay-default-pages", "true"])
            .ok();
    }
}

#[test]
fn a_service_has_a_user_without_rights_and_the_environment_that_the_file_says() {
    let host = Host::new();
    host.write("here/file", "");
    host.write(
        "here/tell.sh",
        "#!/bin/sh\nid -u; grep tell /etc/hosts; grep CapBnd /proc/self/status; env; ls; touch x || echo read-only\n\
         touch ~/x && echo at home\n",
    );
    host.shell("chmod 755 here/tell.sh").ok();
    write(
        &host,
        "[service.tell]\ncommand = [\"./tell.sh\"]\nfolder = \"here\"\n\
         env = { GREETING = \"a b$$\", HOME = \"/run/lab/tell\" }\nrestart = \"never\"\n",
    );
    host.nsplay(&["up", "-d"]).ok();
    host.prints("tell", "at home", 1);
    let lines = host.lines("tell");
    let user = host.user().unwrap_or(60600).to_string();
    for line in [
        user.as_str(),
        "192.168.25.5 tell",
        "CapBnd: 0000000000000000",
        "GREETING=a b$",
        "HOME=/run/lab/tell",
        "PWD=/run/lab/tell/folder",
        "tell.sh",
        "read-only",
    ] {
        assert!(lines.iter().any(|said| said == line), "{line}: {lines:#?}");
    }
    let variables = lines.iter().filter(|line| line.contains('=')).count();
    assert_eq!(variables, 4, "{lines:#?}");
}

#[test]
fn a_service_runs_as_the_user_of_the_host_that_the_file_names() {
    let host = Host::of_root();
    write(
        &host,
        "[service.games]\ncommand = [\"sh\", \"-c\", \"id -u; id -un; touch ~/x && echo at home\"]\n\
         user = \"games\"\nrestart = \"never\"\n\
         [service.number]\ncommand = [\"sh\", \"-c\", \"grep CapEff /proc/self/status; id -u\"]\n\
         user = 4711\nrestart = \"never\"\n",
    );
    host.nsplay(&["up", "-d"]).ok();
    host.prints("games", "at home", 1);
    host.prints("number", "4711", 1);
    assert_eq!(host.lines("games"), ["5", "games", "at home"]);
    assert_eq!(host.lines("number"), ["CapEff: 0000000000000000", "4711"]);
    host.nsplay(&["down"]).ok();
    write(
        &host,
        "[service.a]\ncommand = [\"true\"]\nuser = \"no-such-user\"\n",
    );
    host.nsplay(&["up", "-d"])
        .fails(2, &["service `a`: this host has no user `no-such-user`"]);
}

#[test]
fn a_service_is_ready_when_a_command_beside_it_succeeds() {
    let host = Host::new();
    host.write("data/schema", "");
    write(
        &host,
        r#"
        [service.store]
        command = ["sh", "-c", "sleep 1; touch ~/migrated; exec sleep 1000"]
        folder = "data"
        ready = "exec:test -e schema -a -e ~/migrated"
        "#,
    );
    host.nsplay(&["up", "-d"]).ok();
    assert_eq!(ready(&host), ["store"]);
    host.nsplay(&["down"]).ok();
    // What the command says is told, and one that hangs goes with the service.
    write(
        &host,
        "[service.never]\ncommand = [\"sleep\", \"1000\"]\nready_within = \"2s\"\n\
         ready = \"exec:echo no table yet; sleep 4712; true\"\n",
    );
    host.nsplay(&["up", "-d"]).fails(
        1,
        &[
            "`never`: sleep did not make `echo no table yet; sleep 4712; true` succeed within 2 s",
            "no table yet",
        ],
    );
    assert!(host.processes("sleep 4712").is_empty());
}

#[test]
fn services_start_when_those_that_they_wait_for_are_ready() {
    let host = Host::new();
    // The first name in the alphabet waits for the last, which takes its time to say so.
    write(
        &host,
        r#"
        [service.a]
        command = ["busybox", "nc", "-ll", "-p", "7", "-e", "busybox", "cat"]
        ready = "tcp:7"
        after = ["b"]
        [service.b]
        command = ["sh", "-c", "echo began; exec sleep 1000"]
        after = ["c"]
        [service.c]
        command = ["sh", "-c", "sleep 1; echo now it listens; exec sleep 1000"]
        ready = "log:it listens"
        "#,
    );
    host.nsplay(&["up", "-d"]).ok();
    assert_eq!(ready(&host), ["c", "b", "a"]);
    let events = host.events("default");
    let place = |what: &dyn Fn(&What) -> bool| events.iter().position(|event| what(&event.what));
    let said = place(&|what| matches!(what, What::Log { member, .. } if member.as_str() == "b"));
    let c = place(&|what| matches!(what, What::Ready { member, .. } if member.as_str() == "c"));
    assert!(c < said, "{events:#?}");
}

#[test]
fn a_service_that_answers_404_is_not_ready_yet() {
    let host = Host::new();
    write(
        &host,
        "[service.late]\nready = \"http:80/health\"\ncommand = [\"sh\", \"-c\", \
         \"busybox httpd -p 80 -h ~; sleep 1; echo healthy; echo > ~/health; exec sleep 1000\"]\n",
    );
    host.nsplay(&["up", "-d"]).ok();
    let events = host.events("default");
    let healthy = events
        .iter()
        .position(|event| matches!(&event.what, What::Log { text, .. } if text == "healthy"));
    let ready = events
        .iter()
        .position(|event| matches!(event.what, What::Ready { .. }));
    assert!(healthy.is_some() && healthy < ready, "{events:#?}");
}

#[test]
fn a_node_is_switched_on_when_the_services_that_it_waits_for_are_ready() {
    let host = Host::new();
    host.write(
        "nsplay.toml",
        "[node.node1]\nafter = [\"slow\"]\n[service.slow]\n\
         command = [\"sh\", \"-c\", \"sleep 1; echo here; exec sleep 1000\"]\n\
         ready = \"log:here\"\n",
    );
    host.nsplay(&["up", "-d"]).ok();
    let events = host.events("default");
    let place = |what: &dyn Fn(&What) -> bool| events.iter().position(|event| what(&event.what));
    let slow =
        |what: &What| matches!(what, What::Ready { member, .. } if member.as_str() == "slow");
    let on = place(&|what| matches!(what, What::Power { .. }));
    assert!(on.is_some() && place(&slow) < on, "{events:#?}");
}

#[test]
fn a_service_and_a_node_wait_for_a_nodes_boot_stage() {
    let host = Host::new();
    host.write(
        "nsplay.toml",
        r#"
        [node.first]
        memory = "128MiB"
        [node.second]
        memory = "128MiB"
        after = ["first:ack"]
        [service.late]
        command = ["sh", "-c", "echo here; exec sleep 1000"]
        after = ["first:discover", "web"]
        ready = "log:here"
        "#,
    );
    host.nsplay(&["up", "-d"]).ok();
    let events = host.events("default");
    let place = |what: &dyn Fn(&What) -> bool| events.iter().position(|event| what(&event.what));
    let stage = |wanted: Stage| {
        move |what: &What| {
            matches!(what, What::Stage { node, stage, .. }
                if node.as_str() == "first" && *stage == wanted)
        }
    };
    let late = place(&|what| matches!(what, What::Log { member, .. } if member.as_str() == "late"));
    let second =
        place(&|what| matches!(what, What::Power { node, .. } if node.as_str() == "second"));
    let (discover, ack) = (place(&stage(Stage::Discover)), place(&stage(Stage::Ack)));
    assert!(discover.is_some() && discover < late, "{events:#?}");
    assert!(ack.is_some() && ack < second, "{events:#?}");
}

#[test]
fn a_service_that_ends_is_started_again_unless_the_file_says_never() {
    let host = Host::new();
    write(
        &host,
        r#"
        [service.always]
        command = ["busybox", "nc", "-ll", "-p", "7", "-e", "busybox", "cat"]
        ready = "tcp:7"
        [service.never]
        command = ["sh", "-c", "echo once; exec sleep 4711"]
        ready = "log:once"
        restart = "never"
        "#,
    );
    host.nsplay(&["up", "-d"]).ok();
    for name in ["nc -ll -p 7", "sleep 4711"] {
        let pid = host.process(name);
        host.shell(&format!("kill -9 {pid}")).ok();
    }
    host.until("the one is ready again", || {
        ready(&host).iter().filter(|name| *name == "always").count() == 2
    });
    host.until("the other one stays ended", || {
        let ps = host.nsplay(&["ps"]).ok().out;
        ps.contains("never   sh       ended") && ps.contains("always  busybox  ready")
    });
    assert!(host.processes("sleep 4711").is_empty());
    assert_eq!(host.lines("never"), ["once"]);
}

#[test]
fn a_service_that_prints_without_end_has_its_last_lines_kept_and_the_log_stays_small() {
    let host = Host::new();
    write(
        &host,
        r#"
        [service.chat]
        command = ["sh", "-c", "echo beginning; yes $(printf %0900d 7) | head -n 30000; echo the end; exec sleep 1000"]
        "#,
    );
    host.nsplay(&["up", "-d"]).ok();
    host.nsplay(&["wait", "--for", "log=^the end$"]).ok();
    let state = host.at(&host.state_dir());
    let files = || std::fs::read_dir(&state).unwrap().map(Result::unwrap);
    let size: u64 = files().map(|file| file.metadata().unwrap().len()).sum();
    let (segment, oldest) = (nsplay::journal::SEGMENT, nsplay::journal::OLDEST);
    assert!(size > segment && size < 2 * segment + oldest, "{size}");
    // While it runs and afterwards, and of what happened nothing is lost.
    for then in ["ps", "down"] {
        host.nsplay(&[then]).ok();
        let lines = host.nsplay(&["logs", "chat"]).ok().out;
        assert!(
            lines.ends_with("the end\n"),
            "{}",
            &lines[lines.len() - 100..]
        );
        assert!(!lines.contains("beginning"));
        let happened = host.nsplay(&["events"]).ok().out;
        assert!(
            happened.contains("sh") && happened.contains("up"),
            "{happened}"
        );
    }
    let listed = host.nsplay(&["ls", "--json"]).ok().out;
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let disk = listed["labs"][0]["disk_bytes"].as_u64().unwrap();
    assert!(
        disk >= size && disk < size + (1 << 20),
        "{disk}, {size}: {listed}"
    );
    host.nsplay(&["prune", "--disks"]).ok();
    assert!(!state.exists());
}

#[test]
fn a_service_that_is_never_ready_fails_up_by_name_with_its_last_lines() {
    let host = Host::new();
    write(
        &host,
        r#"
        [service.deaf]
        command = ["sh", "-c", "echo looking for the database; exec sleep 1000"]
        ready = "tcp:5432"
        ready_within = "2s"
        "#,
    );
    host.nsplay(&["up", "-d"]).fails(
        1,
        &[
            "`deaf`: sh did not accept a connection on 192.168.25.5:5432 within 2 s",
            "looking for the database",
        ],
    );
    write(
        &host,
        "[service.brief]\ncommand = [\"sh\", \"-c\", \"echo no licence; exit 3\"]\n\
         ready = \"tcp:1\"\nrestart = \"never\"\n",
    );
    host.nsplay(&["up", "-d"])
        .fails(1, &["`brief`: sh exited with status 3", "no licence"]);
}

#[test]
fn a_program_that_is_not_there_is_refused_before_anything_is_made() {
    let host = Host::new();
    let before = host.inventory();
    write(
        &host,
        "[service.a]\ncommand = [\"no-such-program\"]\n\
         [service.b]\ncommand = [\"bin/b\"]\nfolder = \".\"\n",
    );
    host.nsplay(&["up", "-d"]).fails(
        2,
        &[
            "service `a`: cannot find the program no-such-program",
            "service `b`: cannot find the program /",
            "/bin/b",
        ],
    );
    assert_eq!(host.inventory(), before);
}
