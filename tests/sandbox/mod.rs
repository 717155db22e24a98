//! A throwaway stand-in for a lab: namespaces, private tmpfs and one program.
//!
//! `/` is read-only inside and `/etc`, `/run`, `/tmp` and `/var` are new, so a
//! program that passes here writes nothing outside of the lab.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Gid, Pid, Uid};
use nsplay::program::{Program, TextFile, User};

/// The user that a member's program runs as here.
pub const MEMBER: u32 = 60601;

/// What sshd is said to need, and nothing more: see `service::sshd`.
const ROOT_KEEPS: &str = "-all,+audit_write,+chown,+kill,+setgid,+setuid,+sys_chroot";

/// A program answers within milliseconds; a loaded machine has needed seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs in the new namespaces; its arguments are the staged files, the address
/// and the program. Like the supervisor it leaves nothing of the host's /etc
/// but what the dynamic linker and alternatives need.
const ENTER: &str = r#"
set -eu
stage=$1 address=$2; shift 2
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/host-etc /run/stage
cp -a "$stage/." /run/stage/
mount --bind /etc /run/host-etc
mount -t tmpfs -o mode=755 tmpfs /etc
for name in ld.so.cache localtime alternatives ssl; do
  test -e /run/host-etc/$name || continue
  if test -d /run/host-etc/$name; then mkdir /etc/$name; else : > /etc/$name; fi
  mount --bind /run/host-etc/$name /etc/$name
done
umount -l /run/host-etc
rmdir /run/host-etc
mount -t tmpfs -o mode=755 tmpfs /var
mount -t tmpfs tmpfs /tmp
cp -a /run/stage/. /
rm -r /run/stage
mount -o remount,bind,ro /
ip link set lo up
ip addr add "$address/32" dev lo
echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start
exec "$@"
"#;

/// A running program and the lines that it has written.
pub struct Sandbox {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    address: String,
}

/// A tree of files to be laid over the sandbox's root.
pub struct Stage {
    dir: PathBuf,
}

impl Stage {
    /// Makes an empty one; `name` is unique among the tests of one run.
    pub fn new(name: &str) -> Self {
        let dir =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        Self { dir }
    }

    /// Returns where the sandbox's `path` is staged.
    pub fn at(&self, path: &Path) -> PathBuf {
        self.dir.join(path.strip_prefix("/").unwrap())
    }

    /// Makes a folder and the ones above it.
    pub fn dir(&self, path: &Path, owner: u32) {
        fs::create_dir_all(self.at(path)).unwrap();
        self.own(path, owner);
    }

    /// Writes a file.
    pub fn file(&self, path: &Path, mode: u32, owner: u32, text: &str) {
        fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        fs::write(self.at(path), text).unwrap();
        fs::set_permissions(self.at(path), fs::Permissions::from_mode(mode)).unwrap();
        self.own(path, owner);
    }

    /// Writes files that are root's.
    pub fn files(&self, files: &[TextFile]) {
        for file in files {
            self.file(&file.path, file.mode, 0, &file.text);
        }
    }

    /// Writes what a program wants written before it starts.
    pub fn program(&self, program: &Program) {
        let owner = owner(program.user);
        for dir in &program.dirs {
            self.dir(dir, owner);
        }
        for file in &program.files {
            self.file(&file.path, file.mode, owner, &file.text);
        }
    }

