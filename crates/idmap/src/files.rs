//! The files of the host, read and handed to the parsers.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::{FileError, Range, ids_in, ranges_for, taken_by, user_name};

/// Who may map which uids, `subuid(5)`.
pub const SUBUID_FILE: &str = "/etc/subuid";
/// Who may map which gids, `subgid(5)`.
pub const SUBGID_FILE: &str = "/etc/subgid";
/// The users, `passwd(5)`.
pub const PASSWD_FILE: &str = "/etc/passwd";
/// The groups, `group(5)`.
pub const GROUP_FILE: &str = "/etc/group";

/// [`ranges_for`] on a file, usually [`SUBUID_FILE`] or [`SUBGID_FILE`].
///
/// # Errors
/// [`FileError`] when the file cannot be read. A missing file is an error too: `newuidmap(1)` then
/// refuses even the caller's own id.
pub fn read_ranges_for(
    subid_file: impl AsRef<Path>,
    user_name: Option<&str>,
    uid: u32,
) -> Result<Vec<Range>, FileError> {
    Ok(ranges_for(&read(subid_file.as_ref())?, user_name, uid))
}

/// [`user_name`] on a file, usually [`PASSWD_FILE`].
///
/// # Errors
/// [`FileError`] when the file cannot be read.
pub fn read_user_name(uid: u32, passwd_file: impl AsRef<Path>) -> Result<Option<String>, FileError> {
    Ok(user_name(uid, &read(passwd_file.as_ref())?))
}

/// What [`free_range`](crate::free_range) must avoid: all ranges of the first file ([`SUBUID_FILE`]
/// or [`SUBGID_FILE`]) and all ids of the second ([`PASSWD_FILE`] or [`GROUP_FILE`]).
///
/// A file that does not exist takes nothing: many hosts have no `/etc/subuid`.
///
/// # Errors
/// [`FileError`] when a file exists and cannot be read.
pub fn read_taken(subid_file: impl AsRef<Path>, id_file: impl AsRef<Path>) -> Result<Vec<Range>, FileError> {
    let mut taken = taken_by(&read_if_there(subid_file.as_ref())?);
    taken.extend(ids_in(&read_if_there(id_file.as_ref())?));
    Ok(taken)
}

fn read_if_there(path: &Path) -> Result<String, FileError> {
    match read(path) {
        Err(error) if error.source.kind() == ErrorKind::NotFound => Ok(String::new()),
        result => result,
    }
}

/// Lossy: one comment in Latin-1 must not hide all the other lines.
fn read(path: &Path) -> Result<String, FileError> {
    match fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(source) => Err(FileError { path: path.to_owned(), source }),
    }
}
