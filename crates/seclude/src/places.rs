//! What of the host's files is the sandbox's affair: programs, users, homes.

use std::io::ErrorKind::NotFound;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Statx, StatxFlags, statx};
use rustix::io::Errno;

use crate::{mounts, same_files};

/// What is shown of the host, where it is there: a symlink as one.
pub(crate) const PROGRAMS: [&str; 12] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/opt",
    "/etc",
    "/nix/store",
    "/gnu/store",
    // Of NixOS, whose PATH leads through it.
    "/run/current-system",
];

/// What lies in one of those, and is the administrator's: kernels are built in the second, and their modules signed.
pub(crate) const LOCAL: [&str; 2] = ["/usr/local", "/usr/src"];

/// Passwords, keys and who may do what, by name: also where somebody has opened them to all.
pub(crate) const SECRETS: [&str; 40] = [
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/gshadow",
    "/etc/gshadow-",
    "/etc/security/opasswd",
    "/etc/sudoers",
    "/etc/sudoers.d",
    "/etc/doas.conf",
    "/etc/ssh/ssh_host_dsa_key",
    "/etc/ssh/ssh_host_ecdsa_key",
    "/etc/ssh/ssh_host_ed25519_key",
    "/etc/ssh/ssh_host_rsa_key",
    "/etc/ssl/private",
    "/etc/pki/tls/private",
    "/etc/letsencrypt",
    "/etc/NetworkManager/system-connections",
    "/etc/netplan",
    "/etc/wpa_supplicant",
    "/etc/iwd",
    "/etc/wireguard",
    "/etc/openvpn",
    "/etc/ipsec.secrets",
    "/etc/ipsec.d/private",
    "/etc/swanctl/private",
    "/etc/ppp/chap-secrets",
    "/etc/ppp/pap-secrets",
    "/etc/krb5.keytab",
    "/etc/samba/private",
    "/etc/credstore",
    "/etc/credstore.encrypted",
    "/etc/cryptsetup-keys.d",
    "/etc/docker/key.json",
    "/etc/containers/auth.json",
    "/etc/kubernetes",
    "/etc/rancher",
    "/etc/mysql/debian.cnf",
    "/etc/fetchmailrc",
    "/etc/msmtprc",
    "/etc/exim4/passwd.client",
    "/etc/postfix/sasl_passwd",
];

/// Where among what is shown a home may be (those of services are also /usr/sbin and the like).
const AMONG_PROGRAMS: [&str; 4] = ["/etc", "/opt", LOCAL[0], "/usr/home"];

/// How much the sandbox's own directories hold together, if nothing else is said: enough for a build, and too little to take a
/// machine's memory.
pub(crate) const MOST_IN_MEMORY: u64 = 1 << 30;

/// Where distributions put what belongs to everybody; elsewhere administrators put what may not.
const OWNERS_ARE_SHOWN: [&str; 9] =
    ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store"];

/// Whether it is the administrator's among what distributions put there.
pub(crate) fn is_local(path: &Path) -> bool {
    LOCAL.iter().any(|local| path == Path::new(local))
}

/// Whether a part of the host is shown with its owners.
pub(crate) fn has_its_owners(path: &Path) -> bool {
    OWNERS_ARE_SHOWN.iter().any(|shown| path == Path::new(shown))
}

/// Whether it is one of the secrets, or lies in one.
pub(crate) fn is_in_a_secret(path: &Path) -> bool {
    SECRETS.iter().any(|secret| path.starts_with(secret))
}

/// Whether one of the secrets would be seen there.
pub(crate) fn has_a_secret(path: &Path) -> bool {
    is_in_a_secret(path) || SECRETS.iter().any(|secret| Path::new(secret).starts_with(path))
}

/// A part of the host that is shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Part {
    pub(crate) path: PathBuf,
    /// Of a symlink: where it leads to.
    pub(crate) link: Option<PathBuf>,
}

/// One of the host's users, as /etc/passwd has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) home: PathBuf,
}

