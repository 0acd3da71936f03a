use seclude_idmap::{IdMap, covers, first_uncovered, ranges_for, taken_by};

use crate::{extent, map, range};

fn alice(text: &str) -> Vec<(u32, u32)> {
    ranges_for(text, Some("alice"), 1000).iter().map(|r| (r.start, r.count)).collect()
}

#[test]
fn ranges_are_found_by_name_and_by_uid_in_the_files_order() {
    let text = "1000:300000:10\nbob:100000:10\nalice:200000:10\n1001:1:1\n";
    assert_eq!(alice(text), [(300_000, 10), (200_000, 10)]);
    assert_eq!(ranges_for(text, None, 1000), [range(300_000, 10)]);
    assert_eq!(ranges_for(text, None, 1002), []);
}

#[test]
fn an_owner_is_compared_as_text() {
    assert_eq!(alice("01000:1:1\n alice:1:1\nalice :1:1\nAlice:1:1\nalic:1:1\n"), []);
}

#[test]
fn a_last_line_without_a_newline_counts() {
    assert_eq!(alice("bob:1:1\nalice:100000:65536"), [(100_000, 65_536)]);
}

#[test]
fn lines_with_crlf_ends_are_skipped_as_newuidmap_skips_them() {
    assert_eq!(alice("alice:100000:65536\r\nalice:5:5\n"), [(5, 5)]);
}

#[test]
fn comments_and_blank_lines_are_nobodys() {
    assert_eq!(alice("# subordinate ids\n\n   \n#alice:1:1\nalice:2:2\n"), [(2, 2)]);
}

#[test]
fn malformed_lines_are_skipped() {
    for line in [
        "alice",
        "alice:1",
        "alice::1",
        "alice:1:",
        "alice:one:1",
        "alice:1:1 ",
        "alice:-1:1",
        "alice:1:-1",
        "alice:++1:1",
        "alice:0x:1",
        "alice:0x+1:1",
        "alice:09:1",
        "alice:1:0",
        "alice:99999999999999999999:1",
        "alice:4294967295:1",
        "alice:4294967296:1",
        ":1:1",
    ] {
        assert_eq!(alice(line), [], "{line:?}");
    }
}

#[test]
fn an_empty_name_owns_nothing() {
    assert_eq!(ranges_for(":1:1\n", Some(""), 1000), []);
}

#[test]
fn lines_for_nss_are_skipped() {
    assert_eq!(ranges_for("+:1:1\n-x:1:1\n", Some("-x"), 1000), []);
}

#[test]
fn numbers_are_read_as_strtoul_reads_them() {
    assert_eq!(alice("alice:0x186a0:0200000\n"), [(100_000, 65_536)]);
    assert_eq!(alice("alice: 100000:\t+10\n"), [(100_000, 10)]);
}

#[test]
fn a_fourth_field_is_ignored() {
    assert_eq!(alice("alice:1:2:x\n"), [(1, 2)]);
}

#[test]
fn a_range_that_passes_the_last_id_ends_there() {
    let expected = [(4_294_900_000, 67_295)];
    assert_eq!(alice("alice:4294900000:100000\n"), expected);
    assert_eq!(alice("alice:4294900000:18446744073709551615\n"), expected);
}

#[test]
fn a_line_counts_up_to_1023_bytes() {
    let line = |length: usize| format!("alice:{}1:1", "0".repeat(length - 9));
    assert_eq!(line(1023).len(), 1023);
    assert_eq!(alice(&line(1023)), [(1, 1)]);
    assert_eq!(alice(&line(1024)), []);
    assert_eq!(alice(&format!("{}\nalice:5:5\n", "x".repeat(1_000_000))), [(5, 5)]);
}

#[test]
fn all_users_ranges_are_taken() {
    let text = "alice:100000:65536\nbad\n1001:165536:65536\n#eve:7:7\n";
    assert_eq!(taken_by(text), [range(100_000, 65_536), range(165_536, 65_536), range(7, 7)]);
}

#[test]
fn an_extent_may_span_ranges_that_touch() {
    let ranges = [range(105, 5), range(100, 5), range(111, 5)];
    assert!(covers(&ranges, extent(0, 100, 10)));
    assert!(covers(&ranges, extent(0, 103, 4)));
    assert!(!covers(&ranges, extent(0, 100, 11)));
    assert!(!covers(&ranges, extent(0, 99, 2)));
    assert!(!covers(&[], extent(0, 100, 1)));
}

#[test]
fn an_extent_that_is_not_valid_is_not_covered() {
    let all = [range(0, u32::MAX)];
    assert!(covers(&all, extent(0, 4_294_967_294, 1)));
    assert!(!covers(&all, extent(0, 4_294_967_294, 2)));
    assert!(!covers(&all, extent(0, 5, 0)));
}

#[test]
fn the_own_id_needs_no_entry_as_long_as_it_is_alone() {
    assert_eq!(first_uncovered(&[], 1000, &IdMap::single(0, 1000).unwrap()), None);
    let two = map(&[(0, 1000, 2)]);
    assert_eq!(first_uncovered(&[], 1000, &two), Some(extent(0, 1000, 2)));
    assert_eq!(first_uncovered(&[range(1001, 1)], 1000, &two), Some(extent(0, 1000, 2)));
}

#[test]
fn the_first_extent_the_helper_would_refuse_is_named() {
    let map = map(&[(0, 1000, 1), (1, 100_000, 10), (11, 200_000, 1), (12, 300_000, 1)]);
    let refused = first_uncovered(&[range(100_000, 10)], 1000, &map);
    assert_eq!(refused, Some(extent(11, 200_000, 1)));
}
