use std::fs;
use std::path::{Path, PathBuf};

use seclude_idmap::{read_ranges_for, read_taken, read_user_name};

use crate::range;

struct File(PathBuf);

impl File {
    fn with(name: &str, content: &[u8]) -> File {
        let name = format!("seclude-idmap-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, content).unwrap();
        File(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

const MISSING: &str = "/nonexistent/subuid";

#[test]
fn ranges_and_names_are_read_from_files() {
    let subuid = File::with("subuid", b"alice:100000:65536\n");
    let passwd = File::with("passwd", b"alice:x:1000:1000::/:/bin/sh\n");
    let name = read_user_name(1000, &passwd.0).unwrap();
    let ranges = read_ranges_for(&subuid.0, name.as_deref(), 1000).unwrap();
    assert_eq!(ranges, [range(100_000, 65_536)]);
    assert_eq!(read_taken(&subuid.0, &passwd.0).unwrap(), [range(100_000, 65_536), range(1000, 1)]);
}

#[test]
fn a_line_that_is_not_utf8_hides_no_other() {
    let subuid = File::with("latin1", b"# J\xfcrgen\nalice:5:5\n");
    assert_eq!(read_ranges_for(&subuid.0, Some("alice"), 1000).unwrap(), [range(5, 5)]);
}

#[test]
fn a_missing_file_is_an_error_that_names_it() {
    let error = read_ranges_for(MISSING, None, 1000).unwrap_err();
    assert_eq!(error.path, Path::new(MISSING));
    assert!(error.to_string().starts_with("cannot read /nonexistent/subuid: No such file"));
}

#[test]
fn a_missing_file_takes_no_ids() {
    assert_eq!(read_taken(MISSING, MISSING).unwrap(), []);
    assert!(read_taken("/", MISSING).is_err());
}
