//! What strings of a compose file mean: variables, ports, volumes.

use std::path::{Component, Path, PathBuf};

use super::super::yaml::Node;

/// `text` with compose's variables spelled as nsplay's, and what had to be changed in them.
pub(super) fn fill(text: &str) -> (String, Option<String>) {
    let (mut filled, mut changed) = (String::new(), None);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        filled += before;
        let begins = |c: char| c.is_ascii_alphabetic() || c == '_';
        let goes_on = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if let Some(after) = after.strip_prefix('$') {
            filled += "$$";
            rest = after;
        } else if let Some(inside) = after.strip_prefix('{') {
            let end = closing(inside).unwrap_or(inside.len());
            let name_end = inside
                .find(|c| !goes_on(c))
                .unwrap_or(inside.len())
                .min(end);
            let (name, with) = (&inside[..name_end], &inside[name_end..end]);
            let default = with.strip_prefix(":-").or_else(|| with.strip_prefix('-'));
            match default {
                Some(default) if default.contains('$') => {
                    changed = Some(format!("${{{name}{with}}}: a default holds no variable"));
                    filled += &format!("${{{name}:-}}");
                }
                Some(default) => filled += &format!("${{{name}:-{default}}}"),
                None if with.is_empty() => filled += &format!("${{{name}:-}}"),
                None if with.starts_with(":?") || with.starts_with('?') => {
                    filled += &format!("${{{name}}}");
                }
                None => {
                    changed = Some(format!("${{{name}{with}}}: nsplay has no such form"));
                    filled += &format!("${{{name}:-}}");
                }
            }
            rest = inside.get(end + 1..).unwrap_or_default();
        } else if after.starts_with(begins) {
            let end = after.find(|c| !goes_on(c)).unwrap_or(after.len());
            filled += &format!("${{{}:-}}", &after[..end]);
            rest = &after[end..];
        } else {
            filled += "$$";
            rest = after;
        }
    }
    (filled + rest, changed)
}

/// The byte of the brace that closes what has been opened.
fn closing(inside: &str) -> Option<usize> {
    let mut open = 1;
    for (at, c) in inside.char_indices() {
        match c {
            '{' => open += 1,
            '}' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Some(at);
        }
    }
    None
}

/// `text` split at colons, except those inside of `${…}` and `[…]`.
fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut inside = 0_usize;
    for c in text.chars() {
        match c {
            '{' | '[' => inside += 1,
            '}' | ']' => inside = inside.saturating_sub(1),
            ':' if inside == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        parts
            .last_mut()
            .expect("there is one from the start")
            .push(c);
    }
    parts
}

/// A published port.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Port {
    /// Where the host listens; variables in it.
    pub(super) host: String,
    /// The port in the container.
    pub(super) inside: u16,
    pub(super) protocol: String,
    /// Whether the file says no address.
    pub(super) everywhere: bool,
}

/// The port that an element of `ports` publishes; none of what publishes a range or a port that
/// Docker chooses.
pub(super) fn port(node: &Node) -> Option<Port> {
    if node.is_table() {
        let field = |key: &str| {
            let text = node.get(key).and_then(|node| node.text())?;
            Some(fill(text).0)
        };
        return build(
            field("host_ip"),
            &field("published")?,
            &field("target")?,
            &field("protocol").unwrap_or_else(|| "tcp".to_owned()),
        );
    }
    let text = fill(node.text()?).0;
    let (text, protocol) = match text.rsplit_once('/') {
        Some((text, protocol)) => (text.to_owned(), protocol.to_owned()),
        None => (text, "tcp".to_owned()),
    };
    match split(&text).as_slice() {
        [published, target] => build(None, published, target, &protocol),
        [address, published, target] => build(Some(address.clone()), published, target, &protocol),
        _ => None,
    }
}

fn build(address: Option<String>, published: &str, target: &str, protocol: &str) -> Option<Port> {
    let address = address.filter(|address| !address.is_empty());
    let is_one = published.starts_with("${") || published.parse::<u16>().is_ok();
    // What a variable inside would be is not known here, its default is.
    let target = match target.split_once(":-") {
        Some((_, default)) => default.trim_end_matches('}'),
        None => target,
    };
    Some(Port {
        everywhere: address.is_none(),
        host: format!("{}:{published}", address.as_deref().unwrap_or("0.0.0.0")),
        inside: target.parse().ok().filter(|_| is_one)?,
        protocol: protocol.to_ascii_lowercase(),
    })
}

/// A folder or a file of the host inside a container.
pub(super) struct Mount {
    /// As a lab file spells it.
    pub(super) source: String,
    pub(super) target: String,
}

/// What an element of `volumes` mounts; none of what is no path of the host.
pub(super) fn mount(node: &Node) -> Option<Mount> {
    let (source, target) = if node.is_table() {
        let field = |key: &str| node.get(key).and_then(|node| node.text());
        (fill(field("source")?).0, fill(field("target")?).0)
    } else {
        let parts = split(&fill(node.text()?).0);
        (parts.first()?.clone(), parts.get(1)?.clone())
    };
    let is_path = source.starts_with(['.', '/', '$']);
    is_path.then_some(Mount { source, target })
}

/// `path` below `folder`, if there is one and `path` is relative.
pub(in super::super) fn joined(folder: Option<&Path>, path: &str) -> String {
    match folder {
        Some(folder) if !path.starts_with(['/', '$']) => {
            let parts: PathBuf = Path::new(path)
                .components()
                .filter(|part| *part != Component::CurDir)
                .collect();
            folder.join(parts).display().to_string()
        }
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::yaml::read;
    use super::*;

    #[test]
    fn variables_become_nsplays() {
        let told: Vec<_> = [
            "$A-${A}",
            "${A:-x}${A-y}",
            "${A:?no}",
            "$$x $ 5",
            "${A:+x}",
            "${A:-${B:-c}}z",
            "${A",
        ]
        .into_iter()
        .map(|text| fill(text).0)
        .collect();
        let expected = [
            "${A:-}-${A:-}",
            "${A:-x}${A:-y}",
            "${A}",
            "$$x $$ 5",
            "${A:-}",
            "${A:-}z",
            "${A:-}",
        ];
        assert_eq!(told, expected);
        assert!(fill("${A:-${B:-c}}").1.is_some(), "what is lost is said");
    }

    #[test]
    fn ports_are_read_in_all_their_forms() {
        let text = "[80, '8080:80', '127.0.0.1:6230:623/udp', '${P:-5901}:5901', '[::1]:1:2', \
            '1000-1002:1000-1002', {target: 22, published: '2222', host_ip: 127.0.0.2}]";
        let node = read("a.yml", text).unwrap();
        let told: Vec<_> = node
            .list()
            .iter()
            .map(|node| match port(node) {
                Some(port) => format!("{}>{}/{}", port.host, port.inside, port.protocol),
                None => "none".to_owned(),
            })
            .collect();
        let expected = [
            "none",
            "0.0.0.0:8080>80/tcp",
            "127.0.0.1:6230>623/udp",
            "0.0.0.0:${P:-5901}>5901/tcp",
            "[::1]:1>2/tcp",
            "none",
            "127.0.0.2:2222>22/tcp",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn paths_follow_the_lab_file() {
        let folder = Some(Path::new("/labs"));
        assert_eq!(joined(folder, "./tftp"), "/labs/tftp");
        assert_eq!(joined(folder, "/srv"), "/srv");
        assert_eq!(joined(None, "./tftp"), "./tftp");
    }
}
