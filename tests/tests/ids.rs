//! User and group ids: who the command is inside, and who that is outside.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use seclude::{Code, Command, Extent, IdMap, Mount, Namespace, Root, Side, UserMap};
use seclude_tests::{
    Scratch, busybox_root, helper, is_root, ordinary_user_only, role, root_only, said, shell, status_field, tell, told,
};

/// A spawner with supplementary groups of its own.
#[test]
fn helper_process() {
    if role().is_some() {
        let groups = |command: &mut Command| status_field(&said(&command.output().unwrap()), "Groups").to_owned();
        let mut status = Command::new("/bin/cat");
        status.arg("/proc/self/status");
        tell(groups(&mut status));
        tell(groups(status.clone().uid(1234)));
        tell(groups(status.clone().gid(1234)));
        tell(groups(status.uid(1234).gid(1234).groups([7, 9])));
    }
}

fn uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn gid() -> u32 {
    rustix::process::getegid().as_raw()
}

/// What a file of /proc/self says inside, its blanks squeezed.
fn proc_self(command: &Command, file: &str) -> String {
    let mut command = command.clone();
    let text = said(&command.args([format!("/proc/self/{file}")]).output().unwrap());
    text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join("\n")
}

fn status(command: &Command, field: &str) -> String {
    status_field(&proc_self(command, "status"), field).to_owned()
}

fn cat() -> Command {
    let mut command = Command::new("/bin/cat");
    command.unshare(Namespace::User);
    command
}

/// The caller's own range of subordinate ids: the tests' user has to have one.
fn subordinate(file: &str) -> u32 {
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let name = users.lines().find_map(|line| {
        let fields: Vec<_> = line.split(':').collect();
        (fields[2] == uid().to_string()).then(|| fields[0].to_owned())
    });
    let ranges = fs::read_to_string(file).unwrap_or_default();
    let mut fields = ranges.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let own = fields.find(|fields| Some(fields[0]) == name.as_deref() || fields[0] == uid().to_string());
    let own = own.unwrap_or_else(|| panic!("uid {} has no range in {file}: usermod --add-subuids", uid()));
    assert!(own[2].parse::<u32>().unwrap() >= 1000, "{own:?} is too short for the tests");
    own[1].parse().unwrap()
}

fn map(extents: &[(u32, u32, u32)]) -> IdMap {
    let extents = extents.iter().map(|&(inside, outside, count)| Extent { inside, outside, count });
    IdMap::new(extents.collect()).unwrap()
}

/// Extents that this caller may have: as root of anything, as a user of itself and its ranges.
fn allowed_extents() -> UserMap {
    if is_root() {
        let both = map(&[(0, 300_000, 10), (10, 400_000, 10)]);
        UserMap::Extents { uids: both.clone(), gids: both }
    } else {
        UserMap::Extents {
            uids: map(&[(0, uid(), 1), (10, subordinate("/etc/subuid"), 10)]),
            gids: map(&[(0, gid(), 1), (10, subordinate("/etc/subgid") + 5, 10)]),
        }
    }
}

#[test]
fn the_caller_is_root_inside_and_no_other_id_exists() {
    let command = cat();
    assert_eq!(proc_self(&command, "uid_map"), format!("0 {} 1", uid()));
    assert_eq!(proc_self(&command, "gid_map"), format!("0 {} 1", gid()));
    assert_eq!(status(&command, "Uid"), "0 0 0 0");
    assert_eq!(status(&command, "Gid"), "0 0 0 0");

    let outside = Command::new("/bin/cat");
    assert_ne!(proc_self(&outside, "uid_map"), proc_self(&command, "uid_map"));
    assert_eq!(status(&outside, "Uid"), vec![uid().to_string(); 4].join(" "));
}

#[test]
fn the_caller_can_be_any_single_id() {
    let mut command = cat();
    command.user_map(UserMap::CallerAs { uid: 1234, gid: 4321 });
    assert_eq!(proc_self(&command, "uid_map"), format!("1234 {} 1", uid()));
    assert_eq!(proc_self(&command, "gid_map"), format!("4321 {} 1", gid()));
    assert_eq!(status(&command, "Uid"), "1234 1234 1234 1234");
    assert_eq!(status(&command, "Gid"), "4321 4321 4321 4321");
    // The id that it has already may be named too.
    command.uid(1234).gid(4321);
    assert_eq!(status(&command, "Uid"), "1234 1234 1234 1234");
}

