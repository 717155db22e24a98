//! A Linux guest that does what a test tells it: the image, started with `nsplay.run`, fetches
//! what there is to do from the lab's web server and prints what came of it.

use std::cell::Cell;
use std::fs;

use crate::host::{Host, Ran};

/// Boots the image at once and has it run the agent.
const MENU: &str = "\
#!ipxe
chain --autofree nsplay/entries.ipxe
kernel ${nsplay-image}/vmlinuz initrd=initrd.img console=ttyS0,115200 quiet cryptomgr.notests nsplay.server=${nsplay-server} nsplay.node=${hostname} nsplay.run=agent || shell
initrd ${nsplay-image}/initrd.img || shell
boot || shell
";

/// Waits for the drivers, which come after the network, and fetches `todo` again and again; its first line has a number that is done once.
const AGENT: &str = r#"
. /run/nsplay.env
until [ -e /dev/ipmi0 ]; do usleep 50000; done
echo "agent is here"
last=none
while :; do
    if wget -q -O /run/todo http://$server/todo 2>/dev/null && read -r _ number </run/todo && [ "$number" != "$last" ]; then
        last=$number
        echo "[$number] begins"
        sh /run/todo >/run/said 2>&1
        code=$?
        while read -r line; do echo "[$number] $line"; done </run/said
        echo "[$number] ends with $code"
    fi
    usleep 100000
done
"#;

/// The guest of `node1` in the lab `default`.
pub struct Guest<'a> {
    host: &'a Host,
    number: Cell<u32>,
}

impl<'a> Guest<'a> {
    /// Brings a lab up whose node boots the image and does as it is told.
    pub fn boot(host: &'a Host) -> Self {
        host.write("webroot/boot.ipxe", MENU);
        host.write("webroot/agent", AGENT);
        host.nsplay(&["up", "-d"]).ok();
        host.prints("node1", "agent is here", 1);
        Self {
            host,
            number: Cell::new(0),
        }
    }

    /// Waits until the guest has come up for the `time`th time.
    #[track_caller]
    pub fn is_up(&self, time: usize) {
        self.host.prints("node1", "agent is here", time);
    }

    /// Has the guest begin a script, which may be the end of it.
    #[track_caller]
    pub fn begins(&self, script: &str) -> u32 {
        let number = self.number.get() + 1;
        self.number.set(number);
        self.host
            .write("todo.new", &format!("# {number}\n{script}\n"));
        let folder = self.host.folder();
        fs::rename(folder.join("todo.new"), folder.join("webroot/todo")).unwrap();
        self.host.prints("node1", &format!("[{number}] begins"), 1);
        // The next boot has nothing to do with it.
        fs::remove_file(folder.join("webroot/todo")).unwrap();
        number
    }

    /// Runs a script to its end; what it printed is in `out`, blanks around its lines left out.
    #[track_caller]
    pub fn runs(&self, script: &str) -> Ran {
        let number = self.begins(script);
        let end = format!("[{number}] ends with ");
        self.host.prints("node1", &end, 1);
        let mark = format!("[{number}] ");
        let lines = self.host.lines("node1");
        let marked = lines
            .iter()
            .filter_map(|line| Some(line.split_once(&mark)?.1.trim()));
        let mut said: Vec<&str> = marked.skip(1).collect();
        let code = said.pop().and_then(|line| line.rsplit(' ').next());
        Ran {
            code: code.unwrap_or_default().parse().unwrap(),
            out: said.join("\n"),
            err: String::new(),
        }
    }
}
