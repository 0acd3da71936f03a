//! What the sandbox shows of the host: its programs and their configuration, and what the caller names.
//!
//! An allow-list: what nobody thought of is not there. And where the container has ids of its own, the parts that can hold
//! secrets are shown without their owners, so that the kernel's own rule of permissions closes what is not for everybody,
//! also what is put there later. (A mask over a file goes when that file is replaced by another, rename(2).)

use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::config::ids::UserMap;
use crate::config::mount::Source;
use crate::config::mount::{Mount, MountKind, Stands};
use crate::config::namespace::{Namespace, Origin};
use crate::config::preset::Preset;
use crate::config::root::{Root, RootKind};
use crate::host::Host;
use crate::places::{MOST_IN_MEMORY, Part, SECRETS, has_a_secret, has_its_owners, is_a_home, is_in_a_secret, is_local};
use crate::sandbox::masks;
use crate::step::own_directory;

/// Where the host keeps what is alive: sockets, processes, devices. Nothing of it is shown because the caller stands there.
const ALIVE: [&str; 4] = ["/dev", "/proc", "/run", "/sys"];

/// What a mount of the caller's makes of a directory below it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Covered {
    /// It is there, or what is there is its own business.
    Shown,
    /// It is gone, and a place for it can be made.
    Empty,
    /// It is gone, and nothing can be mounted there.
    Closed,
}

/// The home of whoever the host's list of users does not know.
const HOME: &str = "/home/seclude";

impl Config {
    /// Where the sandbox's tree is the root, the mounts that it is made of; and those that the caller has asked for by the host's own
    /// paths, in every preset.
    pub(crate) fn with_tree(mut self, host: &Host) -> Config {
        if self.preset == Preset::Host && self.user_map == Some(UserMap::Sandbox) && host.uid == 0 {
            self.user_map = Some(UserMap::HostRoot);
        }
        // Whoever says where the caller is means that, and not another directory of that name.
        if self.caller_dir.is_none()
            && let Some(directory) = self.workdir.take_if(|directory| Some(&*directory) == host.directory.as_ref())
        {
            self.caller_dir = Some((directory.clone(), Some(directory)));
        }
        if self.no_namespaces {
            return self.with_home_of_the_host(host);
        }
        let is_curated = self.namespaces.is_new(Namespace::Mount) && self.root.as_ref().is_some_and(Root::is_curated);
        let (named, real) = self.caller_dir.clone().filter(|_| self.workdir.is_none()).unzip();
        let real = real.flatten();
        let is_hosts = self.preset != Preset::Bare && self.root.as_ref().is_some_and(Root::shows_the_host);
        let here =
            real.clone().or_else(|| host.directory.clone().filter(|_| self.workdir.is_none() && named.is_none()));
        let here = here.filter(|_| is_hosts && self.namespaces.is_new(Namespace::Mount));
        let inherited = self.workdir.is_none() && named.is_none();
        let stands = real.filter(|_| is_curated);
        self.workdir = self.workdir.or_else(|| stands.clone()).or(named);
        if is_curated {
            self.begin_with_programs(host, stands);
        } else if let Some(here) = here {
            self.uncover(here, inherited);
        }
        if self.preset == Preset::Sandbox {
            self.have_a_home(host, is_curated);
        }
        // Whatever the root is.
        let keeps = self.preset == Preset::Sandbox && self.namespaces.is_new(Namespace::Mount);
        self.show(host, keeps);
        if keeps {
            self.keep_secrets(host);
        }
        self
    }

