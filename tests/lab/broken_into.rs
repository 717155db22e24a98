//! Programs of a lab that somebody has broken into: what they put where nsplay goes leads it nowhere.

use std::fs;

use crate::host::{Host, Ran};

/// Runs a script where the program `process` is, as its user.
fn inside(host: &Host, process: &str, script: &str) -> Ran {
    let pid = host.process(process);
    let status = fs::read_to_string(host.at(&format!("/proc/{pid}/status"))).unwrap();
    let user = status
        .lines()
        .find_map(|line| line.strip_prefix("Uid:")?.split_ascii_whitespace().next());
    let user = user.unwrap();
    host.write("script.sh", script);
    // The cell has no such file: it is read before.
    host.shell(&format!(
        "exec nsenter -t {pid} -m -- setpriv --reuid {user} --regid {user} --clear-groups \
         sh -es <script.sh"
    ))
}

/// A folder of the host with a secret and a link in it, which the lab sees, and its inventory.
fn victim(host: &Host) -> String {
    host.shell(
        "mount -t tmpfs -o mode=755 tmpfs /mnt; mkdir /mnt/victim; umask 077
         echo secret >/mnt/victim/secret; ln -s secret /mnt/victim/link",
    )
    .ok();
    look(host)
}

fn look(host: &Host) -> String {
    let script = "cd /mnt/victim && stat -c '%n %U %a %N' . * && cat secret";
    host.shell(script).ok().out
}

fn notes(host: &Host) -> String {
    host.nsplay(&["events"]).ok().out
}

#[test]
fn a_server_cannot_change_what_it_serves_nor_put_it_elsewhere() {
    let host = Host::new();
    let before = victim(&host);
    host.write("webroot/index.html", "first");
    host.nsplay(&["up", "-d"]).ok();
    // As root of a user namespace it may mount and move in a tree of its own, where its mounts are not.
    let moves = "mount -t tmpfs tmpfs /tmp; mkdir /tmp/old; exec 9</run/lab/.served/web; pivot_root /tmp /tmp/old
        umount -l /old; cd /proc/self/fd/9; mv webroot gone && ln -s /mnt/victim webroot";
    let tries = format!(
        "cd /run/lab/.served/web
         ! touch new; ! rm root/index.html; ! mv root old; ! ln -s /mnt/victim link; ! mv webroot gone
         unshare -Urm sh -c '{moves}' || true"
    );
    inside(&host, "/usr/sbin/lighttpd", &tries).ok();
    host.write("webroot/second.html", "second");
    let get = [
        "exec",
        "fabric",
        "--",
        "curl",
        "-s",
        "http://192.168.25.3/second.html",
    ];
    host.until("what is new is served", || {
        host.nsplay(&get).out == "second"
    });
    assert_eq!(look(&host), before);
}

#[test]
fn a_folder_and_a_file_that_a_program_has_put_elsewhere_stay_who_they_were() {
    let host = Host::new();
    let before = victim(&host);
    host.nsplay(&["up", "-d"]).ok();
    let bmc = "/usr/bin/ipmi_sim";
    inside(
        &host,
        bmc,
        "cd /run/lab/node1/bmc; mv state old; ln -s /mnt/victim state",
    )
    .ok();
    let pid = host.process(bmc);
    host.shell(&format!("kill -9 {pid}")).ok();
    host.until("it is not started again there", || {
        notes(&host).contains("cannot write the files of ipmi_sim: state: Not a directory")
    });
    assert_eq!(look(&host), before);
}

#[test]
fn what_a_service_has_put_where_a_program_is_to_be_shown_is_not_written_to() {
    // A user's running lab is shown nothing of that.
    let host = Host::of_root();
    let before = victim(&host);
    let lab = |tool: &str| {
        format!(
            "dhcp = false\nweb = false\nssh = false\nnode = false\n[service.evil]\ncommand = [\"sh\", \"-c\", \
             \"mkdir /tmp/build; ln -s /mnt/victim/secret /tmp/build/tool; echo done; exec sleep 4715\"]\n\
             ready = \"log:done\"\n{tool}"
        )
    };
    host.write("nsplay.toml", &lab(""));
    host.nsplay(&["up", "-d"]).ok();
    host.shell(
        "mount -t tmpfs -o mode=755 tmpfs /tmp; mkdir /tmp/build; cp /bin/busybox /tmp/build/tool",
    )
    .ok();
    host.write(
        "nsplay.toml",
        &lab("[service.tool]\ncommand = [\"/tmp/build/tool\", \"sleep\", \"4716\"]\n"),
    );
    let up = host.nsplay(&["up", "-d"]);
    let notes = notes(&host);
    assert!(
        notes.contains("cannot show /tmp/build/tool: "),
        "{notes} {}",
        up.err
    );
    assert_eq!(look(&host), before);
}

