//! A throwaway host: labs run on it as on any other, and all of it is gone with the test.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::caller::{Caller, ordinary_user};
use nsplay::event::{Event, What};
use nsplay::json::{Prints, of_verb};
use nsplay::lab::Name;
use serde_json::Value;

use crate::validator;

/// A guest boots in 8 s here; a loaded CI runner has needed ten times as much.
pub const PATIENCE: Duration = Duration::from_secs(240);

/// How many hosts run at once, whatever number of threads the tests have: a guest keeps a core busy
/// while it boots, and then a test waits.
fn at_once() -> usize {
    std::thread::available_parallelism().map_or(4, |cores| cores.get() + 2)
}

/// What a command did.
pub struct Ran {
    /// Its exit code; 128 and the signal's number for one that was killed.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Ran {
    /// Asserts that the command succeeded.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        self
    }

    /// Asserts the exit code, and that standard error says all of `words`.
    #[track_caller]
    pub fn fails(self, code: i32, words: &[&str]) -> Self {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        for word in words {
            assert!(self.err.contains(word), "{word:?} is not in: {}", self.err);
        }
        self
    }
}

impl Ran {
    /// The documents that a verb with `--json` printed, which are what the verb promises.
    #[track_caller]
    pub fn is_json_of(&self, arguments: &[&str]) -> Vec<Value> {
        let what = format!("nsplay {}", arguments.join(" "));
        let documents = validator::check(&what, &self.out);
        let verb = (0..arguments.len()).find_map(|from| of_verb(&arguments[from..]));
        let promised = match verb {
            Some(Prints::One(documents)) => documents.to_vec(),
            Some(Prints::Lines(line, others)) => [&[line], others].concat(),
            Some(Prints::Nothing(_)) | None => Vec::new(),
        };
        let is_of = |document: &Value, name: &str| document["schema"] == format!("nsplay/{name}/1");
        for document in &documents {
            let known = promised.iter().chain(&["error"]);
            let mut known = known.filter(|name| is_of(document, name));
            assert!(
                known.next().is_some(),
                "{what}: of {promised:?}: {document}"
            );
        }
        let told = documents.last();
        let failed =
            told.is_some_and(|last| is_of(last, "error") && last["exit_code"] == self.code);
        // What these two find or run may be bad; they themselves have done what they should.
        let is_own = !promised.contains(&"doctor") && !promised.contains(&"run");
        assert!(
            self.code == 0 || failed || !is_own,
            "{what}: exit code {}: {}{}",
            self.code,
            self.out,
            self.err
        );
        documents
    }
}

/// The host.
pub struct Host {
    anchor: Child,
    /// PID 1 of its namespaces, as this process sees it.
    init: u32,
    folder: PathBuf,
    caller: Caller,
    _turn: File,
}

impl Host {
    /// Makes a host with the image built, and an empty current folder.
    pub fn new() -> Self {
        Self::of(Caller::from_env())
    }

    /// The same, on which root runs nsplay whoever runs the other tests: for what no user may do.
    pub fn of_root() -> Self {
        Self::of(Caller::Root)
    }

    /// The same, on which an ordinary user runs nsplay.
    pub fn of_user() -> Self {
        Self::of(Caller::User(ordinary_user()))
    }

    fn of(caller: Caller) -> Self {
        for program in [
            "ip",
            "ss",
            "unshare",
            "nsenter",
            "curl",
            "ipmitool",
            "ipmipower",
            "ssh",
            "busybox",
            "tshark",
            "strace",
            "tcpdump",
            "nft",
            "passt",
            "setpriv",
            "ping",
        ] {
            assert!(
                nsplay::host::programs::Finder::from_env()
                    .program(program)
                    .is_some(),
                "cannot find `{program}`: scripts/install-deps --test installs it"
            );
        }
        let turn = turn();
        static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let folder = scratch().join(format!("host-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        caller.owns(&folder);
        let script = format!(
            "mkdir -p /var/lib/nsplay/.image
            mount --bind \"$0\" /var/lib/nsplay/.image
            {}
            echo ready
            sleep infinity",
            caller.furnish()
        );
        // It ends with the thread of its test, also when somebody kills all tests.
        let mut anchor = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/in-host"))
            .args(["sh", "-c", &script])
            .arg(image())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(anchor.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(line, "ready\n", "scripts/in-host needs root");
        let pid = anchor.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        let init = children.trim().parse().unwrap();
        Self {
            anchor,
            init,
            folder,
            caller,
            _turn: turn,
        }
    }

    /// The user who runs nsplay here; none for root.
    pub fn user(&self) -> Option<u32> {
        match self.caller {
            Caller::Root => None,
            Caller::User(uid) | Caller::InRootsPlace(uid) => Some(uid),
        }
    }

    /// The current folder of commands.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where a path of the host is for this process.
    pub fn at(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.init))
    }

    /// Does `work` in the network of the process `pid` of the host: of 1 for the host's own.
    #[track_caller]
    pub fn in_network_of<T: Send>(
        &self,
        pid: u32,
        work: impl FnOnce() -> io::Result<T> + Send,
    ) -> T {
        let network = File::open(self.at(&format!("/proc/{pid}/ns/net"))).unwrap();
        nsplay::kernel::netns::inside(network.as_fd(), work).unwrap()
    }

    /// A command on the host, not run yet.
    pub fn command(&self, program: &str) -> Command {
        self.entered(self.words(program))
    }

    /// The same of a program that nsplay's caller runs.
    pub fn callers(&self, program: &str) -> Command {
        let mut words = self.caller.prefix();
        words.push(program.to_owned());
        self.entered(words)
    }

    fn entered(&self, words: Vec<String>) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args(["-t", &self.init.to_string(), "-m", "-n", "-p", "-i", "-u"])
            .arg(format!("--wd={}", self.folder.display()))
            .args(words)
            .stdin(Stdio::null());
        command
    }