    /// In the host's tree, the caller's directory where an empty one of the preset's lies over it: read-only, as all of that tree is.
    /// Where one of the caller's mounts has taken it away, the command begins in `/`, if nobody named it.
    fn uncover(&mut self, here: PathBuf, inherited: bool) {
        let is_empty = |mount: &Mount| matches!(mount.kind, MountKind::Tmpfs { .. } | MountKind::Dev);
        let covers = |mount: &Mount| mount.preset && is_empty(mount) && here.starts_with(&mount.target);
        let at = self
            .mounts
            .iter()
            .rposition(covers)
            .filter(|at| self.mounts.get(*at).is_some_and(|mount| mount.target != here));
        // Of /dev only what programs keep in its memory.
        if here.starts_with("/dev") && (here == Path::new("/dev/shm") || !here.starts_with("/dev/shm")) {
            return;
        }
        let is_new = |mount: &Mount| mount.preset && is_empty(mount) && mount.target == here;
        if inherited && self.mounts.iter().any(is_new) && !self.shown.iter().any(|shown| shown.path == here) {
            // The new one, which is another.
            self.workdir = Some(here.clone());
            self.moved_from = Some(here);
            return;
        }
        let over_it = at.and_then(|at| self.mounts.get(at)).map(|mount| mount.target.clone());
        if let Some(above) = over_it {
            self.make_places_for_masks(&here, |target| target != above && target.starts_with(&above));
        }
        let over = self.last_over(&here);
        if over.is_some_and(|(_, covered)| covered == Covered::Closed) && inherited {
            self.workdir = Some(PathBuf::from("/"));
            self.moved_from = Some(here);
            return;
        }
        let emptied = over.filter(|(_, covered)| *covered == Covered::Empty);
        let shown = self.shown.iter().any(|shown| here.starts_with(&shown.path));
        if !shown && (emptied.is_some() || (at.is_some() && over.is_none())) {
            let end = self.mounts.iter().rposition(|mount| mount.preset).map_or(0, |last| last + 1);
            let end = emptied.map_or(end, |(last, _)| end.max(last + 1));
            self.mounts.insert(end, Mount { preset: true, ..Mount::bind(&here, &here).read_only().nodev() });
        }
    }

    fn begin_with_programs(&mut self, host: &Host, stands: Option<PathBuf>) {
        let places = &host.places;
        let layered = self.root.as_ref().is_some_and(|root| root.kind != RootKind::Sandbox);
        let home = self.home(host);
        let mut mounts: Vec<Mount> = Vec::new();
        for part in places.parts.iter().filter(|_| !layered) {
            let path = part.path.as_path();
            mounts.push(match &part.link {
                Some(to) => Mount::symlink(to, path),
                // Unless there are others' owners to hide, one mount shows it all.
                None if is_local(path) && !host.gives_ids() => continue,
                None if has_its_owners(path) => Mount::bind(path, path).read_only().nodev(),
                None => Mount::bind(path, path).read_only().nodev().for_strangers(),
            });
        }
        mounts.extend(SECRETS.iter().map(|path| Mount::mask(path).if_present()));
        // Of somebody whose home lies among the programs, such as a service's.
        mounts.extend(places.among_programs.iter().map(|home| Mount::tmpfs(home).mode(0o755).size(MOST_IN_MEMORY)));
        let own = [("/tmp", 0o1777), ("/var/tmp", 0o1777), ("/run", 0o755), ("/home", 0o755)];
        mounts.extend(own.iter().map(|(path, mode)| Mount::own_directory(path, *mode)));
        mounts.push(Mount::symlink("/run", "/var/run"));
        // Where administrators mount things, and scripts expect a place for it.
        mounts.extend(["/media", "/mnt", "/srv"].map(Mount::directory));
        // Set-up makes it as the first id that there is.
        let is_its_own = match self.uid_inside(host) {
            0 => true,
            uid => matches!(&self.user_map, Some(UserMap::CallerAs { uid: only, .. }) if *only == uid),
        };
        let owner = (self.uid_inside(host), self.identity.gid);
        mounts.push(match self.namespaces.origin(Namespace::User) {
            // Whose ids nobody here knows. Nobody but the command is inside.
            Origin::Joined(_) if !is_its_own => Mount::own_directory(&home, 0o777),
            _ => Mount::own_home(&home, (!is_its_own).then_some(owner)),
        });
        // Of one that is joined what is the host's would show the host's processes.
        let proc = match self.namespaces.origin(Namespace::Pid) {
            Origin::Inherited => places.proc.then(|| Mount::bind("/proc", "/proc").read_only().for_strangers()),
            // With a user namespace of its own it does not get in there at all.
            Origin::Joined(_) => (!self.namespaces.is_new(Namespace::User)).then(|| Mount::proc("/proc")),
            Origin::New => None,
        };
        if let Some(proc) = proc {
            mounts.push(proc);
            mounts.extend(masks("/proc"));
        }
        if let Some(user) = self.unknown_user(host) {
            mounts.push(Mount::file("/etc/passwd", [places.passwd.as_slice(), user.as_bytes()].concat()));
        }
        self.mounts.retain(|mount| !(mount.preset && mount.target == Path::new("/tmp")));
        // Before /proc, /sys and /dev: a symlink of the host cannot take their place.
        self.mounts.splice(0..0, mounts.into_iter().map(|mount| Mount { preset: true, ..mount }));
        match stands {
            Some(directory) => self.stand_in(directory, None, host),
            None if self.workdir.is_some() => {}
            None => host.directory.iter().for_each(|directory| self.stand_in(directory.clone(), Some(&home), host)),
        }
    }

