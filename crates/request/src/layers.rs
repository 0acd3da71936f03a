//! The layers of an overlay, of the root's or of a mount's.

use crate::{Field, Text, Wrong};

pub(crate) struct Layers<'a> {
    pub(crate) lowers: &'a [Text],
    pub(crate) upper: Option<&'a Text>,
    pub(crate) work: Option<&'a Text>,
    pub(crate) ephemeral: bool,
}

pub(crate) fn check_layers(at: &Field, layers: &Layers<'_>) -> Result<(), Wrong> {
    let field = |key: &str| at.clone().key(key);
    if let Some(index) = layers.lowers.iter().position(Text::is_empty) {
        return Err(Wrong::range(field("lowers").index(index), "an empty path leads nowhere"));
    }
    match (layers.upper, layers.work, layers.ephemeral) {
        (Some(_), _, true) => Err(Wrong::contradicts(field("ephemeral"), "upper says where writes go")),
        (Some(_), None, _) => Err(Wrong::contradicts(field("upper"), "it needs work, an empty directory beside it")),
        (None, Some(_), _) => Err(Wrong::contradicts(field("work"), "it belongs to upper, which is not there")),
        (Some(path), _, _) if path.is_empty() => Err(Wrong::range(field("upper"), "an empty path leads nowhere")),
        (_, Some(path), _) if path.is_empty() => Err(Wrong::range(field("work"), "an empty path leads nowhere")),
        _ => Ok(()),
    }
}
