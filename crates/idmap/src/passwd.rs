//! The ids in `passwd(5)` and `group(5)`.

use crate::Range;

/// The name of `uid` in the text of `/etc/passwd`: the first that has it, as `getpwuid(3)` finds
/// it.
///
/// Users that only NSS knows (LDAP, systemd) are not in that file; for them this is `None`.
pub fn user_name(uid: u32, passwd_text: &str) -> Option<String> {
    entries(passwd_text).find(|&(_, id)| id == uid).map(|(name, _)| name.to_owned())
}

/// The ids in the text of `/etc/passwd` (uids) or `/etc/group` (gids), each as a range of one.
pub fn ids_in(passwd_or_group_text: &str) -> Vec<Range> {
    entries(passwd_or_group_text).map(|(_, id)| Range { start: id, count: 1 }).collect()
}

fn entries(text: &str) -> impl Iterator<Item = (&str, u32)> {
    text.split('\n').filter_map(entry)
}

fn entry(line: &str) -> Option<(&str, u32)> {
    let line = line.trim_ascii_start();
    let mut fields = line.split(':');
    let (name, _password, id) = (fields.next()?, fields.next()?, fields.next()?);
    // `+` and `-` are instructions to NSS, not users.
    if name.is_empty() || name.starts_with(['#', '+', '-']) {
        return None;
    }
    Some((name, id.parse().ok()?))
}
