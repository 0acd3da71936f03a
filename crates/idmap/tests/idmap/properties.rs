use std::collections::HashSet;

use proptest::prelude::*;
use seclude_idmap::*;

use crate::{extent, range};

fn small_extent() -> impl Strategy<Value = Extent> {
    (0..40u32, 0..40u32, 0..6u32).prop_map(|(i, o, c)| extent(i, o, c))
}

fn small_range() -> impl Strategy<Value = Range> {
    (0..40u32, 0..8u32).prop_map(|(s, c)| range(s, c))
}

fn any_range() -> impl Strategy<Value = Range> {
    any::<(u32, u32)>().prop_map(|(s, c)| range(s, c))
}

/// Extents side by side with gaps, then shuffled: always a map.
fn any_map() -> impl Strategy<Value = IdMap> {
    prop::collection::vec((0..1000u32, 0..1000u32, 1..100_000u32), 1..50)
        .prop_map(|steps| {
            let (mut inside, mut outside) = (0, 0);
            let next = |(gap_inside, gap_outside, count)| {
                let one = extent(inside + gap_inside, outside + gap_outside, count);
                (inside, outside) = (one.inside + count, one.outside + count);
                one
            };
            steps.into_iter().map(next).collect::<Vec<_>>()
        })
        .prop_shuffle()
        .prop_map(|extents| IdMap::new(extents).unwrap())
}

fn ids(ranges: &[Range]) -> HashSet<u32> {
    ranges.iter().flat_map(|r| r.start..r.start + r.count).collect()
}

fn distinct(mut ids: impl Iterator<Item = u32>) -> bool {
    let mut seen = HashSet::new();
    ids.all(|id| seen.insert(id))
}

proptest! {
    #[test]
    fn a_mapped_id_comes_back_unchanged(
        map in any_map(),
        pick in any::<prop::sample::Index>(),
        offset: u32,
    ) {
        let extent = *pick.get(map.extents());
        let inside = extent.inside + offset % extent.count;
        let outside = map.outside_of(inside).unwrap();
        prop_assert_eq!(outside, extent.outside + offset % extent.count);
        prop_assert_eq!(map.inside_of(outside), Some(inside));
    }

    #[test]
    fn a_map_is_accepted_exactly_when_no_id_is_mapped_twice(
        extents in prop::collection::vec(small_extent(), 0..6),
    ) {
        let valid = !extents.is_empty()
            && extents.iter().all(|e| e.count > 0)
            && distinct(extents.iter().flat_map(|e| e.inside..e.inside + e.count))
            && distinct(extents.iter().flat_map(|e| e.outside..e.outside + e.count));
        prop_assert_eq!(IdMap::new(extents).is_ok(), valid);
    }

    #[test]
    fn a_map_survives_the_kernels_text(map in any_map()) {
        prop_assert_eq!(IdMap::parse_kernel_text(&map.to_kernel_text()), Ok(map));
    }

    #[test]
    fn an_extent_survives_its_text(inside: u32, outside: u32, count: u32) {
        if let Ok(extent) = Extent::new(inside, outside, count) {
            prop_assert_eq!(extent.to_string().parse(), Ok(extent));
        }
    }

    #[test]
    fn an_extent_is_covered_exactly_when_each_of_its_ids_is(
        ranges in prop::collection::vec(small_range(), 0..8),
        extent in small_extent(),
    ) {
        let granted = ids(&ranges);
        let all = (extent.outside..extent.outside + extent.count).all(|id| granted.contains(&id));
        prop_assert_eq!(covers(&ranges, extent), extent.count > 0 && all);
    }

    #[test]
    fn a_rootless_map_has_the_own_id_and_each_granted_id_once(
        own_id in 0..40u32,
        ranges in prop::collection::vec(small_range(), 0..8),
    ) {
        let mut expected = ids(&ranges);
        expected.insert(own_id);
        let map = rootless_map(own_id, &ranges);
        prop_assert_eq!(map.is_some(), expected.len() > 1);
        if let Some(map) = map {
            let inside = 0..expected.len() as u32;
            let mapped: Option<HashSet<u32>> = inside.map(|id| map.outside_of(id)).collect();
            prop_assert_eq!(map.outside_of(0), Some(own_id));
            prop_assert_eq!(mapped, Some(expected));
            prop_assert_eq!(first_uncovered(&ranges, own_id, &map), None);
        }
    }

    #[test]
    fn a_free_range_is_in_its_place_and_free(
        taken in prop::collection::vec((any::<u32>(), 0..400_000_000u32), 0..20),
        count in 1..200_000u32,
        seed: u64,
    ) {
        let taken: Vec<Range> = taken.into_iter().map(|(s, c)| range(s, c)).collect();
        if let Some(free) = free_range(&taken, count, seed) {
            prop_assert_eq!(free.count, count);
            prop_assert_eq!(free.start % 65_536, 0);
            prop_assert!(free.start >= 524_288 && free.start + (count - 1) <= 1_879_048_191);
            prop_assert!(taken.iter().all(|range| !range.overlaps(free)));
        }
    }

    #[test]
    fn no_arithmetic_overflows(
        ranges in prop::collection::vec(any_range(), 0..8),
        numbers: (u32, u32, u32),
        seed: u64,
    ) {
        let (inside, outside, count) = numbers;
        let _ = covers(&ranges, extent(inside, outside, count));
        let _ = free_range(&ranges, count, seed);
        let _ = IdMap::new(vec![extent(inside, outside, count)]);
        if let Some(map) = rootless_map(outside, &ranges) {
            prop_assert_eq!(first_uncovered(&ranges, outside, &map), None);
        }
    }

    #[test]
    fn the_parsers_never_panic(text in r"(?s)([a-z0-9:+# \t\r\n-]|0x|.)*", name in ".*", uid: u32) {
        let _ = text.parse::<Extent>();
        let _ = IdMap::parse_kernel_text(&text);
        let _ = ranges_for(&text, Some(&name), uid);
        let _ = user_name(uid, &text);
        let _ = (taken_by(&text), ids_in(&text));
    }

    #[test]
    fn lines_that_nearly_parse_never_panic(
        lines in prop::collection::vec(r"(alice|0)?:[+0x]{0,3}[0-9a-f]{0,20}:[0-9]{0,20}\r?", 0..8),
    ) {
        for range in taken_by(&lines.join("\n")) {
            prop_assert!(range.count > 0 && range.start.checked_add(range.count).is_some());
        }
    }
}