/// What the sandbox has to know of the host's files.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Places {
    pub(crate) parts: Vec<Part>,
    pub(crate) users: Vec<User>,
    /// The text of /etc/passwd.
    pub(crate) passwd: Vec<u8>,
    /// Whether there is an /etc that has none: nothing can be mounted in its place then.
    pub(crate) no_passwd: bool,
    /// Whether there are a /proc and a /sys to be shown where the container makes none.
    pub(crate) proc: bool,
    pub(crate) sys: bool,
    /// Whether the caller stands in a home, or above one, whatever that is called where it stands.
    pub(crate) begins_in_a_home: bool,
    /// Whether it stands in what is hidden in one.
    pub(crate) begins_hidden: bool,
    /// Where the caller's keys are: by its environment, and by its entry; with and without the symlinks in it.
    pub(crate) homes: Vec<PathBuf>,
    /// Those of the caller's that lie among the programs, such as a service's.
    pub(crate) among_programs: Vec<PathBuf>,
    /// The homes of other people, by the names that the host's list of users has for them.
    pub(crate) others: Vec<PathBuf>,
    /// What is mounted where, by which the same files have other names: empty where it cannot be read.
    pub(crate) mountinfo: String,
    /// What could not be looked at, and why: an error of the plan.
    pub(crate) unread: Option<(PathBuf, i32)>,
}

impl Places {
    /// Those of this machine.
    pub(crate) fn look(uid: u32) -> Places {
        let mut unread = None;
        let mut parts: Vec<Part> = Vec::new();
        for path in PROGRAMS.iter().chain(&LOCAL).map(Path::new) {
            let part = path.symlink_metadata().and_then(|found| {
                let link = found.is_symlink().then(|| std::fs::read_link(path)).transpose()?;
                Ok(Part { path: path.to_owned(), link })
            });
            // Of /run a symlink alone, of what lies in another a directory.
            let is_wanted = |part: &Part| match &part.link {
                Some(_) => !is_local(path),
                None => !path.starts_with("/run"),
            };
            parts.extend(present(path, part, &mut unread).filter(is_wanted));
        }
        let passwd_file = Path::new("/etc/passwd");
        let passwd = present(passwd_file, std::fs::read(passwd_file), &mut unread).unwrap_or_default();
        let no_passwd =
            parts.iter().any(|part| part.path == Path::new("/etc")) && passwd_file.symlink_metadata().is_err();
        let users: Vec<User> = String::from_utf8_lossy(&passwd).lines().filter_map(user).collect();
        let by_entry = users.iter().filter(|user| user.uid == uid).map(|user| user.home.clone());
        let named = std::env::var_os("HOME").map(PathBuf::from).into_iter().chain(by_entry);
        let named: Vec<PathBuf> = named.collect();
        let named_none = named.is_empty();
        let named: Vec<PathBuf> = named.into_iter().filter(|home| is_a_home(home)).collect();
        let mut homes = Vec::new();
        for home in &named {
            homes.extend(present(home, home.canonicalize(), &mut unread).filter(|home| is_a_home(home)));
        }
        let lies_among = |home: &&PathBuf| {
            home.parent().is_some_and(|above| AMONG_PROGRAMS.iter().any(|place| above.starts_with(place)))
        };
        let among_programs: Vec<PathBuf> = homes.iter().filter(lies_among).cloned().collect();
        homes.extend(named);
        homes.dedup();
        // Services have homes where others work, such as /var/www.
        let is_somebody = |user: &&User| user.uid == 0 || (1000..65534).contains(&user.uid);
        let others =
            users.iter().filter(is_somebody).map(|user| user.home.clone()).filter(|home| is_a_home(home)).collect();
        let mut is_there = |path: &str| present(Path::new(path), Path::new(path).metadata(), &mut unread).is_some();
        let (proc, sys) = (is_there("/proc"), is_there("/sys"));
        let here = Path::new(".");
        // Of whom nothing is known, where it stands may be all that it has.
        let is_unknown = named_none && uid != 0;
        let begins_in_a_home = identity(here).and_then(|here| Ok(is_unknown || is_or_is_above(here, &homes)?));
        let begins_in_a_home = present(here, begins_in_a_home, &mut unread).unwrap_or(false);
        Places {
            parts,
            users,
            passwd,
            no_passwd,
            proc,
            sys,
            begins_in_a_home,
            begins_hidden: false,
            homes,
            among_programs,
            others,
            mountinfo: mounts::mountinfo("/proc/self/mountinfo").unwrap_or_default(),
            unread,
        }
    }