#[test]
fn identity_keeps_every_id_that_the_caller_may_map() {
    let mut command = cat();
    command.user_map(UserMap::Identity);
    if is_root() {
        assert_eq!(proc_self(&command, "uid_map"), proc_self(&Command::new("/bin/cat"), "uid_map"));
        command.uid(4242).gid(2424);
        assert_eq!(status(&command, "Uid"), "4242 4242 4242 4242");
        assert_eq!(status(&command, "Gid"), "2424 2424 2424 2424");
    } else {
        assert_eq!(proc_self(&command, "uid_map"), format!("{0} {0} 1", uid()));
        assert_eq!(proc_self(&command, "gid_map"), format!("{0} {0} 1", gid()));
        assert_eq!(status(&command, "Uid"), vec![uid().to_string(); 4].join(" "));
    }
}

#[test]
fn extents_are_mapped_as_they_were_given() {
    let wanted = allowed_extents();
    let mut command = cat();
    command.user_map(wanted.clone());
    let UserMap::Extents { uids, gids } = wanted else { unreachable!() };
    assert_eq!(proc_self(&command, "uid_map"), uids.to_kernel_text().trim_end());
    assert_eq!(proc_self(&command, "gid_map"), gids.to_kernel_text().trim_end());
    assert_eq!(proc_self(&command, "setgroups"), "allow");
    assert_eq!(status(&command, "Uid"), "0 0 0 0");

    command.uid(12).gid(13).groups([11, 14]);
    assert_eq!(status(&command, "Uid"), "12 12 12 12");
    assert_eq!(status(&command, "Gid"), "13 13 13 13");
    assert_eq!(status(&command, "Groups"), "11 14");
}

#[test]
fn a_command_of_another_uid_is_that_uids_own_on_the_host() {
    let mut command = Command::new("/bin/cat");
    command.unshare(Namespace::User).user_map(allowed_extents()).uid(12).gid(13);
    let child = command.stdin(seclude::Stdio::piped()).spawn().unwrap();
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let outside = if is_root() { 400_002 } else { subordinate("/etc/subuid") + 2 };
    assert_eq!(status_field(&status, "Uid").split_whitespace().next(), Some(&*outside.to_string()));
}

#[test]
fn a_user_gets_its_subordinate_ids_from_1_on() {
    ordinary_user_only!();
    let mut command = cat();
    command.user_map(UserMap::SubIds);
    let [uids, gids] = ["uid_map", "gid_map"].map(|file| proc_self(&command, file));
    let start = |file| format!("1 {} ", subordinate(file));
    assert_eq!(uids.lines().next(), Some(&*format!("0 {} 1", uid())));
    assert!(uids.lines().nth(1).unwrap().starts_with(&start("/etc/subuid")), "{uids}");
    assert!(gids.lines().nth(1).unwrap().starts_with(&start("/etc/subgid")), "{gids}");
}

#[test]
fn root_gets_a_range_that_nobody_has_and_another_one_the_next_time() {
    root_only!();
    let mut command = cat();
    command.user_map(UserMap::SubIds);
    let maps: Vec<String> = (0..3).map(|_| proc_self(&command, "uid_map")).collect();
    let taken = fs::read_to_string("/etc/subuid").unwrap_or_default();
    for map in &maps {
        let numbers: Vec<u64> = map.split(' ').map(|number| number.parse().unwrap()).collect();
        let [inside, outside, count] = numbers[..] else { panic!("one extent: {map}") };
        assert_eq!((inside, count, outside % 65536), (0, 65536, 0), "{map}");
        assert!(outside >= 524_288, "above every user of a distribution: {map}");
        for line in taken.lines() {
            let fields: Vec<_> = line.split(':').collect();
            let (start, length): (u64, u64) = (fields[1].parse().unwrap(), fields[2].parse().unwrap());
            assert!(outside + count <= start || start + length <= outside, "{map} overlaps {line}");
        }
    }
    // Of 28,664 ranges, by chance: three times the same one is no chance.
    assert!(maps[0] != maps[1] || maps[1] != maps[2], "{maps:?}");
}

#[test]
fn subordinate_ids_are_the_commands_ids_and_groups_inside() {
    let mut command = cat();
    command.user_map(UserMap::SubIds);
    assert_eq!(status(&command, "Uid"), "0 0 0 0");
    assert_eq!(status(&command, "Gid"), "0 0 0 0");
    command.uid(33).gid(34).groups([35, 36]);
    assert_eq!(status(&command, "Uid"), "33 33 33 33");
    assert_eq!(status(&command, "Gid"), "34 34 34 34");
    assert_eq!(status(&command, "Groups"), "35 36");
    let root = busybox_root("subids");
    command.unshare(Namespace::Pid).unshare(Namespace::Mount).root(Root::directory(root.path()).read_only());
    assert_eq!(status(&command, "Uid"), "33 33 33 33", "the same in a tree of its own");
}

