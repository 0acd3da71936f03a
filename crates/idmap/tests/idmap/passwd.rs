use seclude_idmap::{ids_in, user_name};

use crate::range;

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n\
                      # alice:x:1000:1000::/:/bin/sh\n\
                      bob:x:1000:1000::/home/bob:/bin/sh\r\n\
                      carol:x:1000:1000::/home/carol:/bin/sh\n\
                      +::::::\n\
                      short:x\n\
                      :x:7:7:::\n\
                      odd:x:minus one:0:::\n\
                      last:x:2000:2000::/:/bin/sh";

#[test]
fn the_first_user_with_the_uid_gives_the_name() {
    assert_eq!(user_name(1000, PASSWD).as_deref(), Some("bob"));
    assert_eq!(user_name(0, PASSWD).as_deref(), Some("root"));
}

#[test]
fn a_last_line_without_a_newline_is_a_user() {
    assert_eq!(user_name(2000, PASSWD).as_deref(), Some("last"));
}

#[test]
fn a_uid_without_a_line_has_no_name() {
    for uid in [7, 3000, u32::MAX] {
        assert_eq!(user_name(uid, PASSWD), None);
    }
}

#[test]
fn ids_are_the_third_field_of_users_and_groups() {
    let uids = [range(0, 1), range(1000, 1), range(1000, 1), range(2000, 1)];
    assert_eq!(ids_in(PASSWD), uids);
    assert_eq!(ids_in("wheel:x:10:root,alice\nusers:x:100:\n"), [range(10, 1), range(100, 1)]);
}
