use seclude_idmap::{Extent, ExtentError, Field};

use crate::extent;

fn error(text: &str) -> String {
    text.parse::<Extent>().unwrap_err().to_string()
}

#[test]
fn an_extent_is_read_and_shown_as_in_out_len() {
    let parsed: Extent = "0:100000:65536".parse().unwrap();
    assert_eq!(parsed, extent(0, 100_000, 65_536));
    assert_eq!(parsed.to_string(), "0:100000:65536");
}

#[test]
fn the_full_map_is_an_extent() {
    assert_eq!("0:0:4294967295".parse(), Ok(extent(0, 0, u32::MAX)));
}

#[test]
fn a_range_may_end_at_the_last_id_and_not_after_it() {
    assert_eq!("5:4294967294:1".parse(), Ok(extent(5, 4_294_967_294, 1)));
    assert_eq!(
        error("5:4294967294:2"),
        "OUT (first id outside) 4294967294 with LEN 2 passes 4294967294, the last id there is"
    );
    assert_eq!(
        error("1:0:4294967295"),
        "IN (first id inside) 1 with LEN 4294967295 passes 4294967294, the last id there is"
    );
}

#[test]
fn no_id_is_not_an_id() {
    assert_eq!(
        Extent::new(u32::MAX, 0, 1),
        Err(ExtentError::PastLast { field: Field::Inside, start: u32::MAX, count: 1 })
    );
}

#[test]
fn an_extent_without_ids_is_refused() {
    assert_eq!(error("0:0:0"), "LEN (number of ids) is 0, expected at least 1");
}

#[test]
fn an_error_names_the_field_that_is_wrong() {
    assert_eq!(error("0:root:1"), r#"OUT (first id outside) is "root", expected a decimal number up to 4294967295"#);
    assert!(error(":0:1").starts_with(r#"IN (first id inside) is """#));
    assert!(error("0:0:4294967296").starts_with(r#"LEN (number of ids) is "4294967296""#));
}

#[test]
fn signs_blanks_and_other_bases_are_not_numbers() {
    for text in ["+1:0:1", "0:-1:1", " 0:0:1", "0:0:1 ", "0:0:0x1", "0:0:1\n", "0:٣:1"] {
        assert!(text.parse::<Extent>().is_err(), "{text:?}");
    }
}

#[test]
fn an_extent_has_three_fields() {
    assert_eq!(error(""), "expected the three numbers IN:OUT:LEN, found 1");
    assert_eq!(error("0:0"), "expected the three numbers IN:OUT:LEN, found 2");
    assert_eq!(error("0:0:1:"), "expected the three numbers IN:OUT:LEN, found 4");
}

#[test]
fn an_error_stays_one_short_line_for_any_input() {
    let message = error(&format!("0:{}:1", "x\n".repeat(100_000)));
    assert!(message.len() < 200 && !message.contains('\n'), "{message}");
}
