//! What can be wrong with an extent, a map or a file; every message is one line.

use std::fmt;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::Extent;

/// One of the three numbers of an extent, as `user_namespaces(7)` orders them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// The first id inside the namespace.
    Inside,
    /// The first id outside the namespace.
    Outside,
    /// How many ids.
    Count,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Field::Inside => "IN (first id inside)",
            Field::Outside => "OUT (first id outside)",
            Field::Count => "LEN (number of ids)",
        })
    }
}

/// A side of the namespace's border.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Ids as the processes in the namespace see them.
    Inside,
    /// Ids as the parent namespace sees them.
    Outside,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::Inside => "inside",
            Side::Outside => "outside",
        })
    }
}

/// Why three numbers are not an [`Extent`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ExtentError {
    /// There are not exactly three fields.
    #[error("expected the three numbers IN:OUT:LEN, found {found}")]
    Shape {
        /// How many fields there are.
        found: usize,
    },
    /// A field is not a decimal number that fits 32 bits.
    #[error("{field} is {value:?}, expected a decimal number up to 4294967295")]
    Number {
        /// Which field.
        field: Field,
        /// The field's text, at most its first 32 characters.
        value: String,
    },
    /// The extent has no ids.
    #[error("{} is 0, expected at least 1", Field::Count)]
    Zero,
    /// The extent reaches 4294967295, which means "no id", or goes beyond it.
    #[error("{field} {start} with LEN {count} passes 4294967294, the last id there is")]
    PastLast {
        /// The field the range starts with: inside or outside.
        field: Field,
        /// The first id of the range.
        start: u32,
        /// How many ids.
        count: u32,
    },
}

/// Why a list of extents is not an [`IdMap`](crate::IdMap). The kernel would answer `EINVAL` to
/// each.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MapError {
    /// There is no extent.
    #[error("an id map needs at least one extent")]
    Empty,
    /// There are more extents than the kernel takes.
    #[error("{found} extents in an id map, the kernel takes at most 340 (5 before Linux 4.15)")]
    TooMany {
        /// How many there are.
        found: usize,
    },
    /// An extent is not valid by itself.
    #[error("extent {extent}: {source}")]
    Extent {
        /// The extent.
        extent: Extent,
        /// What is wrong with it.
        source: ExtentError,
    },
    /// An id would be mapped twice.
    #[error("extents {first} and {second} overlap {side} the namespace")]
    Overlap {
        /// Where they overlap.
        side: Side,
        /// The one that comes first in the list.
        first: Extent,
        /// The one that comes later.
        second: Extent,
    },
    /// A line of `/proc/PID/uid_map` or `gid_map` is not an extent.
    #[error("line {line} of the id map: {source}")]
    Line {
        /// The line's number, from 1.
        line: usize,
        /// What is wrong with it.
        source: ExtentError,
    },
}

/// A file that could not be read.
#[derive(Debug, Error)]
#[error("cannot read {}: {source}", path.display())]
pub struct FileError {
    /// The file.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}