    /// A command that is killed when it does not end, so that a test fails and does not hang.
    pub fn bounded(&self, program: &str) -> Command {
        let mut command = self.command("timeout");
        let seconds = PATIENCE.as_secs().to_string();
        command.args(["--foreground", "--signal=KILL", &seconds]);
        command.args(self.words(program));
        command
    }

    /// The program, after what makes nsplay its caller's.
    pub fn words(&self, program: &str) -> Vec<String> {
        let mut words = Vec::new();
        if program == env!("CARGO_BIN_EXE_nsplay") {
            words = self.caller.prefix();
        }
        words.push(program.to_owned());
        words
    }

    /// What a shell is given to run nsplay as its caller.
    pub fn spelled(&self) -> String {
        self.words(env!("CARGO_BIN_EXE_nsplay")).join(" ")
    }

    /// Whether root runs nsplay here.
    pub fn is_root(&self) -> bool {
        self.caller == Caller::Root
    }

    /// Where the run directory of the lab `default` is.
    pub fn run_dir(&self) -> String {
        format!("{}/nsplay/default", self.caller.folders().0)
    }

    /// Where the state directory of the lab `default` is.
    pub fn state_dir(&self) -> String {
        format!("{}/nsplay/default", self.caller.folders().1)
    }

    /// Runs a command to its end.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Ran {
        ran(self.bounded(program).args(arguments))
    }

    /// Runs nsplay to its end; what it prints as JSON is what its schema says.
    #[track_caller]
    pub fn nsplay(&self, arguments: &[&str]) -> Ran {
        let ran = self.run(env!("CARGO_BIN_EXE_nsplay"), arguments);
        let own = arguments.iter().take_while(|word| **word != "--");
        if own.clone().any(|word| *word == "--json") {
            ran.is_json_of(arguments);
        }
        ran
    }

    /// Runs a shell script to its end.
    pub fn shell(&self, script: &str) -> Ran {
        self.run("sh", &["-c", script])
    }

    /// Runs ipmitool against the published BMC.
    pub fn ipmitool(&self, arguments: &[&str]) -> Ran {
        let port = match self.caller {
            Caller::Root | Caller::InRootsPlace(_) => "623",
            Caller::User(_) => "6230",
        };
        let to = ["-H", "127.0.0.1", "-p", port, "-U", "admin", "-P", "admin"];
        self.run("ipmitool", &[&to, arguments].concat())
    }

    /// The boot flags of `node1`, in ipmitool's words.
    #[track_caller]
    pub fn boot_flags(&self) -> String {
        let get = ["chassis", "bootparam", "get", "5"];
        self.ipmitool(&get).ok().out
    }

    /// Writes a file in the current folder.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.folder.join(name);
        let folder = path.parent().unwrap();
        fs::create_dir_all(folder).unwrap();
        fs::write(&path, text).unwrap();
        let below = folder.ancestors().take_while(|above| *above != self.folder);
        below
            .chain([path.as_path()])
            .for_each(|made| self.caller.owns(made));
    }

    /// Gives nsplay's caller what is at a path of the host, with all that is in it.
    #[track_caller]
    pub fn give(&self, path: &str) {
        if let Some(uid) = self.user() {
            self.shell(&format!("chown -R {uid}:{uid} {path}")).ok();
        }
    }

    /// The events of a lab's log so far.
    pub fn events(&self, lab: &str) -> Vec<Event> {
        let log = self.at(&format!(
            "{}/nsplay/{lab}/log.jsonl",
            self.caller.folders().1
        ));
        nsplay::journal::read(&log)
            .map(Iterator::collect)
            .unwrap_or_default()
    }

    /// The lines that a member of the lab `default` has printed so far.
    pub fn lines(&self, of: &str) -> Vec<String> {
        let of = Name::new(of).unwrap();
        let line = |event: Event| match event.what {
            What::Log { member, text } if member == of => Some(text),
            _ => None,
        };
        self.events("default")
            .into_iter()
            .filter_map(line)
            .collect()
    }

    /// Waits until `member` has printed `times` lines that contain `text`.
    #[track_caller]
    pub fn prints(&self, member: &str, text: &str, times: usize) {
        self.until(&format!("{member} prints {text:?} {times} times"), || {
            let lines = self.lines(member);
            lines.iter().filter(|line| line.contains(text)).count() >= times
        });
    }

    /// Waits until `node1` is `power` according to the log, by whom `by` says.
    #[track_caller]
    pub fn is_switched(&self, power: &str, by: &str) {
        self.until(&format!("node1 is {power}, by {by}"), || {
            self.events("default")
                .iter()
                .any(|event| match &event.what {
                    What::Power {
                        power: now,
                        by: who,
                        ..
                    } => now.to_string() == power && who.contains(by),
                    _ => false,
                })
        });
    }

    /// Waits until `node1` has been reset `times`, according to the log, by whom `by` says.
    #[track_caller]
    pub fn is_reset(&self, by: &str, times: usize) {
        self.until(&format!("node1 is reset {times} times, by {by}"), || {
            let events = self.events("default");
            let resets = events
                .iter()
                .filter(|event| matches!(&event.what, What::Reset { by: who, .. } if who == by));
            resets.count() >= times
        });
    }

    /// Waits until `done`, with the log as evidence if that never comes.
    #[track_caller]
    pub fn until(&self, what: &str, done: impl Fn() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !done() {
            assert!(
                Instant::now() < end,
                "not within {PATIENCE:?}: {what}\n{:#?}",
                self.events("default")
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The processes of this name, as the host sees them; zombies are none.
    pub fn processes(&self, name: &str) -> Vec<u32> {
        let pids = self.shell("ps -eo pid=,stat=,args=").ok().out;
        let of_name = |line: &str| {
            let mut words = line.split_ascii_whitespace();
            let (pid, stat) = (words.next()?.parse().ok()?, words.next()?);
            let rest = words.collect::<Vec<_>>().join(" ");
            (!stat.starts_with('Z') && rest.contains(name)).then_some(pid)
        };
        pids.lines().filter_map(of_name).collect()
    }

    /// The one process of this name. A node's QEMU starts when the lab is up, so it may come soon.
    #[track_caller]
    pub fn process(&self, name: &str) -> u32 {
        self.until(&format!("there is one process of {name}"), || {
            self.processes(name).len() == 1
        });
        self.processes(name)[0]
    }

    /// Waits until the host is as its inventory was `before`.
    ///
    /// The state directory alone may remain: the inventory does not look at it.
    #[track_caller]
    pub fn is_as_before(&self, before: &str) {
        self.until("nothing is left", || self.inventory() == before);
    }

    /// Everything that a lab could leave behind.
    pub fn inventory(&self) -> String {
        self.shell(
            "ip -o link | sed 's/ qlen.*//'; ip -o addr; ip route show table all; ip rule
             nft list ruleset 2>/dev/null
             cut -d' ' -f4- /proc/self/mountinfo | sort
             find /run -printf '%p %y %l\n' | sort
             ss -Hlntux | grep -v '^nl' | awk '{print $1, $5}' | sort
             ps -eo stat=,comm= | grep -v '^Z' | awk '{print $2}' |
                 grep -E 'nsplay|qemu|dnsmasq|lighttpd|sshd|ipmi_sim|^cat$' | sort
             lsns -n -t net -o NPROCS | wc -l
             sysctl -a 2>/dev/null | grep '^net' | grep -vE 'nf_conntrack_count|tcp_.*metrics'",
        )
        .ok()
        .out
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // With `unshare --kill-child` everything on the host goes with it.
        let _ = self.anchor.kill();
        let _ = self.anchor.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Runs a command to its end.
pub fn ran(command: &mut Command) -> Ran {
    let output = command.output().unwrap();
    let status = output.status;
    Ran {
        code: status
            .code()
            .unwrap_or_else(|| 128 + status.signal().unwrap()),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn scratch() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
}

/// The image, built once for each build of nsplay; test processes that run at once share it.
fn image() -> PathBuf {
    let folder = scratch().join("image");
    let lock = lock_file("image.lock");
    lock.lock().unwrap();
    let made = |path: &Path| path.metadata().and_then(|path| path.modified()).ok();
    if made(&folder.join("manifest.json")) < made(Path::new(env!("CARGO_BIN_EXE_nsplay"))) {
        let built = ran(Command::new(env!("CARGO_BIN_EXE_nsplay"))
            .args(["image", "build", "--json", "--output"])
            .arg(&folder));
        assert_eq!(built.code, 0, "cannot build the image: {}", built.err);
        fs::write(built_image(), built.out).unwrap();
    }
    folder
}

/// What `image build --json` has printed of the image.
pub fn built_image() -> PathBuf {
    scratch().join("image.json")
}

fn lock_file(name: &str) -> File {
    let mut options = File::options();
    let options = options.create(true).truncate(false).write(true);
    options.open(scratch().join(name)).unwrap()
}

/// Waits for a turn to have a host. The lock is the open file's (flock(2)), so threads of one
/// `cargo test` and processes of one `cargo nextest` take turns alike.
fn turn() -> File {
    loop {
        for number in 0..at_once() {
            let turn = lock_file(&format!("turn-{number}.lock"));
            if turn.try_lock().is_ok() {
                return turn;
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