/// Who owns a file that the command makes in a directory of the host.
fn owner_outside(mut command: Command) -> (u32, u32) {
    let scratch = Scratch::new("owner");
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let root = busybox_root("owner-root");
    command.args(["-c", "touch /mnt/made && stat -c %u:%g /mnt/made"]).unshare(Namespace::Mount);
    command.root(Root::directory(root.path()).read_only()).mount(Mount::bind(scratch.path(), "/mnt"));
    said(&command.output().unwrap());
    let made = fs::metadata(scratch.join("made")).unwrap();
    (made.uid(), made.gid())
}

#[test]
fn a_file_made_through_a_bind_belongs_outside_to_the_id_that_is_mapped() {
    let mut command = Command::new("/bin/sh");
    command.unshare(Namespace::User);
    assert_eq!(owner_outside(command.clone()), (uid(), gid()), "root inside is the caller");
    command.user_map(allowed_extents());
    let expected = if is_root() { (300_000, 300_000) } else { (uid(), gid()) };
    assert_eq!(owner_outside(command.clone()), expected, "0 of the extents");
    command.uid(11).gid(12);
    let expected =
        if is_root() { (400_001, 400_002) } else { (subordinate("/etc/subuid") + 1, subordinate("/etc/subgid") + 7) };
    assert_eq!(owner_outside(command), expected, "11 and 12 of the extents");
}

#[test]
fn a_file_of_an_id_that_is_not_mapped_belongs_to_nobody_inside() {
    let scratch = Scratch::new("nobody");
    let file = scratch.file("the-callers", "");
    let mut probe = Command::new("/bin/stat");
    probe.args(["-c", "%u"]).arg(&file).unshare(Namespace::User);
    assert_eq!(said(&probe.output().unwrap()), "0");
    let others = if is_root() { map(&[(0, 300_000, 10)]) } else { map(&[(0, subordinate("/etc/subuid"), 10)]) };
    let groups = if is_root() { map(&[(0, 300_000, 10)]) } else { map(&[(0, subordinate("/etc/subgid"), 10)]) };
    probe.user_map(UserMap::Extents { uids: others, gids: groups });
    assert_eq!(said(&probe.output().unwrap()), "65534", "the caller is left out");
}

#[test]
fn setgroups_is_denied_only_where_a_user_maps_nothing_but_itself() {
    let mut command = cat();
    assert_eq!(proc_self(&command, "setgroups"), if is_root() { "allow" } else { "deny" });
    command.user_map(UserMap::SubIds);
    assert_eq!(proc_self(&command, "setgroups"), "allow");
}

#[test]
fn groups_that_may_not_be_set_are_an_error_and_not_forgotten() {
    ordinary_user_only!();
    let error = cat().groups([0]).spawn().unwrap_err();
    assert_eq!((error.step(), error.side(), error.errno_name()), ("rights", Side::Child, Some("EPERM")), "{error}");
    assert_eq!(error.system_call(), Some("setgroups"));
    assert!(error.advice().unwrap().contains("subordinate ids"), "{error}");
}

#[test]
fn the_callers_groups_go_with_a_change_of_ids() {
    root_only!();
    let mut spawner = std::process::Command::new("setpriv");
    let inner = helper("groups");
    spawner.args(["--groups", "4,24"]).arg(inner.get_program()).args(inner.get_args());
    for (key, value) in inner.get_envs() {
        if let Some(value) = value {
            spawner.env(key, value);
        }
    }
    assert_eq!(told(&spawner.output().unwrap()), ["4 24", "", "", "7 9"]);
}

#[test]
fn root_changes_ids_without_a_user_namespace_and_a_user_may_not() {
    let mut command = Command::new("/bin/cat");
    command.uid(1234).gid(4321).groups([77]);
    if is_root() {
        assert_eq!(status(&command, "Uid"), "1234 1234 1234 1234");
        assert_eq!(status(&command, "Gid"), "4321 4321 4321 4321");
        assert_eq!(status(&command, "Groups"), "77");
        assert_eq!(status(&Command::new("/bin/cat"), "Uid"), "0 0 0 0");
    } else {
        let error = command.spawn().unwrap_err();
        assert_eq!((error.step(), error.side(), error.errno_name()), ("rights", Side::Child, Some("EPERM")));
    }
}

