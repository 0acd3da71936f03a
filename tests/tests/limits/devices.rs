//! Device rules: v1's controller, or a program on v2.

use seclude_tests::Cgroups;

use crate::all;

/// Opens each of these, and says which it could.
const OPENS: &str = "for d in null zero full; do (: < /dev/$d) 2>/dev/null && echo $d; done; true";

#[test]
fn only_the_devices_that_are_allowed_can_be_opened() {
    let Some(cgroups) = Cgroups::with("devices", &["--device-allow", "/dev/null"]) else { return };
    let said = |flags: &[&str]| {
        let output = cgroups.run(&[flags, &["sh", "-c", OPENS]].concat());
        assert!(output.status.success(), "{}", all(&output));
        String::from_utf8_lossy(&output.stdout).replace('\n', " ")
    };
    assert_eq!(said(&["--device-allow", "/dev/null"]), "null ");
    assert_eq!(said(&["--device-allow", "c 1:3:rw", "--device-allow", "c 1:5:r"]), "null zero ");
    assert_eq!(said(&["--device-allow", "c *:*"]), "null zero full ");
    assert_eq!(said(&[]), "null zero full ");
    cgroups.done();
}

#[test]
fn a_device_that_may_be_read_may_not_be_written() {
    let Some(cgroups) = Cgroups::with("devices-access", &["--device-allow", "/dev/null:r"]) else { return };
    let script = "(: < /dev/null) && echo read; (: > /dev/null) 2>/tmp/e && echo written; cat /tmp/e; true";
    let said = |access: &str| {
        let output = cgroups.run(&["--device-allow", &format!("/dev/null:{access}"), "sh", "-c", script]);
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let refused = said("r");
    assert!(refused.starts_with("read\n") && refused.contains("Operation not permitted"), "{refused}");
    assert_eq!(said("rw"), "read\nwritten\n");
    cgroups.done();
}
