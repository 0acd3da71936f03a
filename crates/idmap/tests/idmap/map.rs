use seclude_idmap::{Extent, ExtentError, IdMap, MAX_EXTENTS, MapError, Side};

use crate::{extent, map};

fn scattered(count: usize) -> Vec<Extent> {
    (0..).step_by(2).map(|id| extent(id, id + 7, 1)).take(count).collect()
}

#[test]
fn a_map_needs_an_extent() {
    assert_eq!(IdMap::new(Vec::new()), Err(MapError::Empty));
}

#[test]
fn three_hundred_and_forty_extents_are_a_map_and_one_more_is_not() {
    assert!(IdMap::new(scattered(340)).is_ok());
    assert_eq!(IdMap::new(scattered(341)), Err(MapError::TooMany { found: 341 }));
    assert_eq!(
        IdMap::new(scattered(341)).unwrap_err().to_string(),
        "341 extents in an id map, the kernel takes at most 340 (5 before Linux 4.15)"
    );
    assert_eq!(MAX_EXTENTS, 340);
}

#[test]
fn extents_that_overlap_inside_are_both_named() {
    let error = IdMap::new(vec![extent(0, 1000, 10), extent(9, 5000, 1)]).unwrap_err();
    assert_eq!(error.to_string(), "extents 0:1000:10 and 9:5000:1 overlap inside the namespace");
}

#[test]
fn extents_that_overlap_outside_are_both_named() {
    let (first, second) = (extent(10, 1000, 1), extent(0, 999, 2));
    let error = IdMap::new(vec![first, second]).unwrap_err();
    assert_eq!(error, MapError::Overlap { side: Side::Outside, first, second });
}

#[test]
fn extents_that_touch_do_not_overlap() {
    assert!(IdMap::new(vec![extent(5, 105, 5), extent(0, 100, 5)]).is_ok());
}

#[test]
fn an_extent_built_by_hand_is_checked_too() {
    let error = IdMap::new(vec![extent(0, 0, 1), extent(7, u32::MAX, 1)]).unwrap_err();
    assert!(matches!(error, MapError::Extent { extent: Extent { inside: 7, .. }, .. }));
    assert!(error.to_string().starts_with("extent 7:4294967295:1: OUT "), "{error}");
}

#[test]
fn a_single_map_has_one_id() {
    let single = IdMap::single(0, 1000).unwrap();
    assert!(single.is_single());
    assert_eq!(single.to_kernel_text(), "0 1000 1\n");
    assert!(!map(&[(0, 1000, 2)]).is_single());
    assert!(!map(&[(0, 1000, 1), (1, 2000, 1)]).is_single());
    assert!(IdMap::single(0, u32::MAX).is_err());
}

#[test]
fn the_full_map_maps_every_id_to_itself() {
    let full = IdMap::full();
    assert_eq!(IdMap::new(full.extents().to_vec()), Ok(full.clone()));
    for id in [0, 65_534, 4_294_967_294] {
        assert_eq!((full.outside_of(id), full.inside_of(id)), (Some(id), Some(id)));
    }
    assert_eq!((full.outside_of(u32::MAX), full.inside_of(u32::MAX)), (None, None));
}

#[test]
fn ids_are_translated_both_ways_and_only_when_mapped() {
    let map = map(&[(0, 1000, 1), (1, 100_000, 65_536)]);
    assert_eq!(map.outside_of(0), Some(1000));
    assert_eq!(map.outside_of(65_536), Some(165_535));
    assert_eq!(map.outside_of(65_537), None);
    assert_eq!(map.inside_of(165_535), Some(65_536));
    assert_eq!(map.inside_of(165_536), None);
    assert_eq!(map.inside_of(0), None);
}

#[test]
fn the_helper_gets_inside_outside_and_count_of_each_extent() {
    let args = map(&[(0, 1000, 1), (1, 100_000, 65_536)]).to_helper_args();
    assert_eq!(args, ["0", "1000", "1", "1", "100000", "65536"]);
}

#[test]
fn a_map_is_read_back_as_the_kernel_shows_it() {
    let text = "         0       1000          1\n         1     100000      65536\n";
    let read = IdMap::parse_kernel_text(text).unwrap();
    assert_eq!(read, map(&[(0, 1000, 1), (1, 100_000, 65_536)]));
    assert_eq!(IdMap::parse_kernel_text(text.trim_end()), Ok(read));
    let initial = "         0          0 4294967295\n";
    assert_eq!(IdMap::parse_kernel_text(initial), Ok(IdMap::full()));
}

#[test]
fn a_map_that_was_not_written_yet_is_empty() {
    assert_eq!(IdMap::parse_kernel_text(""), Err(MapError::Empty));
}

#[test]
fn a_bad_line_is_named_by_its_number() {
    let error = IdMap::parse_kernel_text("0 1000 1\n1 100000\n").unwrap_err();
    assert_eq!(error, MapError::Line { line: 2, source: ExtentError::Shape { found: 2 } });
}

#[test]
fn outside_ids_without_a_name_here_are_an_error() {
    let error = IdMap::parse_kernel_text("         0 4294967295          1\n").unwrap_err();
    assert!(matches!(error, MapError::Line { line: 1, source: ExtentError::PastLast { .. } }));
}

#[test]
fn the_order_of_extents_matters_to_equality_and_not_to_sameness() {
    let (one, other) = (map(&[(0, 9, 1), (1, 20, 5)]), map(&[(1, 20, 5), (0, 9, 1)]));
    assert_ne!(one, other);
    assert!(one.same_as(&other));
    assert!(!one.same_as(&map(&[(0, 9, 1)])));
}