#[test]
fn a_users_own_id_may_be_named_without_a_user_namespace() {
    let mut command = Command::new("/bin/cat");
    command.uid(uid()).gid(gid());
    assert_eq!(status(&command, "Uid"), vec![uid().to_string(); 4].join(" "));
}

#[test]
fn an_id_that_is_not_mapped_is_refused_before_anything_is_made() {
    let is_invalid = |command: &mut Command, words: &str| {
        let error = command.spawn().unwrap_err();
        assert_eq!((error.code(), error.step(), error.side()), (Code::Invalid, "user map", Side::Plan), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    };
    is_invalid(cat().uid(5), "uid 5 is not mapped");
    is_invalid(cat().gid(5), "gid 5 is not mapped");
    is_invalid(cat().user_map(UserMap::CallerAs { uid: 5, gid: 5 }).uid(0), "uid 0 is not mapped");
    is_invalid(cat().user_map(allowed_extents()).uid(100), "uid 100 is not mapped");
    is_invalid(cat().user_map(allowed_extents()).uid(12).gid(100), "gid 100 is not mapped");
    is_invalid(Command::new("/bin/true").user_map(UserMap::CallerAsRoot), "needs a new user namespace");
}

#[test]
fn an_id_past_the_mapped_ones_is_an_error_before_anything_is_made() {
    let mut command = cat();
    command.user_map(UserMap::SubIds).uid(3_000_000_000);
    let error = command.spawn().unwrap_err();
    assert_eq!((error.step(), error.side(), error.errno_name()), ("user map", Side::Plan, None), "{error}");
    assert!(error.to_string().contains("uid 3000000000 is not mapped"), "{error}");
}

#[test]
fn a_group_that_is_not_mapped_is_an_error_of_the_child() {
    let error = cat().user_map(allowed_extents()).groups([999]).spawn().unwrap_err();
    assert_eq!((error.step(), error.side(), error.errno_name()), ("rights", Side::Child, Some("EINVAL")), "{error}");
}

#[test]
fn extents_that_overlap_are_no_map() {
    let extents = vec![Extent { inside: 0, outside: 1000, count: 10 }, Extent { inside: 9, outside: 5000, count: 1 }];
    let error = IdMap::new(extents).unwrap_err().to_string();
    assert!(error.contains("inside") && error.lines().count() == 1, "{error}");
    let extents = vec![Extent { inside: 0, outside: 1000, count: 10 }, Extent { inside: 50, outside: 1005, count: 1 }];
    let error = IdMap::new(extents).unwrap_err().to_string();
    assert!(error.contains("outside") && error.lines().count() == 1, "{error}");
}

#[test]
fn a_range_that_is_not_the_users_own_is_refused_by_name() {
    ordinary_user_only!();
    let mut command = cat();
    let theirs = subordinate("/etc/subuid") + 1_000_000;
    let uids = map(&[(0, uid(), 1), (1, theirs, 10)]);
    let gids = map(&[(0, gid(), 1), (1, subordinate("/etc/subgid"), 10)]);
    command.user_map(UserMap::Extents { uids, gids });
    let error = command.spawn().unwrap_err();
    assert_eq!((error.code(), error.step()), (Code::Invalid, "user map"), "{error}");
    assert!(error.to_string().contains(&format!("1:{theirs}:10")), "{error}");
    assert!(error.to_string().contains("/etc/subuid"), "{error}");
}

#[test]
fn other_namespaces_without_a_user_namespace_are_for_root() {
    ordinary_user_only!();
    let error = shell("true").unshare(Namespace::Uts).spawn().unwrap_err();
    assert_eq!((error.step(), error.side(), error.errno_name()), ("clone", Side::Parent, Some("EPERM")), "{error}");
    assert!(error.advice().unwrap().contains("new user namespace"), "{error}");
    assert!(shell("true").unshare(Namespace::User).unshare(Namespace::Uts).status().unwrap().success());
}

#[test]
fn the_number_that_means_no_change_is_no_id() {
    for (key, set) in [
        ("user.uid", (|command| command.uid(u32::MAX)) as fn(&mut Command) -> &mut Command),
        ("user.gid", |command| command.gid(u32::MAX)),
        ("user.groups", |command| command.groups([1, u32::MAX])),
    ] {
        let mut command = Command::new("/bin/id");
        command.unshare(Namespace::User);
        assert!(command.clone().plan().is_ok(), "the contrast");
        let error = set(&mut command).plan().unwrap_err();
        assert_eq!((error.code(), error.side()), (Code::Invalid, Side::Plan), "{error}");
        assert_eq!(error.field().map(ToString::to_string).as_deref(), Some(key), "{error}");
    }
}
