//! `/etc/subuid` and `/etc/subgid`: who may map which ids (`subuid(5)`, `subgid(5)`).

use crate::range::merged;
use crate::{Extent, IdMap, Range};

/// shadow-utils copies a line into a buffer of this many bytes, terminator included.
const LINE_BUFFER: usize = 1024;

/// The ranges that the text of `/etc/subuid` or `/etc/subgid` gives a user, in the file's order.
///
/// A line counts when its first field is `user_name`, or `uid` in plain decimal. In both files that
/// is the *user*; `/etc/subgid` does not know groups. `user_name` is `None` when the uid has no
/// name.
///
/// Lines that shadow-utils skips are skipped: fewer than three fields, an empty field, a number
/// with anything after it (so every line of a file with CRLF ends), 1024 bytes or more, a leading
/// `+` or `-`. Numbers may be octal (`010`) or hexadecimal (`0x10`), as there. Comments have no
/// meaning of their own.
///
/// Not seen here: ranges from an NSS plugin (`subid:` in `nsswitch.conf(5)`), and lines for another
/// name of the same uid.
pub fn ranges_for(text: &str, user_name: Option<&str>, uid: u32) -> Vec<Range> {
    let uid = uid.to_string();
    entries(text).filter(|(owner, _)| *owner == uid || Some(*owner) == user_name).map(|(_, range)| range).collect()
}

/// All ranges of all users in the text of `/etc/subuid` or `/etc/subgid`, in the file's order.
///
/// `#` in front of a line does not hide it, as in `useradd(8)` when it looks for a free range.
pub fn taken_by(text: &str) -> Vec<Range> {
    entries(text).map(|(_, range)| range).collect()
}

/// Whether all outside ids of `extent` are in `ranges`; it may span ranges that touch each other.
///
/// An extent that is not valid by itself is not covered.
pub fn covers(ranges: &[Range], extent: Extent) -> bool {
    covered_by(&merged(ranges), extent)
}

/// The first extent of `map` that `newuidmap(1)` or `newgidmap(1)` would refuse; `None` when they
/// would write the map.
///
/// The helpers let a caller map what `ranges` (from [`ranges_for`]) cover, and its `own_id` alone
/// (count 1) without an entry. They make no exception for root.
pub fn first_uncovered(ranges: &[Range], own_id: u32, map: &IdMap) -> Option<Extent> {
    let ranges = merged(ranges);
    let own = |extent: Extent| extent.count == 1 && extent.outside == own_id;
    map.extents().iter().copied().find(|&extent| !own(extent) && !covered_by(&ranges, extent))
}

fn covered_by(merged: &[Range], extent: Extent) -> bool {
    let wanted = extent.outside_range();
    extent.check().is_ok() && merged.iter().any(|range| range.contains(wanted.start) && wanted.end() <= range.end())
}

fn entries(text: &str) -> impl Iterator<Item = (&str, Range)> {
    text.split('\n').filter_map(entry)
}

fn entry(line: &str) -> Option<(&str, Range)> {
    if line.len() >= LINE_BUFFER || line.starts_with(['+', '-']) {
        return None;
    }
    // Versions differ about a fourth field: 4.13 ignores it, the newest refuse the line. To count
    // it errs towards asking the helper, which has the last word, and towards calling a range
    // taken.
    let mut fields = line.split(':');
    let (owner, start, count) = (fields.next()?, fields.next()?, fields.next()?);
    let start = u32::try_from(number(start)?).ok()?;
    // A count may go beyond the last id; shadow-utils, with 64 bits, grants what lies before it.
    let count = number(count)?.min(u64::from(u32::MAX - start));
    let count = u32::try_from(count).ok()?;
    (!owner.is_empty() && count > 0).then_some((owner, Range { start, count }))
}

/// What `strtoul(text, &end, 0)` reads with nothing left over, as shadow-utils calls it.
fn number(text: &str) -> Option<u64> {
    let text = text.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let text = text.strip_prefix('+').unwrap_or(text);
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if text.starts_with('0') => (text, 8),
        None => (text, 10),
    };
    // `from_str_radix` takes a sign, of which there was one at most.
    if digits.starts_with('+') {
        return None;
    }
    u64::from_str_radix(digits, radix).ok()
}
