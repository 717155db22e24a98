//! A real ipmi_sim that has the module loaded, a node that the test plays, and
//! ipmitool as its client. Whatever a [`Bmc`] starts and writes ends with it.

use std::fs::{self, File};
use std::io::{BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

/// ipmi_sim binds its port after 20 ms; a loaded machine has needed 1 s.
const READY_WITHIN: Duration = Duration::from_secs(10);

/// How the node deals with questions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// Answers at once.
    Quick,
    /// Never answers.
    Silent,
    /// Answers after the module has given up waiting.
    Late,
}

/// The node's end of the socket: it answers, and remembers what it was asked.
pub struct Node {
    socket: UnixDatagram,
    mood: Arc<Mutex<Mood>>,
    asked: Arc<Mutex<Vec<String>>>,
    thread: Option<JoinHandle<()>>,
}

impl Node {
    fn start(socket: OwnedFd) -> Self {
        let socket = UnixDatagram::from(socket);
        let mood = Arc::new(Mutex::new(Mood::Quick));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let thread = {
            let socket = socket.try_clone().expect("cannot clone the node's socket");
            let (mood, asked) = (Arc::clone(&mood), Arc::clone(&asked));
            thread::spawn(move || answer_questions(&socket, &mood, &asked))
        };
        Self {
            socket,
            mood,
            asked,
            thread: Some(thread),
        }
    }

    pub fn set_mood(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// Returns what was asked since the last call.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    /// Waits until `question` has been asked.
    pub fn is_asked(&self, question: &str) {
        let deadline = Instant::now() + READY_WITHIN;
        let mut asked = Vec::new();
        while !asked.iter().any(|known| known == question) {
            assert!(
                Instant::now() < deadline,
                "`{question}` within {READY_WITHIN:?}: {asked:?}"
            );
            thread::sleep(Duration::from_millis(20));
            asked.extend(self.asked());
        }
    }

    /// Closes the node's end, as the death of nsplay's node would.
    pub fn go_away(&mut self) {
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the node panicked");
        }
    }
}

/// A node's state is what the lab would keep: power, policy, light, boot flags.
fn answer_questions(socket: &UnixDatagram, mood: &Mutex<Mood>, asked: &Mutex<Vec<String>>) {
    let (mut power, mut policy, mut light) = ("off", "previous".to_owned(), "off");
    let mut boot = "0000000000".to_owned();
    let mut clearing = "1f".to_owned();
    let mut watchdog = "idle";
    let mut datagram = [0; 512];
    while let Ok(length @ 1..) = socket.recv(&mut datagram) {
        let text = String::from_utf8(datagram[..length].to_vec()).expect("not ASCII");
        let (seq, question) = text.split_once(' ').expect("a question without a number");
        asked.lock().unwrap().push(question.to_owned());
        let words: Vec<&str> = question.split(' ').collect();
        let answer = match words[..] {
            ["power", "status"] => {
                format!("ok {power} policy={policy} event=ipmi identify={light}")
            }
            ["power", "cycle"] if power == "off" => "error d5".to_owned(),
            ["power", verb] => {
                power = if matches!(verb, "off" | "soft") {
                    "off"
                } else {
                    "on"
                };
                "ok".to_owned()
            }
            ["identify", time] => {
                light = match time {
                    "off" => "off",
                    "force" => "force",
                    _ => "timed",
                };
                "ok".to_owned()
            }
            ["policy", name] => {
                policy = name.to_owned();
                "ok".to_owned()
            }
            ["restart-cause"] => "ok 01 01".to_owned(),
            ["poh"] => "ok 60 100".to_owned(),
            ["boot", "get"] => format!("ok {boot}"),
            ["boot", "set", flags] => {
                boot = flags.to_owned();
                "ok".to_owned()
            }
            ["boot", "clearing"] => format!("ok {clearing}"),
            ["boot", "clearing", bits] => {
                clearing = bits.to_owned();
                "ok".to_owned()
            }
            ["ipmi", "06", "37", ..] => "ok a123456789abcdefa123456789abcdef".to_owned(),
            ["watchdog", "armed"] => {
                watchdog = "armed";
                "ok".to_owned()
            }
            ["watchdog", "status"] => format!("ok {watchdog}"),
            ["watchdog", _] if watchdog == "idle" => "error d5".to_owned(),
            ["watchdog", "nmi"] => "ok".to_owned(),
            ["watchdog", _] => {
                watchdog = "idle";
                "ok".to_owned()
            }
            _ => "error cc".to_owned(),
        };
        let mood = *mood.lock().unwrap();
        if mood == Mood::Late {
            thread::sleep(Duration::from_millis(800));
        }
        if mood != Mood::Silent {
            let _ = socket.send(format!("{seq} {answer}").as_bytes());
        }
    }
}

/// ipmi_sim with the module, on a UDP port of 127.0.0.1.
pub struct Bmc {
    pub node: Node,
    sim: Child,
    port: u16,
    kcs_port: u16,
    dir: Scratch,
}

