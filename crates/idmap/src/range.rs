//! A run of consecutive ids.

/// `count` ids from `start` on, as a line of `subuid(5)` grants them.
///
/// 4294967295 is not an id (it means "no id"), so a range that reaches it ends before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Range {
    /// The first id.
    pub start: u32,
    /// How many ids; a range of 0 contains nothing and overlaps nothing.
    pub count: u32,
}

impl Range {
    /// Whether `id` is one of these.
    pub fn contains(self, id: u32) -> bool {
        self.start <= id && id < self.end()
    }

    /// Whether any id is in both.
    pub fn overlaps(self, other: Range) -> bool {
        self.start.max(other.start) < self.end().min(other.end())
    }

    /// The id after the last one. Saturating loses nothing: `u32::MAX` is not an id.
    pub(crate) fn end(self) -> u32 {
        self.start.saturating_add(self.count)
    }

    pub(crate) fn between(start: u32, end: u32) -> Range {
        Range { start, count: end.saturating_sub(start) }
    }

    /// What is left of this range, in order, when the ids of `used` are taken out.
    pub(crate) fn without(self, used: &[Range]) -> Vec<Range> {
        let mut left = Vec::new();
        let mut next = self.start;
        for hole in merged(used).into_iter().filter(|hole| hole.overlaps(self)) {
            left.push(Range::between(next, hole.start));
            next = hole.end();
        }
        left.push(Range::between(next, self.end()));
        left.retain(|range| range.count > 0);
        left
    }
}

/// The same ids in as few ranges as possible, ascending: overlapping and adjacent ranges become
/// one.
pub(crate) fn merged(ranges: &[Range]) -> Vec<Range> {
    let mut sorted: Vec<Range> = ranges.iter().copied().filter(|range| range.start < range.end()).collect();
    sorted.sort_unstable();
    let mut merged: Vec<Range> = Vec::new();
    for range in sorted {
        match merged.last_mut() {
            Some(last) if range.start <= last.end() => {
                *last = Range::between(last.start, last.end().max(range.end()));
            }
            _ => merged.push(Range::between(range.start, range.end())),
        }
    }
    merged
}