    /// The variable HOME, which is not the caller's where the caller's tree is not.
    fn have_a_home(&mut self, host: &Host, is_curated: bool) {
        let is_said =
            self.env.iter().any(|(name, _)| name == "HOME") || self.kept_env.iter().any(|name| name == "HOME");
        if self.clear_env || is_said {
            return;
        }
        if !self.namespaces.is_new(Namespace::Mount) {
            self.kept_env.push("HOME".into());
            return;
        }
        let home = match self.uid_inside(host) {
            _ if is_curated => self.home(host),
            0 => PathBuf::from("/root"),
            _ => PathBuf::from("/"),
        };
        self.env.push(("HOME".into(), Some(home.into_os_string())));
    }

    /// Where there is no tree of its own: which directory of the host's is the home, and where the command begins.
    fn with_home_of_the_host(mut self, host: &Host) -> Config {
        // What it leaves could be removed by nobody, if its spawner may be gone by then.
        self.own_directory = self.die_with_parent.then(own_directory::next);
        let home = self.own_directory.as_deref().map(own_directory::home);
        let said = |config: &Config, name: &str| {
            let kept = config.kept_env.iter().any(|kept| kept == name);
            config.clear_env || kept || config.env.iter().any(|(set, _)| set == name)
        };
        if !said(&self, "HOME") {
            // Who has none has this one, of which no system makes anything.
            let home = home.clone().unwrap_or_else(|| PathBuf::from("/nonexistent"));
            self.env.push(("HOME".into(), Some(home.into_os_string())));
        }
        if !said(&self, "TMPDIR") {
            let temporary = self.own_directory.as_deref().map(own_directory::temporary);
            self.env.push(("TMPDIR".into(), temporary.map(PathBuf::into_os_string)));
        }
        let (named, real) = self.caller_dir.clone().filter(|_| self.workdir.is_none()).unzip();
        let by_name = named.is_some();
        self.workdir = self.workdir.or(named);
        let here = if by_name { real.flatten() } else { host.directory.clone().filter(|_| self.workdir.is_none()) };
        let Some(here) = here else { return self };
        if self.shown.iter().any(|shown| here.starts_with(&shown.path)) {
            return self;
        }
        let places = &host.places;
        let is_where_it_stands = !by_name || host.directory.as_ref() == Some(&here);
        let is_home = (is_where_it_stands && places.begins_in_a_home) || places.has_a_home_below(&here);
        let is_hidden = is_home
            || (is_where_it_stands && places.begins_hidden)
            || places.is_hidden_in_a_home(&here)
            || ALIVE.iter().any(|alive| here.starts_with(alive))
            || is_in_a_secret(&here)
            // No rule of landlock takes away what another gives.
            || places.administrators_by_other_names(&here).iter().any(|(_, name)| has_a_secret(name));
        match is_hidden {
            true if by_name => {}
            true => {
                self.workdir = Some(home.unwrap_or_else(|| PathBuf::from("/")));
                self.moved_from = Some(here);
            }
            false => self.stands = Some(here),
        }
        self
    }

