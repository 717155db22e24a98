//! Keys: what is typed on a node's keyboard, as a user spells it and as QEMU calls it.

use qapi::qmp::QKeyCode;
use serde::{Deserialize, Serialize};

/// Keys that are pressed together, by QEMU's names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Press(Vec<String>);

/// Keys with a name, as they are spelled between `<` and `>`, and as QEMU calls them.
const NAMED: &[(&str, &str)] = &[
    ("enter", "ret"),
    ("return", "ret"),
    ("esc", "esc"),
    ("tab", "tab"),
    ("space", "spc"),
    ("backspace", "backspace"),
    ("delete", "delete"),
    ("insert", "insert"),
    ("home", "home"),
    ("end", "end"),
    ("pageup", "pgup"),
    ("pagedown", "pgdn"),
    ("up", "up"),
    ("down", "down"),
    ("left", "left"),
    ("right", "right"),
    ("ctrl", "ctrl"),
    ("alt", "alt"),
    ("shift", "shift"),
    ("super", "meta_l"),
    ("lt", "less"),
];

/// Characters that are typed with a key of another name on a keyboard for US English; those of
/// the second column with the shift key.
const KEYS: &[(char, char, &str)] = &[
    ('1', '!', "1"),
    ('2', '@', "2"),
    ('3', '#', "3"),
    ('4', '$', "4"),
    ('5', '%', "5"),
    ('6', '^', "6"),
    ('7', '&', "7"),
    ('8', '*', "8"),
    ('9', '(', "9"),
    ('0', ')', "0"),
    ('-', '_', "minus"),
    ('=', '+', "equal"),
    ('[', '{', "bracket_left"),
    (']', '}', "bracket_right"),
    ('\\', '|', "backslash"),
    (';', ':', "semicolon"),
    ('\'', '"', "apostrophe"),
    ('`', '~', "grave_accent"),
    (',', '<', "comma"),
    ('.', '>', "dot"),
    ('/', '?', "slash"),
];

impl Press {
    /// QEMU's names of the keys.
    pub fn codes(&self) -> impl Iterator<Item = QKeyCode> {
        let names = self.0.iter();
        names.filter_map(|name| serde_json::from_value(name.as_str().into()).ok())
    }

    fn of(keys: &[&str]) -> Self {
        Self(keys.iter().map(|key| (*key).to_owned()).collect())
    }
}

/// Reads what is to be typed: text, in which `<enter>` and `<ctrl-alt-delete>` are keys.
///
/// # Errors
/// What is no key, and what there is.
pub fn parse(text: &str) -> Result<Vec<Press>, String> {
    let mut presses = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let key = rest.strip_prefix('<').and_then(|rest| rest.split_once('>'));
        if let Some((name, after)) = key {
            presses.push(named(name)?);
            rest = after;
        } else if first == '<' {
            return Err("a `<` begins a key such as <enter>; <lt> types it".to_owned());
        } else {
            presses.push(typed(first).ok_or_else(|| {
                format!("`{first}` cannot be typed: a keyboard for US English has no such key")
            })?);
            rest = &rest[first.len_utf8()..];
        }
    }
    Ok(presses)
}

fn typed(character: char) -> Option<Press> {
    let lower = character.to_ascii_lowercase();
    if lower.is_ascii_lowercase() {
        let key = lower.to_string();
        return Some(match character == lower {
            true => Press::of(&[&key]),
            false => Press::of(&["shift", &key]),
        });
    }
    match character {
        ' ' => return Some(Press::of(&["spc"])),
        '\n' => return Some(Press::of(&["ret"])),
        '\t' => return Some(Press::of(&["tab"])),
        _ => {}
    }
    KEYS.iter().find_map(|(plain, shifted, key)| {
        if *plain == character {
            return Some(Press::of(&[key]));
        }
        (*shifted == character).then(|| Press::of(&["shift", key]))
    })
}

/// `enter`, `f12`, `ctrl-alt-delete`.
fn named(name: &str) -> Result<Press, String> {
    let lower = name.to_ascii_lowercase();
    if lower == "lt" {
        return Ok(Press::of(&["shift", "comma"]));
    }
    let one = |word: &str| {
        if let Some((_, key)) = NAMED.iter().find(|(known, _)| *known == word) {
            return Some((*key).to_owned());
        }
        let function = word.strip_prefix('f').and_then(|n| n.parse::<u8>().ok());
        if let Some(1..=12) = function {
            return Some(word.to_owned());
        }
        let mut characters = word.chars();
        let only = (characters.next()?, characters.next());
        let alone = |c: char| c.is_ascii_alphanumeric();
        matches!(only, (c, None) if alone(c)).then(|| word.to_owned())
    };
    let keys: Option<Vec<String>> = lower.split('-').map(one).collect();
    keys.map(Press).ok_or_else(|| {
        let names: Vec<_> = NAMED.iter().map(|(name, _)| *name).collect();
        format!(
            "no key <{name}>; there are <{}>, <f1> to <f12>, and several at once: <ctrl-alt-delete>",
            names.join(">, <")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_that_can_be_spelled_is_one_of_qemus() {
        let named = NAMED.iter().map(|(name, _)| format!("<{name}>"));
        let functions = (1..=12).map(|n| format!("<f{n}>"));
        let typed = (b' '..0x7f)
            .filter(|b| *b != b'<')
            .map(|b| char::from(b).to_string());
        for text in named.chain(functions).chain(typed) {
            let presses = parse(&text).unwrap();
            assert_eq!(presses.len(), 1, "{text}");
            assert_eq!(presses[0].codes().count(), presses[0].0.len(), "{text}");
        }
    }

    #[test]
    fn text_and_keys_are_told_apart() {
        assert_eq!(
            parse("aB!<enter><ctrl-alt-delete>").unwrap(),
            [
                Press::of(&["a"]),
                Press::of(&["shift", "b"]),
                Press::of(&["shift", "1"]),
                Press::of(&["ret"]),
                Press::of(&["ctrl", "alt", "delete"]),
            ]
        );
        for (text, told) in [
            ("<entr>", "no key <entr>; there are <enter>"),
            ("a < b", "<lt> types it"),
            ("ä", "cannot be typed"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
    }
}
