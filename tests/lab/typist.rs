//! Somebody at a terminal.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::host::{Host, PATIENCE};

/// Somebody at a terminal, which script(1) makes.
pub struct Typist {
    pub child: Child,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl Typist {
    pub fn at(host: &Host, command: &str) -> Self {
        // -e: its exit code is the command's.
        Self::of(host.bounded("script").args(["-qec", command, "/dev/null"]))
    }

    pub fn of(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (mut from, to) = (child.stdout.take().unwrap(), Arc::clone(&seen));
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = from.read(&mut buffer) {
                to.lock().unwrap().extend(&buffer[..read]);
            }
        });
        Self { child, seen }
    }

    pub fn seen(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap()).into_owned()
    }

    pub fn types(&mut self, keys: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(keys.as_bytes()).unwrap();
        stdin.flush().unwrap();
    }

    #[track_caller]
    pub fn sees(&self, text: &str) {
        self.sees_times(text, 1);
    }

    #[track_caller]
    pub fn sees_times(&self, text: &str, times: usize) {
        let end = Instant::now() + PATIENCE;
        while self.seen().matches(text).count() < times {
            let seen = self.seen();
            assert!(Instant::now() < end, "no {text:?} {times} times in: {seen}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Has the guest multiply, whose shell answers.
    #[track_caller]
    pub fn asks(&mut self, a: u32, b: u32) {
        self.types(&format!("echo $(({a}*{b}))\r"));
        self.sees(&format!("\n{}\r\n", a * b));
    }

    /// Waits for the end and returns the exit code.
    #[track_caller]
    pub fn ends(&mut self) -> i32 {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            assert!(Instant::now() < end, "it does not end: {}", self.seen());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Typist {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