    /// Where below a directory something lies of what can hold the administrator's secrets, by another mount of it, and its own name.
    pub(crate) fn administrators_by_other_names(&self, directory: &Path) -> Vec<(PathBuf, PathBuf)> {
        let parts = self.parts.iter().filter(|part| part.link.is_none() && !has_its_owners(&part.path));
        same_files::other_names(&self.mountinfo, directory, parts.map(|part| part.path.as_path()))
    }

    /// Whether who sees an open file sees a home, by whatever name: by what it is, as a symlink, or a mount, can have any; `real` is where it lies.
    pub(crate) fn show_a_home(&self, found: &Statx, real: impl FnOnce() -> Option<PathBuf>) -> std::io::Result<bool> {
        // Where it cannot be read there are no mounts to be told apart.
        let by_other_mounts = |path: &Path| {
            let mountinfo = mounts::mountinfo("/proc/self/mountinfo");
            mountinfo.is_ok_and(|mountinfo| self.seen_by_other_mounts(&mountinfo, path).0)
        };
        Ok(is_or_is_above(identity_of(found), &self.homes)?
            || real().is_some_and(|path| self.has_a_home_below(&path) || by_other_mounts(&path)))
    }

    /// The same of what is there by a name now; what cannot be looked at is told by that.
    pub(crate) fn show_a_home_at(&self, path: &Path) -> bool {
        let found = statx(CWD, path, AtFlags::STATX_DONT_SYNC, StatxFlags::BASIC_STATS).ok();
        let shown = found.and_then(|found| self.show_a_home(&found, || path.canonicalize().ok()).ok());
        shown.unwrap_or_else(|| self.has_a_home_below(path))
    }

    /// Whether a home is there, or below it.
    pub(crate) fn has_a_home_below(&self, path: &Path) -> bool {
        let by_place = home_by_place(path) == Some(path) || path == Path::new("/home");
        by_place || self.all_homes().any(|home| home.starts_with(path))
    }

    /// Whether a directory shows a home, and whether it lies in what is hidden in one, by whatever mount. What of a directory in a home
    /// is a home the paths tell, but for what is mounted below it.
    pub(crate) fn seen_by_other_mounts(&self, mountinfo: &str, directory: &Path) -> (bool, bool) {
        let by_place = ["/home", "/var/home", "/root"].map(Path::new);
        // (What is not there shows nothing: of most machines /var has no homes.)
        let is_there = |homes: &&Path| !homes.symlink_metadata().is_err_and(|error| error.kind() == NotFound);
        // Where they are elsewhere, by a symlink of the system's.
        let elsewhere: Vec<PathBuf> = by_place
            .iter()
            .filter(|homes| homes.is_symlink())
            .filter_map(|homes| Some((*homes, homes.canonicalize().ok()?)))
            .flat_map(|(homes, real)| {
                let inside = self.all_homes().filter_map(|home| home.strip_prefix(homes).ok());
                inside.map(|home| real.join(home)).collect::<Vec<_>>()
            })
            .collect();
        let all = self.all_homes().chain(&elsewhere).map(PathBuf::as_path);
        let all = all.chain(by_place.into_iter().filter(is_there));
        let seen = same_files::seen(mountinfo, directory, all);
        // (Of /home itself nothing is hidden.)
        (if self.is_in_a_home(directory) { seen.shows_below } else { seen.shows }, seen.is_hidden)
    }

    /// Whether it is a home, or lies in one.
    pub(crate) fn is_in_a_home(&self, path: &Path) -> bool {
        home_by_place(path).is_some() || self.all_homes().any(|home| path.starts_with(home))
    }

    fn all_homes(&self) -> impl Iterator<Item = &PathBuf> {
        self.homes.iter().chain(&self.others)
    }