    fn own(&self, path: &Path, owner: u32) {
        std::os::unix::fs::chown(self.at(path), Some(owner), Some(owner)).unwrap();
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

impl Sandbox {
    /// Starts `program` over `stage` in new namespaces that have `address`.
    pub fn start(program: &Program, stage: &Stage, address: &str) -> Self {
        assert!(
            Uid::effective().is_root(),
            "this test makes namespaces: run it as root"
        );
        let (read, write) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
        let member = owner(program.user);
        // As the supervisor does: a server that opens /dev/stderr must own the pipe.
        nix::unistd::fchown(
            &write,
            Some(Uid::from_raw(member)),
            Some(Gid::from_raw(member)),
        )
        .unwrap();
        let mut command = Command::new("unshare");
        command
            .args([
                "-m",
                "-n",
                "--propagation",
                "private",
                "sh",
                "-c",
                ENTER,
                "sh",
            ])
            .arg(&stage.dir)
            .arg(address)
            .args(["env", "-i"])
            .args(program.env.iter().map(|(k, v)| format!("{k}={v}")));
        command.arg("setpriv");
        match program.user {
            User::Member | User::Host(_) => {
                let id = member.to_string();
                command.args([
                    "--reuid",
                    &id,
                    "--regid",
                    &id,
                    "--clear-groups",
                    "--bounding-set=-all",
                ]);
            }
            User::Root => {
                command.args(["--bounding-set", ROOT_KEEPS]);
            }
        }
        let child = command
            .args(["--no-new-privs", "--"])
            .args(&program.argv)
            .stdin(Stdio::null())
            .stdout(write.try_clone().unwrap())
            .stderr(write)
            .process_group(0)
            .spawn()
            .expect("cannot run unshare: install util-linux");
        let lines = Arc::new(Mutex::new(Vec::new()));
        collect(read, Arc::clone(&lines));
        Self {
            child,
            lines,
            address: address.to_owned(),
        }
    }

    /// Returns a command that runs inside.
    pub fn inside(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args([
                "-t",
                &self.child.id().to_string(),
                "-m",
                "-n",
                "--",
                program,
            ])
            .stdin(Stdio::null());
        command
    }

    /// Runs curl inside on `path` and returns what it got; both streams are kept.
    pub fn curl(&self, options: &[&str], path: &str) -> Output {
        let url = format!("http://{}{path}", self.address);
        let mut curl = self.inside("curl");
        curl.args(["-s", "-S", "--noproxy", "*", "--path-as-is"])
            .args(options)
            .arg(url);
        curl.output()
            .expect("cannot run nsenter: install util-linux")
    }

    /// Waits until `command`, made anew each time, succeeds.
    pub fn until_ready(&mut self, mut command: impl FnMut(&Self) -> Command) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the program ended with {status}: {:#?}", self.lines());
            }
            // Until the namespaces are made, the command would ask the host.
            let entered = self.namespace_is_its_own();
            if entered && command(self).output().unwrap().status.success() {
                return;
            }
            assert!(Instant::now() < deadline, "not ready: {:#?}", self.lines());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until `line` says yes to one of the lines, and returns it.
    pub fn until_line(&self, wanted: &str, line: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = self.lines().into_iter().find(|l| line(l)) {
                return found;
            }
            assert!(
                Instant::now() < deadline,
                "no line {wanted}: {:#?}",
                self.lines()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Returns the lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// Returns the pids of what the program has started itself.
    pub fn children(&self) -> Vec<u32> {
        let pid = self.child.id();
        let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        list.split_whitespace()
            .map(|pid| pid.parse().unwrap())
            .collect()
    }

    /// Waits until none of `pids` is left.
    pub fn until_gone(&self, pids: &[u32]) {
        let deadline = Instant::now() + PATIENCE;
        // A zombie has no root folder any more; its reaper is whoever adopted it.
        while pids
            .iter()
            .any(|pid| fs::read_link(format!("/proc/{pid}/exe")).is_ok())
        {
            assert!(Instant::now() < deadline, "still there: one of {pids:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Sends SIGTERM and waits for the program's end.
    pub fn terminate(&mut self) -> ExitStatus {
        kill(self.pid(), Signal::SIGTERM).unwrap();
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "SIGTERM did not end it: {:#?}",
                self.lines()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    fn namespace_is_its_own(&self) -> bool {
        let netns = |who: &str| fs::read_link(format!("/proc/{who}/ns/net")).ok();
        netns(&self.child.id().to_string()) != netns("self")
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // Once reaped, its number could be another process's.
        if let Ok(None) = self.child.try_wait() {
            let _ = killpg(self.pid(), Signal::SIGKILL);
            let _ = self.child.wait();
        }
    }
}

/// Returns a program of the host, or fails the test.
pub fn installed(name: &str, package: &str) -> PathBuf {
    nsplay::host::programs::Finder::new(std::env::var_os("PATH").as_deref())
        .program(name)
        .unwrap_or_else(|| {
            panic!("cannot find {name}, which this test runs: apt-get install {package}")
        })
}

fn owner(user: User) -> u32 {
    match user {
        User::Root => 0,
        User::Member => MEMBER,
        User::Host(user) => user,
    }
}

fn collect(read: OwnedFd, lines: Arc<Mutex<Vec<String>>>) {
    std::thread::spawn(move || {
        for line in BufReader::new(fs::File::from(read)).split(b'\n') {
            let Ok(line) = line else { break };
            lines
                .lock()
                .unwrap()
                .push(String::from_utf8_lossy(&line).into_owned());
        }
    });
}
