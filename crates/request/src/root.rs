//! What the process sees as `/`.

use serde::{Deserialize, Serialize};

use crate::layers::{Layers, check_layers};
use crate::{Field, Text, Wrong, is_default};

/// The root of the container; it needs a new mount namespace. Without `path` and `lowers` it is what the preset shows of the host:
/// in the sandbox its programs and their configuration, else all of its tree.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Root {
    /// The directory of the host that becomes `/`, with what is mounted below it.
    #[serde(skip_serializing_if = "is_default")]
    pub path: Option<Text>,
    /// Several directories as one, overlayfs: the first wins over the next. Users may mount overlays from Linux 5.11 on.
    #[serde(skip_serializing_if = "is_default")]
    pub lowers: Vec<Text>,
    /// Where writes go, and stay; it belongs to `lowers` or `path`.
    #[serde(skip_serializing_if = "is_default")]
    pub upper: Option<Text>,
    /// An empty directory of the same file system as `upper`, for the kernel's use.
    #[serde(skip_serializing_if = "is_default")]
    pub work: Option<Text>,
    /// Writes go to memory and are gone at the end. Of the host's own tree these are read-only: single files next to mount points,
    /// views of the kernel, and what it takes for no layer, which the report names. Default: false.
    #[serde(skip_serializing_if = "is_default")]
    pub ephemeral: bool,
    /// Nothing can be written to it (EROFS). Default: in the sandbox true, unless writes go to an upper or to memory.
    #[serde(skip_serializing_if = "is_default")]
    pub read_only: Option<bool>,
}

impl Root {
    pub(crate) fn check(&self) -> Result<(), Wrong> {
        let at = Field::of("root");
        if self.path.is_some() && !self.lowers.is_empty() {
            return Err(Wrong::contradicts(at.key("lowers"), "root.path says another root"));
        }
        if self.path.as_ref().is_some_and(Text::is_empty) {
            return Err(Wrong::range(at.key("path"), "an empty path leads nowhere"));
        }
        let Root { lowers, upper, work, ephemeral, .. } = self;
        check_layers(&at, &Layers { lowers, upper: upper.as_ref(), work: work.as_ref(), ephemeral: *ephemeral })
    }
}
