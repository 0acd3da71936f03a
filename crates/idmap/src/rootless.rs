//! The map an unprivileged user gets from its ranges.

use crate::map::MAX_EXTENTS;
use crate::{Extent, IdMap, Range};

/// Root inside is the caller outside, and the caller's ranges follow from id 1 on, in their order:
/// the map podman makes for a rootless user.
///
/// `own_id` is the caller's uid or gid, `ranges` what [`ranges_for`](crate::ranges_for) found for
/// it. An id that comes twice, or is `own_id`, is mapped where it comes first, so the inside ids
/// cannot run out before the outside ids do.
///
/// `None` when `ranges` add nothing to `own_id` (a map of one id is another promise:
/// [`IdMap::single`], for the caller to choose), when `own_id` is 4294967295, or when there are
/// more than 339 ranges ([`MAX_EXTENTS`]).
pub fn rootless_map(own_id: u32, ranges: &[Range]) -> Option<IdMap> {
    let mut extents = vec![Extent::new(0, own_id, 1).ok()?];
    let mut inside: u32 = 1;
    for range in ranges {
        // The same range by name and by uid is common, and the kernel refuses a map that has it
        // twice.
        let used: Vec<Range> = extents.iter().map(|extent| extent.outside_range()).collect();
        for piece in range.without(&used) {
            extents.push(Extent { inside, outside: piece.start, count: piece.count });
            inside = inside.checked_add(piece.count)?;
        }
        if extents.len() > MAX_EXTENTS {
            return None;
        }
    }
    if extents.len() == 1 {
        return None;
    }
    IdMap::new(extents).ok()
}
