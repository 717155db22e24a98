//! Tables over tables: what goes before what, and where each value is from.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Lays `over` on `base`: tables merge key by key, all else of `over` takes the place of what was.
///
/// A table that both have keeps the earlier byte of its two keys: its place is where it is
/// mentioned first.
pub(super) fn merge<'t>(base: &mut DeTable<'t>, over: DeTable<'t>) {
    for (key, value) in over {
        let Some((old_key, old)) = base.remove_entry(key.get_ref().as_ref()) else {
            base.insert(key, value);
            continue;
        };
        let (old_span, span) = (old.span(), value.span());
        match (old.into_inner(), value.into_inner()) {
            (DeValue::Table(mut tables), DeValue::Table(value)) => {
                merge(&mut tables, value);
                let key = match old_key.span().start <= key.span().start {
                    true => old_key,
                    false => key,
                };
                base.insert(key, Spanned::new(old_span, DeValue::Table(tables)));
            }
            (_, value) => {
                base.insert(key, Spanned::new(span, value));
            }
        }
    }
}

/// The bytes of all keys and values in `table`.
pub(super) fn bytes(table: &DeTable) -> Vec<usize> {
    let mut bytes = Vec::new();
    for (key, value) in table {
        bytes.push(key.span().start);
        add_bytes(value, &mut bytes);
    }
    bytes
}

fn add_bytes(value: &Spanned<DeValue>, to: &mut Vec<usize>) {
    to.push(value.span().start);
    match value.get_ref() {
        DeValue::Table(table) => to.extend(bytes(table)),
        DeValue::Array(elements) => elements.iter().for_each(|value| add_bytes(value, to)),
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => {}
    }
}
