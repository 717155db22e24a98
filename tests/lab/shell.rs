//! A shell inside the lab's network.

use crate::host::Host;
use crate::typist::Typist;

#[test]
fn a_shell_says_where_it_is_and_is_there() {
    let host = Host::new();
    host.write("nsplay.toml", "[node.node1]\npower = \"off\"\n");
    host.nsplay(&["up", "-d"]).ok();
    let nsplay = host.spelled();
    let mut shell = Typist::at(&host, &format!("exec {nsplay} shell node1"));
    shell.sees("(default/node1) ");
    shell.types("ip -br -4 addr show br-bmc\r");
    shell.sees("192.168.25.5/24");
    shell.types("echo $((6*7))\r");
    shell.sees("42\r\n");
    shell.types("exit 3\r");
    assert_eq!(shell.ends(), 3);

    let mut shell = Typist::at(&host, &format!("exec {nsplay} shell"));
    shell.sees("(default/fabric) ");
    // It ends with the lab.
    host.nsplay(&["down"]).ok();
    assert_eq!(shell.ends(), 137);
    host.nsplay(&["shell"])
        .fails(2, &["lab `default` is not up"]);
}
