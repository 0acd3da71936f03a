//! The id map of one user namespace.

use crate::{Extent, ExtentError, MapError, Range, Side};

/// The most extents a map may have: what Linux 4.15 and later take. Before that the limit was 5.
pub const MAX_EXTENTS: usize = 340;

/// A list of extents that the kernel accepts as `/proc/PID/uid_map` or `gid_map`.
///
/// `==` looks at the order of the extents too; [`IdMap::same_as`] does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdMap {
    extents: Vec<Extent>,
}

impl IdMap {
    /// A map of these extents, in this order.
    ///
    /// # Errors
    /// [`MapError`] where the kernel would say `EINVAL` without saying why: no extent, more than
    /// [`MAX_EXTENTS`], an extent that is not valid by itself, two extents that share an id on a
    /// side.
    pub fn new(extents: Vec<Extent>) -> Result<IdMap, MapError> {
        if extents.is_empty() {
            return Err(MapError::Empty);
        }
        if extents.len() > MAX_EXTENTS {
            return Err(MapError::TooMany { found: extents.len() });
        }
        for (index, &second) in extents.iter().enumerate() {
            second.check().map_err(|source| MapError::Extent { extent: second, source })?;
            for &first in &extents[..index] {
                if let Some(side) = shared(first, second) {
                    return Err(MapError::Overlap { side, first, second });
                }
            }
        }
        Ok(IdMap { extents })
    }

    /// The map of one id, the only kind an unprivileged process may write without a helper.
    ///
    /// Its `gid_map` can then only be written after `deny` went to `/proc/PID/setgroups` (Linux
    /// 3.19).
    ///
    /// # Errors
    /// [`MapError::Extent`] when an id is 4294967295, which is not an id.
    pub fn single(inside: u32, outside: u32) -> Result<IdMap, MapError> {
        IdMap::new(vec![Extent { inside, outside, count: 1 }])
    }

    /// Every id to itself, `0:0:4294967295`: the map of the initial namespace. Needs privilege to
    /// write.
    pub fn full() -> IdMap {
        IdMap { extents: vec![Extent { inside: 0, outside: 0, count: u32::MAX }] }
    }

    /// The extents, in the order they were given or read.
    pub fn extents(&self) -> &[Extent] {
        &self.extents
    }

    /// What the parent namespace calls `inside_id`; `None` when it is not mapped.
    pub fn outside_of(&self, inside_id: u32) -> Option<u32> {
        let extent = self.extents.iter().find(|e| e.inside_range().contains(inside_id))?;
        Some(extent.outside + (inside_id - extent.inside))
    }

    /// What the namespace calls `outside_id`; `None` when it is not mapped (the processes inside
    /// then see the overflow id, 65534).
    pub fn inside_of(&self, outside_id: u32) -> Option<u32> {
        let extent = self.extents.iter().find(|e| e.outside_range().contains(outside_id))?;
        Some(extent.inside + (outside_id - extent.outside))
    }

    /// Whether this maps exactly one id, so that no helper is needed.
    pub fn is_single(&self) -> bool {
        matches!(self.extents[..], [Extent { count: 1, .. }])
    }

    /// The lines to write to `/proc/PID/uid_map` or `gid_map`.
    ///
    /// They must go in one `write(2)` at offset 0: the kernel takes a map once, and a second write
    /// gets `EPERM`. The text must also be shorter than a page (4096 bytes on most machines,
    /// `EINVAL` otherwise), which long numbers reach well before [`MAX_EXTENTS`] lines; the
    /// helpers have the same limit.
    pub fn to_kernel_text(&self) -> String {
        self.extents.iter().map(|e| format!("{} {} {}\n", e.inside, e.outside, e.count)).collect()
    }

    /// The arguments of `newuidmap(1)` and `newgidmap(1)` that follow the pid, three per extent.
    pub fn to_helper_args(&self) -> Vec<String> {
        self.extents.iter().flat_map(|e| [e.inside, e.outside, e.count]).map(|number| number.to_string()).collect()
    }

    /// Reads `/proc/PID/uid_map` or `gid_map` back: three numbers a line, padded with blanks.
    ///
    /// The outside ids are as the reading process's namespace sees them.
    ///
    /// # Errors
    /// [`MapError::Empty`] when no map was written yet; [`MapError::Line`] for a line that is no
    /// extent. A map seen from a namespace that has no name for its outside ids is one of
    /// these: the kernel shows 4294967295 there.
    pub fn parse_kernel_text(text: &str) -> Result<IdMap, MapError> {
        let parse = |line: &str| -> Result<Extent, ExtentError> {
            Extent::from_fields(&line.split_ascii_whitespace().collect::<Vec<_>>())
        };
        let extents: Result<Vec<Extent>, MapError> = (1..)
            .zip(text.lines())
            .map(|(line, text)| parse(text).map_err(|source| MapError::Line { line, source }))
            .collect();
        IdMap::new(extents?)
    }

    /// Whether both have the same extents in any order: the kernel sorts a map of more than five,
    /// so what is read back need not be `==` to what was written.
    pub fn same_as(&self, other: &IdMap) -> bool {
        let sorted = |map: &IdMap| {
            let mut extents = map.extents.clone();
            extents.sort_unstable();
            extents
        };
        sorted(self) == sorted(other)
    }
}

fn shared(first: Extent, second: Extent) -> Option<Side> {
    let overlap = |range: fn(Extent) -> Range| range(first).overlaps(range(second));
    if overlap(Extent::inside_range) {
        Some(Side::Inside)
    } else if overlap(Extent::outside_range) {
        Some(Side::Outside)
    } else {
        None
    }
}