    /// The caller's directory, read-only where it is; or the new home, where it would show what is not to be seen, unless somebody
    /// named it.
    fn stand_in(&mut self, directory: PathBuf, home: Option<&Path>, host: &Host) {
        if !directory.is_absolute() {
            // An error of the working directory.
            return;
        }
        let mut own = self.mounts.iter().filter(|mount| matches!(mount.kind, MountKind::OwnDirectory { .. }));
        let is_home = (home.is_some() && host.places.begins_in_a_home) || host.places.has_a_home_below(&directory);
        let is_covered = host.places.among_programs.iter().any(|home| directory.starts_with(home));
        let is_shown = |part: &Part| part.link.is_none() && directory.starts_with(&part.path) && !is_covered;
        let over = self.last_over(&directory);
        let stays = over.is_none_or(|(_, covered)| covered == Covered::Shown);
        if !is_home && host.places.parts.iter().any(is_shown) && stays {
            return;
        }
        let is_mounted = |mount: &Mount| !mount.preset && mount.target == directory;
        if !is_home && own.clone().any(|mount| mount.target == directory) {
            let shown = self.shown.iter().any(|shown| shown.path == directory);
            if home.is_some() && !shown && !self.mounts.iter().any(is_mounted) {
                // The new one, which is another.
                self.workdir = Some(directory.clone());
                self.moved_from = Some(directory);
            }
            return;
        }
        let hidden = is_home
            || (home.is_some() && host.places.begins_hidden)
            || own.any(|mount| mount.target.starts_with(&directory))
            || host.places.is_hidden_in_a_home(&directory)
            || ALIVE.iter().any(|alive| directory.starts_with(alive));
        let named = self.shown.iter().any(|shown| directory.starts_with(&shown.path));
        if named || over.is_some_and(|(_, covered)| covered == Covered::Shown) {
            self.make_places_for_masks(&directory, |_| true);
            return;
        }
        if hidden || (over.is_some_and(|(_, covered)| covered == Covered::Closed)) {
            self.make_places_for_masks(&directory, |_| true);
            if let Some(home) = home {
                self.workdir = Some(home.to_owned());
                self.moved_from = Some(directory);
            }
            return;
        }
        let end = self.mounts.iter().rposition(|mount| mount.preset).map_or(0, |last| last + 1);
        let end = over.map_or(end, |(last, _)| end.max(last + 1));
        let mount = Mount::bind(&directory, &directory).read_only().nodev();
        let stands = if home.is_some() { Stands::Here } else { Stands::Named };
        self.mounts.insert(end, Mount { preset: true, stands: Some(stands), ..mount });
    }

    /// What is masked has to be there, and of what the caller stands in nothing is, where the preset's own lies over it.
    fn make_places_for_masks(&mut self, directory: &Path, is_gone: impl Fn(&Path) -> bool) {
        let is_one = |mount: &&Mount| {
            !mount.preset && matches!(mount.kind, MountKind::Mask { .. }) && directory.starts_with(&mount.target)
        };
        let targets = self.mounts.iter().filter(is_one).map(|mount| mount.target.clone());
        let made: Vec<Mount> = targets
            .filter(|target| is_gone(target))
            .map(|target| Mount { preset: true, ..Mount::directory(target) })
            .collect();
        let end = self.mounts.iter().rposition(|mount| mount.preset).map_or(0, |last| last + 1);
        self.mounts.splice(end..end, made);
    }

    /// The caller's last mount over a directory, and what becomes of that.
    fn last_over(&self, directory: &Path) -> Option<(usize, Covered)> {
        let is_over = |mount: &Mount| {
            let makes_none = matches!(mount.kind, MountKind::Directory { .. } | MountKind::ReadOnlyPath { .. });
            !mount.preset && !makes_none && directory.starts_with(&mount.target)
        };
        let last = self.mounts.iter().rposition(is_over)?;
        let mount = self.mounts.get(last)?;
        let below = directory.strip_prefix(&mount.target).unwrap_or(Path::new(""));
        let covered = match &mount.kind {
            // It is what is meant to be there.
            _ if below == Path::new("") => Covered::Shown,
            MountKind::Tmpfs { .. } => Covered::Empty,
            MountKind::Bind { source: Source::Path(source), .. } if !source.join(below).is_dir() => Covered::Closed,
            MountKind::Mask { .. } => Covered::Closed,
            MountKind::Proc { .. } | MountKind::Sysfs { .. } | MountKind::Cgroup { .. } | MountKind::Mqueue
                if !ALIVE.iter().any(|alive| mount.target.starts_with(alive)) =>
            {
                Covered::Closed
            }
            MountKind::Overlay { overlay, .. } if !overlay.has(below) => Covered::Closed,
            _ => Covered::Shown,
        };
        Some((last, covered))
    }

