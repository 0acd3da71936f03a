//! The request as it is put together.

use seclude::request::{Field, Part, Value, snake};

use super::names::below;

/// What is there already.
pub(super) fn at<'a>(tree: &'a Value, field: &Field) -> Option<&'a Value> {
    field.parts().iter().try_fold(tree, |tree, part| below(tree, part).map(|(_, value)| value))
}

/// The place of a field, made where it is not; none in what is neither an object nor a list, and is refused as that.
pub(super) fn slot<'a>(tree: &'a mut Value, parts: &[Part]) -> Option<&'a mut Value> {
    let [part, rest @ ..] = parts else { return Some(tree) };
    // Off is as much as not there.
    if matches!(tree, Value::Null | Value::Bool(false)) {
        *tree = match part {
            Part::Key(_) => Value::Object(Vec::new()),
            Part::Index(_) => Value::List(Vec::new()),
        };
    }
    let next = match (tree, part) {
        (Value::Object(entries), Part::Key(key)) => {
            let place = entries.iter().position(|(name, _)| snake(name) == *key).unwrap_or_else(|| {
                entries.push((key.clone(), Value::Null));
                entries.len() - 1
            });
            &mut entries[place].1
        }
        (Value::List(items), Part::Index(index)) => {
            if *index >= items.len() {
                items.resize(index + 1, Value::Null);
            }
            &mut items[*index]
        }
        _ => return None,
    };
    slot(next, rest)
}

/// Takes a key out that is `false`.
pub(super) fn leave(tree: &mut Value, field: &Field) -> bool {
    if at(tree, field) != Some(&Value::Bool(false)) {
        return false;
    }
    match (field.parts().last(), slot(tree, field.above().parts())) {
        (Some(Part::Key(key)), Some(Value::Object(entries))) => {
            entries.retain(|(name, value)| *value != Value::Bool(false) || (name != key && snake(name) != *key));
            true
        }
        _ => false,
    }
}
