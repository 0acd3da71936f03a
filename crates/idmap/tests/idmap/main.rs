//! What the crate promises, one sentence a test.

mod extent;
mod files;
mod free;
mod map;
mod passwd;
mod properties;
mod rootless;
mod subid;

use seclude_idmap::{Extent, IdMap, Range};

fn range(start: u32, count: u32) -> Range {
    Range { start, count }
}

fn extent(inside: u32, outside: u32, count: u32) -> Extent {
    Extent { inside, outside, count }
}

fn map(extents: &[(u32, u32, u32)]) -> IdMap {
    IdMap::new(extents.iter().map(|&(i, o, c)| extent(i, o, c)).collect()).unwrap()
}
