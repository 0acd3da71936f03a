//! A range of ids that nobody has.

use crate::range::merged;
use crate::{IdMap, Range};

/// The ids that "Users, Groups, UIDs and GIDs on systemd Systems" (`UIDS-GIDS`) sets aside for
/// containers.
const FIRST: u32 = 524_288;
const LAST: u32 = 1_879_048_191;

/// The same document has a container's ids start at a multiple of this, so that the upper 16 bits
/// name the container and the lower 16 the id inside.
const ALIGNMENT: u32 = 65_536;

/// `count` ids from a multiple of 65536 on, inside 524288..=1879048191, none of them in `taken`.
///
/// That is the range systemd keeps for containers. The search starts at a place that depends on
/// `seed` and goes round, so callers with different seeds rarely want the same range; the same
/// arguments always give the same answer. Nothing is reserved: `taken` has to hold all that is
/// known to be in use ([`taken_by`](crate::taken_by), [`ids_in`](crate::ids_in), running
/// containers), and two callers can still choose the same range at once.
///
/// `None` when there is no such range, or `count` is 0.
pub fn free_range(taken: &[Range], count: u32, seed: u64) -> Option<Range> {
    if count == 0 {
        return None;
    }
    let spare = (LAST - FIRST + 1).checked_sub(count)?;
    let slots = spare / ALIGNMENT + 1;
    let first = u32::try_from(seed % u64::from(slots)).ok()?;
    let taken = merged(taken);
    (0..slots)
        .map(|step| (first + step) % slots)
        .map(|slot| Range { start: FIRST + slot * ALIGNMENT, count })
        .find(|&range| is_free(&taken, range))
}

/// The same where a namespace has only some of the ids: `count` ids that exist in `uids` and in `gids` (their insides), from a
/// multiple of 65536 on, and not the first ones, which are the namespace's own users. Where the range that systemd keeps for
/// containers exists, it is taken from there.
pub fn free_range_in(taken: &[Range], uids: &IdMap, gids: &IdMap, count: u32, seed: u64) -> Option<Range> {
    let all = |map: &IdMap| map.extents().iter().any(|extent| extent.inside == 0 && extent.count == u32::MAX);
    if all(uids) && all(gids) {
        return free_range(taken, count, seed);
    }
    if count == 0 {
        return None;
    }
    let exists = |map: &IdMap, range: Range| {
        map.extents().iter().any(|extent| {
            extent.inside <= range.start
                && u64::from(range.start) + u64::from(range.count) <= u64::from(extent.inside) + u64::from(extent.count)
        })
    };
    let taken = merged(taken);
    let most = uids.extents().iter().map(|extent| u64::from(extent.inside) + u64::from(extent.count)).max()?;
    let slots = u32::try_from(most / u64::from(ALIGNMENT)).ok()?;
    let first = u32::try_from(seed % u64::from(slots.max(1))).ok()?;
    (0..slots)
        .map(|step| (first + step) % slots)
        .filter(|slot| *slot > 0)
        .map(|slot| Range { start: slot * ALIGNMENT, count })
        .find(|&range| exists(uids, range) && exists(gids, range) && is_free(&taken, range))
}

/// `taken` is merged, so the first range that ends after `wanted` starts is the only one to look
/// at.
fn is_free(taken: &[Range], wanted: Range) -> bool {
    let next = taken.partition_point(|range| range.end() <= wanted.start);
    taken.get(next).is_none_or(|range| !range.overlaps(wanted))
}