#[test]
fn what_is_no_file_of_leases_is_no_artifact() {
    // The command could not enter a user's lab.
    let host = Host::of_root();
    victim(&host);
    host.write("nsplay.toml", "[node.node1]\npower = \"off\"\n");
    // The command is the lab's: its server is broken into meanwhile.
    let pid = "$(pgrep -f -o /usr/sbin/dnsmasq)";
    host.write(
        "break-in",
        &format!(
            "nsenter -t {pid} -m sh -c 'cd /run/lab/dhcp; rm -f leases; ln -s /mnt/victim/secret leases'"
        ),
    );
    let run = ["run", "--artifacts", "kept", "--", "sh", "break-in"];
    host.nsplay(&run).ok();
    host.shell("test -d kept && ! grep -r secret kept").ok();
}

#[test]
fn a_pipe_in_place_of_the_bmcs_users_holds_nobody_up() {
    let host = Host::new();
    host.write("nsplay.toml", "[node.node1]\npower = \"off\"\n");
    host.nsplay(&["up", "-d"]).ok();
    host.ipmitool(&["power", "status"]).ok();
    inside(
        &host,
        "/usr/bin/ipmi_sim",
        "cd /run/lab/node1/bmc/state/ipmi_sim/node1; rm -f users.mc20; mkfifo users.mc20",
    )
    .ok();
    host.ipmitool(&["power", "status"]).ok();
    host.nsplay(&["ps"]).ok();
}

#[test]
fn the_session_keyring_of_who_runs_nsplay_is_no_programs() {
    let host = Host::new();
    host.write(
        "nsplay.toml",
        "dhcp = false\nweb = false\nssh = false\nnode = false\n\
         [service.keys]\ncommand = [\"perl\", \"-e\", \
         \"$| = 1; print 'keyring ', syscall(250, 0, -3, 0), qq{\\\\n}; sleep\"]\n",
    );
    // keyctl(2): KEYCTL_JOIN_SESSION_KEYRING is 1, KEYCTL_GET_KEYRING_ID 0, the session's -3.
    let up = format!(
        "exec perl -e 'syscall(250, 1, 0); print syscall(250, 0, -3, 0); exec @ARGV' {} up -d",
        host.spelled()
    );
    let callers = host.shell(&up).ok().out;
    host.until("it has told of its keyring", || {
        !host.lines("keys").is_empty()
    });
    let lines = host.lines("keys");
    let its = lines[0].strip_prefix("keyring ").unwrap();
    assert!(its.parse::<i64>().unwrap() > 0, "{lines:?}");
    assert_ne!(its, callers.trim());
}

#[test]
fn whoever_makes_a_lab_with_any_umask_leaves_nothing_that_others_can_write_to() {
    let host = Host::new();
    for umask in ["000", "077"] {
        host.shell(&format!("umask {umask}; exec {} up -d", host.spelled()))
            .ok();
        let (run, state) = (host.run_dir(), host.state_dir());
        let found = host.shell(&format!("find {run} {state} ! -type l -perm /022"));
        assert_eq!(found.ok().out, "", "{umask}");
        let supervisor = host.process("nsplay supervise");
        let find = "find /run/lab \\( -type f -o -type d \\) -perm /022 2>/dev/null";
        let found = host
            .shell(&format!("nsenter -t {supervisor} -m {find}"))
            .ok();
        assert_eq!(found.out, "", "{umask}");
        host.ipmitool(&["power", "status"]).ok();
        host.nsplay(&["down"]).ok();
    }
}