    /// Whether it lies in what programs keep in a home without showing it, such as ~/.ssh.
    pub(crate) fn is_hidden_in_a_home(&self, path: &Path) -> bool {
        let below = self.all_homes().filter_map(|home| path.strip_prefix(home).ok());
        let by_place = home_by_place(path).and_then(|home| path.strip_prefix(home).ok());
        below.chain(by_place).any(|below| below.as_os_str().as_encoded_bytes().starts_with(b"."))
    }
}

/// The part of a path that is a home by where it lies: of users that no file lists, such as a directory service's.
fn home_by_place(path: &Path) -> Option<&Path> {
    let lies_there = |place: &&Path| {
        let above = place.parent();
        *place == Path::new("/root") || ["/home", "/var/home"].iter().any(|homes| above == Some(Path::new(homes)))
    };
    path.ancestors().find(lies_there)
}

/// (Who has / or none, as many a service, keeps nothing there.)
pub(crate) fn is_a_home(path: &Path) -> bool {
    path.is_absolute() && path.parent().is_some() && path != Path::new("/nonexistent")
}

/// What a file is, whatever its name; the mount does not matter.
pub(crate) type Identity = (u32, u32, u64);

pub(crate) fn identity(path: &Path) -> std::io::Result<Identity> {
    Ok(identity_of(&statx(CWD, path, AtFlags::STATX_DONT_SYNC, StatxFlags::INO)?))
}

pub(crate) fn identity_of(found: &Statx) -> Identity {
    (found.stx_dev_major, found.stx_dev_minor, found.stx_ino)
}

/// Whether it is one of these homes, or has one below it.
pub(crate) fn is_or_is_above(one: Identity, homes: &[PathBuf]) -> std::io::Result<bool> {
    for above in homes.iter().flat_map(|home| home.ancestors()) {
        match identity(above) {
            Ok(found) if found == one => return Ok(true),
            Err(error) if !is_absence(&error) => return Err(error),
            _ => {}
        }
    }
    Ok(false)
}

/// Whether it says that there is nothing, as far as the caller may know.
fn is_absence(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    // A variable may say anything.
    let is_no_path = matches!(errno, Some(Errno::LOOP | Errno::NAMETOOLONG | Errno::INVAL));
    is_no_path || matches!(error.kind(), NotFound | NotADirectory | PermissionDenied)
}

/// What was found, if anything is there; that it could not be looked at is kept: it is not known to be absent.
fn present<T>(path: &Path, found: std::io::Result<T>, unread: &mut Option<(PathBuf, i32)>) -> Option<T> {
    match found {
        Ok(found) => Some(found),
        Err(error) if is_absence(&error) => None,
        Err(error) => {
            unread.get_or_insert((path.to_owned(), error.raw_os_error().unwrap_or(Errno::IO.raw_os_error())));
            None
        }
    }
}

fn user(line: &str) -> Option<User> {
    let mut fields = line.split(':');
    let uid = fields.nth(2)?.parse().ok()?;
    Some(User { uid, home: PathBuf::from(fields.nth(2)?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_is_one_whoevers_it_is_and_what_it_hides_is_hidden() {
        let (homes, others) = (vec!["/home/me".into()], vec!["/srv/homes/other".into()]);
        let places = Places { homes, others, ..Places::default() };
        for (path, above, hidden) in [
            ("/", true, false),
            ("/home/me", true, false),
            ("/home/me/project", false, false),
            ("/home/me/.ssh/keys", false, true),
            ("/home/me/me2", false, false),
            ("/srv/homes", true, false),
            ("/srv/homes/other/.aws", false, true),
            ("/home/of-a-service", true, false),
            ("/home/of-a-service/.kube", false, true),
            ("/root/project", false, false),
        ] {
            let path = Path::new(path);
            assert_eq!((places.has_a_home_below(path), places.is_hidden_in_a_home(path)), (above, hidden), "{path:?}");
        }
    }

    #[test]
    fn of_the_list_of_users_the_number_and_the_home_are_read() {
        let me = User { uid: 1000, home: "/home/me".into() };
        assert_eq!(user("me:x:1000:1000:Me,,,:/home/me:/bin/sh"), Some(me));
        assert_eq!(user("no line"), None);
    }
}
