use seclude_idmap::{first_uncovered, rootless_map};

use crate::{map, range};

#[test]
fn the_caller_is_root_inside_and_its_ranges_follow() {
    let ranges = [range(300_000, 10), range(100_000, 65_536)];
    let expected = map(&[(0, 1000, 1), (1, 300_000, 10), (11, 100_000, 65_536)]);
    assert_eq!(rootless_map(1000, &ranges), Some(expected));
}

#[test]
fn a_caller_without_a_range_has_no_rootless_map() {
    assert_eq!(rootless_map(1000, &[]), None);
    assert_eq!(rootless_map(1000, &[range(5, 0), range(1000, 1)]), None);
}

#[test]
fn no_id_is_not_a_caller() {
    assert_eq!(rootless_map(u32::MAX, &[range(0, u32::MAX)]), None);
}

#[test]
fn an_id_is_mapped_once_where_it_comes_first() {
    let twice = [range(100_000, 10), range(100_000, 10), range(99_995, 20)];
    let expected = map(&[(0, 1000, 1), (1, 100_000, 10), (11, 99_995, 5), (16, 100_010, 5)]);
    assert_eq!(rootless_map(1000, &twice), Some(expected));
}

#[test]
fn a_range_around_the_own_id_goes_around_it() {
    let expected = map(&[(0, 1000, 1), (1, 990, 10), (11, 1001, 9)]);
    assert_eq!(rootless_map(1000, &[range(990, 20)]), Some(expected));
}

#[test]
fn all_ids_there_are_fit() {
    let ranges = [range(0, u32::MAX), range(u32::MAX, u32::MAX)];
    let map = rootless_map(1000, &ranges).unwrap();
    assert_eq!(map.outside_of(4_294_967_294), Some(4_294_967_294));
    assert_eq!(map.outside_of(1), Some(0));
    assert_eq!(first_uncovered(&ranges, 1000, &map), None);
}

#[test]
fn more_ranges_than_the_kernel_takes_are_no_map() {
    let ranges = |count: u32| -> Vec<_> { (1..=count).map(|n| range(n * 10_000, 5)).collect() };
    assert_eq!(rootless_map(0, &ranges(339)).unwrap().extents().len(), 340);
    assert_eq!(rootless_map(0, &ranges(340)), None);
}