    /// Each after what the caller has mounted above it, and before what it has below, or there: what is hidden or read-only of it.
    fn show(&mut self, host: &Host, keeps: bool) {
        let mut counts = [0; 2];
        for shown in self.shown.clone() {
            let count = &mut counts[usize::from(shown.written)];
            let mount = Mount::bind(&shown.path, &shown.path);
            // A device that is named is one.
            let mount = if shown.written { mount.nodev() } else { mount.read_only().nodev() };
            let is_secret = is_in_a_secret(&shown.path);
            let part = host.places.parts.iter().rfind(|part| shown.path.starts_with(&part.path));
            let is_strange = part.is_some_and(|part| !has_its_owners(&part.path)) && keeps && !is_secret;
            let mount = if is_strange && !shown.written { mount.for_strangers() } else { mount };
            let mount = Mount { shown: Some((shown.written, *count)), ..mount };
            *count += 1;
            let above = |other: &Mount| match (other.preset, other.shown) {
                (true, _) => other.stands.is_none() || shown.path.starts_with(&other.target),
                (false, Some(_)) => shown.path.starts_with(&other.target),
                (false, None) => shown.path.starts_with(&other.target) && shown.path != other.target,
            };
            let place = self.mounts.iter().rposition(above).map_or(0, |last| last + 1);
            // What hides of it was asked for before something above it may have been.
            let hides = |other: &Mount| {
                let is_one = matches!(other.kind, MountKind::Mask { .. } | MountKind::ReadOnlyPath { .. });
                is_one && !other.preset && other.target.starts_with(&shown.path)
            };
            let (hiding, before): (Vec<Mount>, Vec<Mount>) = self.mounts.drain(..place).partition(hides);
            let place = before.len();
            self.mounts.splice(0..0, before.into_iter().chain([mount]).chain(hiding));
            if keeps {
                // What is named is shown, and not the secrets in it.
                let mut kept: Vec<Mount> = Vec::new();
                if !shown.written && host.gives_ids() {
                    let parts = host.places.parts.iter().map(|part| part.path.as_path());
                    let local = parts.filter(|path| is_local(path) && path.starts_with(&shown.path));
                    kept.extend(local.map(|path| Mount::bind(path, path).read_only().nodev().for_strangers()));
                }
                let secrets = SECRETS.iter().filter(|secret| Path::new(secret).starts_with(&shown.path) && !is_secret);
                kept.extend(secrets.map(|secret| Mount::mask(secret).if_present()));
                let kept = kept.into_iter().map(|mount| Mount { preset: true, ..mount });
                self.mounts.splice(place + 1..place + 1, kept);
            }
        }
    }

    /// As whom the command runs, as far as its map says.
    fn uid_inside(&self, host: &Host) -> u32 {
        let mapped = match &self.user_map {
            _ if !self.namespaces.is_new(Namespace::User) => host.uid,
            Some(UserMap::CallerAs { uid, .. }) => *uid,
            Some(UserMap::Identity) => host.uid,
            _ => 0,
        };
        self.identity.uid.unwrap_or(mapped)
    }

    fn home(&self, host: &Host) -> PathBuf {
        let uid = self.uid_inside(host);
        let known = host.places.users.iter().find(|user| user.uid == uid).map(|user| user.home.clone());
        let lies_free = |home: &PathBuf| home.starts_with("/home") || home.starts_with("/root");
        known.filter(|home| is_a_home(home) && lies_free(home)).unwrap_or_else(|| match uid {
            0 => PathBuf::from("/root"),
            _ => PathBuf::from(HOME),
        })
    }

    /// The line of /etc/passwd for whom that has none.
    fn unknown_user(&self, host: &Host) -> Option<String> {
        let uid = self.uid_inside(host);
        if host.places.no_passwd || host.places.users.iter().any(|user| user.uid == uid) {
            return None;
        }
        let gid = self.identity.gid.unwrap_or(uid);
        let begun = host.places.passwd.last().is_some_and(|last| *last != b'\n');
        let line_end = if begun { "\n" } else { "" };
        let name = if uid == 0 { "root" } else { "seclude" };
        Some(format!("{line_end}{name}:x:{uid}:{gid}::{}:/bin/sh\n", self.home(host).display()))
    }
}