impl Bmc {
    pub fn start() -> Self {
        let dir = Scratch::new();
        let (port, kcs_port) = unused_ports();
        let module = module();
        let (ours, theirs) = socketpair(
            AddressFamily::Unix,
            SockType::SeqPacket,
            None,
            SockFlag::SOCK_CLOEXEC,
        )
        .expect("cannot make a socketpair");
        let sim = start_sim(
            &dir.0,
            &lan_conf(port, kcs_port, module, "fd=3"),
            theirs,
            None,
        );
        let mut bmc = Self {
            node: Node::start(ours),
            sim,
            port,
            kcs_port,
            dir,
        };
        bmc.wait_until_ready();
        bmc
    }

    /// Runs ipmitool over IPMI 1.5.
    pub fn lan(&self, args: &str) -> Answer {
        self.ipmitool(&["-I", "lan"], args)
    }

    /// Runs ipmitool over IPMI 2.0 with cipher suite 3.
    pub fn lanplus(&self, args: &str) -> Answer {
        self.ipmitool(&["-I", "lanplus", "-C", "3"], args)
    }

    /// Runs ipmitool with these words first.
    pub fn ipmitool(&self, first: &[&str], args: &str) -> Answer {
        let port = self.port.to_string();
        let started = Instant::now();
        let output = run(Command::new("ipmitool")
            .args(first)
            .args(["-H", "127.0.0.1", "-p", &port, "-U", "admin", "-P", "admin"])
            .args(args.split_whitespace()));
        Answer {
            stdout: String::from_utf8_lossy(&output.stdout).trim().to_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            success: output.status.success(),
            took: started.elapsed(),
        }
    }

    /// Connects as QEMU does for its guest; ipmi_sim takes one connection at a time.
    pub fn kcs(&self) -> Kcs {
        let kcs = TcpStream::connect(("127.0.0.1", self.kcs_port)).expect("no KCS interface");
        kcs.set_read_timeout(Some(READY_WITHIN)).unwrap();
        Kcs(kcs)
    }

    pub fn is_alive(&mut self) -> bool {
        matches!(self.sim.try_wait(), Ok(None))
    }

    /// Returns what ipmi_sim and the module wrote to stderr.
    pub fn stderr(&self) -> String {
        fs::read_to_string(self.dir.0.join("stderr")).unwrap_or_default()
    }

    /// Returns the flags of ipmi_sim's end of the socket, as open(2) has them.
    pub fn socket_flags(&self) -> u32 {
        let path = format!("/proc/{}/fdinfo/3", self.sim.id());
        let info = fs::read_to_string(path).expect("ipmi_sim lost its socket");
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
        u32::from_str_radix(flags.expect("no flags").trim(), 8).expect("flags are octal")
    }

    /// Waits for the pong that answers an ASF ping.
    fn wait_until_ready(&mut self) {
        const PING: [u8; 12] = [0x06, 0, 0xff, 0x06, 0, 0, 0x11, 0xbe, 0x80, 0, 0, 0];

        let probe = UdpSocket::bind("127.0.0.1:0").expect("cannot open a probe socket");
        probe
            .set_read_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        let deadline = Instant::now() + READY_WITHIN;
        while Instant::now() < deadline && self.is_alive() {
            let _ = probe.send_to(&PING, ("127.0.0.1", self.port));
            if probe.recv(&mut [0; 64]).is_ok() {
                return;
            }
        }
        panic!("ipmi_sim answered no ping; its stderr: {}", self.stderr());
    }
}

impl Drop for Bmc {
    fn drop(&mut self) {
        let _ = self.sim.kill();
        let _ = self.sim.wait();
        self.node.go_away();
    }
}

/// The interface of the guest.
pub struct Kcs(TcpStream);

impl Kcs {
    /// Sends one request, and returns the answer, completion code first: sequence, network
    /// function, command, data, checksum, with A0h as the end.
    pub fn ask(&mut self, netfn: u8, command: u8, data: &[u8]) -> Vec<u8> {
        const END: u8 = 0xa0;
        const END_OF_COMMAND: u8 = 0xa1;
        const ESCAPE: u8 = 0xaa;

        let mut request = vec![1, netfn << 2, command];
        request.extend(data);
        let sum = request
            .iter()
            .fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
        request.extend([sum.wrapping_neg(), END]);
        self.0.write_all(&request).unwrap();
        let (mut answer, mut escaped) = (Vec::new(), false);
        for byte in BufReader::new(&self.0).bytes() {
            match byte.expect("ipmi_sim does not answer") {
                END => break,
                // Something else that QEMU is told, such as the protocol's version.
                END_OF_COMMAND => answer.clear(),
                ESCAPE => escaped = true,
                byte => {
                    answer.push(if escaped { byte & !0x10 } else { byte });
                    escaped = false;
                }
            }
        }
        let checksum = answer.len().saturating_sub(1);
        answer.get(3..checksum).unwrap_or_default().to_vec()
    }
}

/// What ipmitool said.
#[derive(Debug)]
pub struct Answer {
    pub stdout: String,
    pub stderr: String,
    pub success: bool,
    pub took: Duration,
}

