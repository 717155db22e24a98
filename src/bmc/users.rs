//! The users of a BMC and their privilege limits, as ipmi_sim has them now.

use std::path::PathBuf;

use super::ipmi_sim;
use crate::files;
use crate::lab::{Node, Privilege};

/// ipmi_sim's file has a few hundred bytes for each of 63 users.
const LARGEST: u64 = 64 << 10;

/// Privilege levels as a session asks for them (IPMI 2.0, table 13-10).
#[must_use]
pub fn level(privilege: Privilege) -> u8 {
    match privilege {
        Privilege::Callback => 1,
        Privilege::User => 2,
        Privilege::Operator => 3,
        Privilege::Administrator => 4,
    }
}

/// Who may do what.
#[derive(Clone, Debug)]
pub struct Users {
    /// The lab file's, which are ipmi_sim's until a client changes them.
    given: Vec<(String, u8)>,
    /// What ipmi_sim writes within a second of a change, and reads when it starts.
    changed: PathBuf,
}

impl Users {
    /// The users of the BMC of `node`.
    #[must_use]
    pub fn of(node: &Node) -> Self {
        let administrator = (node.bmc.user.clone(), level(Privilege::Administrator));
        let others = node.bmc.users.iter();
        let others = others.map(|user| (user.name.clone(), level(user.privilege)));
        Self {
            given: std::iter::once(administrator).chain(others).collect(),
            changed: ipmi_sim::users_file(node),
        }
    }

    /// The highest level that sessions of the user `name` may have; none for one that is unknown.
    #[must_use]
    pub fn limit(&self, name: &[u8]) -> Option<u8> {
        // Who has broken into ipmi_sim may have put anything there.
        let changed = files::read(&self.changed, LARGEST).ok();
        let changed = changed.map(|text| read(&text));
        let users = changed.as_ref().unwrap_or(&self.given);
        let found = users.iter().find(|(user, _)| user.as_bytes() == name);
        found.map(|(_, level)| *level)
    }
}

/// Reads names and levels from ipmi_sim's file: lines such as `5.privilege:i:3` and
/// `5.username:d:fred\00\00`, in which a backslash and two hex digits are a byte.
fn read(text: &[u8]) -> Vec<(String, u8)> {
    let text = String::from_utf8_lossy(text);
    let values = |key: &str| -> Vec<(&str, &str)> {
        text.lines()
            .filter_map(|line| {
                let (number, rest) = line.split_once('.')?;
                let value = rest.strip_prefix(key)?;
                Some((number, value))
            })
            .collect()
    };
    let levels = values("privilege:i:");
    values("username:d:")
        .into_iter()
        .filter_map(|(number, name)| {
            let name = unescaped(name);
            let (_, level) = levels.iter().find(|(other, _)| *other == number)?;
            (!name.is_empty()).then_some((name, level.parse().ok()?))
        })
        .collect()
}

fn unescaped(text: &str) -> String {
    let mut name = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        name.push_str(before);
        let byte = after
            .get(..2)
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match byte {
            Some(0) | None => return name,
            Some(byte) => name.push(char::from(byte)),
        }
        rest = &after[2..];
    }
    name.push_str(rest);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_read_as_ipmi_sim_writes_them() {
        let text = b"5.privilege:i:3\n5.passwd:d:x\\00\n5.username:d:fred\\00\\00\n5.valid:i:1\n\
            3.privilege:i:0\n3.username:d:\\00\\00\n2.username:d:a\\3ab\\00\n2.privilege:i:4\n";
        let users = read(text);
        assert_eq!(users, [("fred".to_owned(), 3), ("a:b".to_owned(), 4)]);
        assert_eq!(read(b"\xff\n.\n1.username:d:\\zz\n"), []);
    }
}
