//! A QEMU guest with its serial line and monitor, and a web server for it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// An emulated guest needs 5 s to its banner on an idle machine; this is for a loaded one.
pub const WITHIN: Duration = Duration::from_secs(120);

/// A folder that goes away with its owner.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("nsplay-image-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file below the folder, with the folders above it.
    pub fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.0.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What a thread has collected so far, and a way to wait for more.
#[derive(Clone, Default)]
struct Log(Arc<(Mutex<String>, Condvar)>);

impl Log {
    fn add(&self, text: &str) {
        self.0.0.lock().unwrap().push_str(text);
        self.0.1.notify_all();
    }

    /// Waits until the log has `wanted`, and returns all of it.
    fn wait_for(&self, subject: &str, wanted: &str) -> String {
        let (text, grown) = &*self.0;
        let text = text.lock().unwrap();
        let lacks = |text: &mut String| !text.contains(wanted);
        let (text, waited) = grown.wait_timeout_while(text, WITHIN, lacks).unwrap();
        assert!(
            !waited.timed_out(),
            "{subject} did not have {wanted:?} within {WITHIN:?}; all of it:\n{text}"
        );
        text.clone()
    }
}

/// A running guest; it ends with its owner.
pub struct Guest {
    qemu: Child,
    keys: ChildStdin,
    serial: Log,
    folder: Folder,
}

impl Guest {
    /// Starts QEMU under TCG, on a q35 machine with no cards but those in `arguments`.
    pub fn start(arguments: &[String]) -> Self {
        let folder = Folder::new();
        let qmp = format!("unix:{}/qmp,server=on,wait=off", folder.path().display());
        let mut qemu = Command::new("qemu-system-x86_64")
            .args([
                "-accel", "tcg", "-machine", "q35", "-cpu", "max", "-m", "512",
            ])
            .args([
                "-nodefaults",
                "-vga",
                "std",
                "-display",
                "none",
                "-no-reboot",
            ])
            .args(["-serial", "stdio", "-qmp", &qmp])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("qemu-system-x86_64 has to be installed (apt: qemu-system-x86)");
        let keys = qemu.stdin.take().unwrap();
        let mut output = qemu.stdout.take().unwrap();
        let serial = Log::default();
        let log = serial.clone();
        thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut chunk) {
                log.add(&String::from_utf8_lossy(&chunk[..count]));
            }
        });
        Self {
            qemu,
            keys,
            serial,
            folder,
        }
    }

    /// Waits until `text` is on the serial line, and returns everything that was on it.
    pub fn shows(&self, text: &str) -> String {
        self.serial.wait_for("the serial line", text)
    }

    /// Types a line at the shell on the serial line.
    pub fn types(&mut self, line: &str) {
        self.keys.write_all(line.as_bytes()).unwrap();
        self.keys.write_all(b"\n").unwrap();
    }

    /// Presses the ACPI power button.
    pub fn press_power_button(&self) {
        let mut qmp = UnixStream::connect(self.folder.path().join("qmp")).unwrap();
        let mut answers = BufReader::new(qmp.try_clone().unwrap());
        let mut line = String::new();
        answers.read_line(&mut line).unwrap();
        for command in ["qmp_capabilities", "system_powerdown"] {
            writeln!(qmp, r#"{{"execute":"{command}"}}"#).unwrap();
            answers.read_line(&mut line).unwrap();
        }
        assert!(!line.contains("error"), "QMP refused: {line}");
    }

    /// Waits until the guest has turned itself off.
    pub fn ends(mut self) {
        let deadline = Instant::now() + WITHIN;
        while Instant::now() < deadline {
            if let Some(status) = self.qemu.try_wait().unwrap() {
                assert!(status.success(), "QEMU ended with {status}");
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!(
            "the guest did not end within {WITHIN:?}; {}",
            self.shows("")
        );
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

/// A web server on 127.0.0.1, which a guest behind slirp reaches as 10.0.2.2.
pub struct Web {
    port: u16,
    requests: Log,
}

impl Web {
    /// Serves these files by path; anything else is 404.
    pub fn serve(files: impl FnOnce(&str) -> BTreeMap<String, Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let files = Arc::new(files(&format!("10.0.2.2:{port}")));
        let requests = Log::default();
        let log = requests.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (files, log) = (files.clone(), log.clone());
                thread::spawn(move || answer(stream, &files, &log));
            }
        });
        Self { port, requests }
    }

    /// The address as a guest writes it.
    pub fn address(&self) -> String {
        format!("10.0.2.2:{}", self.port)
    }

    /// Waits until a request line with `text` has come, and returns all requests.
    pub fn is_asked(&self, text: &str) -> String {
        self.requests.wait_for("the web server's requests", text)
    }
}

/// Answers the requests of one connection, which may be several (iPXE) or one (wget).
/// A client that goes away ends it.
fn answer(mut stream: TcpStream, files: &BTreeMap<String, Vec<u8>>, log: &Log) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    while let Some(Ok(request)) = lines.next() {
        log.add(&format!("{request}\n"));
        while !lines.next()?.ok()?.is_empty() {}
        let path = request.split(' ').nth(1)?.trim_start_matches('/');
        let (status, body) = match files.get(path) {
            Some(body) => ("200 OK", body.as_slice()),
            None => ("404 Not Found", &b""[..]),
        };
        let length = body.len();
        write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n"
        )
        .ok()?;
        if !request.starts_with("HEAD ") {
            stream.write_all(body).ok()?;
        }
    }
    None
}
