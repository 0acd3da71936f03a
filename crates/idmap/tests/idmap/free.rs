use seclude_idmap::free_range;

use crate::range;

const FIRST: u32 = 524_288;
const LAST: u32 = 1_879_048_191;
const SLOTS: u32 = (LAST - FIRST + 1) / 65_536;

#[test]
fn the_seed_chooses_where_to_start() {
    assert_eq!(free_range(&[], 65_536, 0), Some(range(FIRST, 65_536)));
    assert_eq!(free_range(&[], 65_536, 2), Some(range(FIRST + 2 * 65_536, 65_536)));
    assert_eq!(free_range(&[], 65_536, u64::from(SLOTS)), Some(range(FIRST, 65_536)));
}

#[test]
fn taken_ranges_are_passed_over() {
    let taken = [range(FIRST + 65_535, 2), range(FIRST + 3 * 65_536, 1)];
    assert_eq!(free_range(&taken, 65_536, 0), Some(range(FIRST + 2 * 65_536, 65_536)));
}

#[test]
fn the_search_goes_round_at_the_end() {
    let last = u64::from(SLOTS - 1);
    let taken = [range(LAST, 1)];
    assert_eq!(free_range(&[], 65_536, last), Some(range(LAST - 65_535, 65_536)));
    assert_eq!(free_range(&taken, 65_536, last), Some(range(FIRST, 65_536)));
    assert!(free_range(&[], 65_536, u64::MAX).is_some());
}

#[test]
fn a_long_range_takes_several_slots_and_stays_inside() {
    let start = FIRST + (SLOTS - 2) * 65_536;
    assert_eq!(free_range(&[range(FIRST, start - FIRST)], 65_537, 7), Some(range(start, 65_537)));
    assert_eq!(free_range(&[range(FIRST, start - FIRST + 1)], 65_537, 7), None);
}

#[test]
fn a_short_range_starts_at_a_slot_too() {
    assert_eq!(free_range(&[range(FIRST, 1)], 10, 0), Some(range(FIRST + 65_536, 10)));
    assert_eq!(free_range(&[range(FIRST + 10, 9)], 10, 0), Some(range(FIRST, 10)));
}

#[test]
fn nothing_is_found_when_all_is_taken() {
    assert_eq!(free_range(&[range(0, u32::MAX)], 1, 0), None);
    let one_in_each: Vec<_> = (0..SLOTS).map(|slot| range(FIRST + slot * 65_536, 1)).collect();
    assert_eq!(free_range(&one_in_each, 1, 12_345), None);
}

#[test]
fn a_range_without_ids_or_with_too_many_is_none() {
    assert_eq!(free_range(&[], 0, 0), None);
    assert_eq!(free_range(&[], LAST - FIRST + 1, 9), Some(range(FIRST, LAST - FIRST + 1)));
    assert_eq!(free_range(&[], LAST - FIRST + 2, 9), None);
    assert_eq!(free_range(&[], u32::MAX, 9), None);
}