/// Starts an ipmi_sim that must refuse its configuration; returns its stderr.
///
/// The library `preload` joins its functions.
pub fn refusal(options: &str, preload: Option<&Path>) -> String {
    let dir = Scratch::new();
    let (port, kcs_port) = unused_ports();
    let (_ours, theirs) = socketpair(
        AddressFamily::Unix,
        SockType::SeqPacket,
        None,
        SockFlag::SOCK_CLOEXEC,
    )
    .expect("cannot make a socketpair");
    let conf = lan_conf(port, kcs_port, module(), options);
    let mut sim = start_sim(&dir.0, &conf, theirs, preload);
    let deadline = Instant::now() + READY_WITHIN;
    while matches!(sim.try_wait(), Ok(None)) && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(5));
    }
    let _ = sim.kill();
    let status = sim.wait().expect("cannot wait for ipmi_sim");
    let stderr = fs::read_to_string(dir.0.join("stderr")).unwrap_or_default();
    assert!(
        status.code().is_some_and(|code| code != 0),
        "{status}: {stderr}"
    );
    stderr
}

/// Builds a library that makes ipmi_sim look as if it had function `name`.
pub fn library_with(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let file = dir.join(format!("nsplay-with-{name}.so"));
    let source = file.with_extension("rs");
    fs::write(
        &source,
        format!("#[unsafe(no_mangle)] pub extern \"C\" fn {name}() {{}}"),
    )
    .expect("cannot write a source file");
    compile(&source, &file);
    file
}

/// Builds the module once, by the command that nsplay's build script uses.
pub fn module() -> &'static Path {
    static MODULE: OnceLock<PathBuf> = OnceLock::new();
    MODULE.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs");
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("nsplay-module.so");
        compile(&root, &file);
        file
    })
}

fn compile(source: &Path, file: &Path) {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = run(Command::new(rustc)
        .args(["--edition", "2024", "--crate-type", "cdylib"])
        .args(["-C", "opt-level=2", "-C", "panic=abort", "-o"])
        .args([file, source]));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success() && said.is_empty(),
        "plain rustc says: {said}"
    );
}

fn start_sim(dir: &Path, lan_conf: &str, socket: OwnedFd, preload: Option<&Path>) -> Child {
    fs::write(dir.join("lan.conf"), lan_conf).expect("cannot write lan.conf");
    let emu = "mc_setbmc 0x20\n\
               mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02\n\
               sel_enable 0x20 1000 0x0a\n\
               sensor_add 0x20 0 0 35 0x6f event-only\n\
               mc_enable 0x20\n";
    fs::write(dir.join("node.emu"), emu).expect("cannot write node.emu");
    let log = |name| File::create(dir.join(name)).expect("cannot create a log file");
    drop(log("stderr"));
    // std passes a child no descriptor but the first three. So the socket comes
    // as stderr, and the shell moves it before it turns into ipmi_sim.
    let mut child = Command::new("sh")
        .args([
            "-c",
            r#"exec 3>&2 2>stderr; exec ipmi_sim -c lan.conf -f node.emu -s state"#,
        ])
        .envs(preload.map(|library| ("LD_PRELOAD", library)))
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(log("stdout"))
        .stderr(Stdio::from(socket))
        .spawn()
        .unwrap_or_else(|error| panic!("cannot run ipmi_sim (Debian: openipmi): {error}"));
    if let Some(stdin) = &mut child.stdin {
        let _ = stdin.write_all(b"noecho\n");
    }
    child
}

fn lan_conf(port: u16, kcs_port: u16, module: &Path, options: &str) -> String {
    let module = module.display();
    format!(
        r#"name "node"
loadlib "{module}" "{options}"
set_working_mc 0x20
  startlan 1
    addr 127.0.0.1 {port}
    priv_limit admin
    allowed_auths_callback none md2 md5 straight
    allowed_auths_user none md2 md5 straight
    allowed_auths_operator none md2 md5 straight
    allowed_auths_admin none md2 md5 straight
    guid a123456789abcdefa123456789abcdef
  endlan
  serial kcs 127.0.0.1 {kcs_port} codec VM
  sol "tcp:127.0.0.1:9" 115200
  user 1 false "" "" user 10 none md2 md5 straight
  user 2 true "admin" "admin" admin 10 none md2 md5 straight
"#
    )
}

/// A directory that is gone when the test is over, however it ends.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);

        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("nsplay-module-{}-{number}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        fs::create_dir(&dir).expect("cannot create a directory");
        Self(dir)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Returns a UDP and a TCP port that nobody had a moment ago.
fn unused_ports() -> (u16, u16) {
    let udp = UdpSocket::bind("127.0.0.1:0").expect("cannot bind a UDP port");
    let tcp = TcpListener::bind("127.0.0.1:0").expect("cannot bind a TCP port");
    (
        udp.local_addr().unwrap().port(),
        tcp.local_addr().unwrap().port(),
    )
}

/// Runs a program to its end. One that is missing fails the test.
fn run(command: &mut Command) -> Output {
    command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("cannot run {:?}: {error}", command.get_program()))
}
