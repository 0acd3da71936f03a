//! Finding hierarchies in the mountinfo of real kinds of hosts.

use std::path::Path;

use proptest::prelude::*;
use seclude_cgroup::{Cgroup, Controller, Error, Hierarchies, Limits, Mode, Version};

const FEDORA: (&str, &str) = (
    "22 63 0:20 / /sys rw,nosuid,nodev,noexec,relatime shared:2 - sysfs sysfs rw,seclabel\n\
     28 22 0:25 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:4 - cgroup2 cgroup2 rw,seclabel,nsdelegate,memory_recursiveprot\n\
     63 1 0:34 /root / rw,relatime shared:1 - btrfs /dev/mapper/luks rw,seclabel,compress=zstd:1,subvol=/root\n",
    "0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome\\x2dterminal-4711.scope\n",
);

const HYBRID: (&str, &str) = (
    "23 27 0:22 / /sys rw,relatime - sysfs sysfs rw\n\
     27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
     31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n\
     32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n\
     33 31 0:30 / /sys/fs/cgroup/cpuacct rw,relatime - cgroup cgroup rw,cpuacct\n\
     34 31 0:31 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset\n\
     35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
     39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids\n\
     40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd\n\
     41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n",
    "9:name=systemd:/\n8:pids:/\n4:memory:/process_api/10cb95e3\n3:cpuset:/\n2:cpuacct:/\n1:cpu:/\n0::/\n",
);

/// Ubuntu 16.04: co-mounted controllers, at the names in the kernel's order.
const LEGACY: (&str, &str) = (
    "18 23 0:17 / /sys rw,nosuid,nodev,noexec,relatime shared:7 - sysfs sysfs rw\n\
     23 0 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,data=ordered\n\
     26 18 0:22 / /sys/fs/cgroup ro,nosuid,nodev,noexec shared:9 - tmpfs tmpfs ro,mode=755\n\
     27 26 0:23 / /sys/fs/cgroup/systemd rw,nosuid,nodev,noexec,relatime shared:10 - cgroup cgroup rw,xattr,release_agent=/lib/systemd/systemd-cgroups-agent,name=systemd\n\
     30 26 0:26 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid,nodev,noexec,relatime shared:13 - cgroup cgroup rw,cpu,cpuacct\n\
     31 26 0:27 / /sys/fs/cgroup/net_cls,net_prio rw,nosuid,nodev,noexec,relatime shared:14 - cgroup cgroup rw,net_cls,net_prio\n\
     33 26 0:29 / /sys/fs/cgroup/blkio rw,nosuid,nodev,noexec,relatime shared:16 - cgroup cgroup rw,blkio\n\
     34 26 0:30 / /sys/fs/cgroup/memory rw,nosuid,nodev,noexec,relatime shared:17 - cgroup cgroup rw,memory\n",
    "8:memory:/user.slice\n7:blkio:/user.slice\n5:net_cls,net_prio:/\n4:cpu,cpuacct:/user.slice\n\
     1:name=systemd:/user.slice/user-1000.slice/session-2.scope\n",
);

/// Docker on v1 without a cgroup namespace: each mount is a read-only bind of the container's part.
const DOCKER_V1: (&str, &str) = (
    "600 450 0:60 / / rw,relatime master:200 - overlay overlay rw,lowerdir=/l,upperdir=/u,workdir=/w\n\
     610 600 0:62 / /sys ro,nosuid,nodev,noexec,relatime - sysfs sysfs ro\n\
     611 610 0:63 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime - tmpfs tmpfs rw,mode=755\n\
     612 611 0:30 /docker/3c1f /sys/fs/cgroup/memory ro,nosuid,nodev,noexec,relatime master:17 - cgroup cgroup rw,memory\n\
     613 611 0:26 /docker/3c1f /sys/fs/cgroup/cpu,cpuacct ro,nosuid,nodev,noexec,relatime master:13 - cgroup cgroup rw,cpu,cpuacct\n",
    "8:memory:/docker/3c1f\n4:cpu,cpuacct:/docker/3c1f\n",
);

/// Docker on v2 with a cgroup namespace, and the host's hierarchy mounted in addition.
const DOCKER_V2: (&str, &str) = (
    "600 450 0:60 / / rw,relatime master:200 - overlay overlay rw,lowerdir=/l,upperdir=/u,workdir=/w\n\
     610 600 0:62 / /sys ro,nosuid,nodev,noexec,relatime - sysfs sysfs ro\n\
     620 600 0:25 /../.. /host/cgroup\\040all rw,relatime master:4 - cgroup2 cgroup2 rw,nsdelegate\n\
     612 610 0:25 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw,nsdelegate\n",
    "0::/\n",
);

const WSL: (&str, &str) = (
    "70 0 0:27 / / rw,relatime - ext4 /dev/sdc rw,discard\n\
     80 70 0:40 / /sys rw,nosuid,nodev,noexec,noatime - sysfs sysfs rw\n",
    "0::/\n",
);

fn parse((mountinfo, own): (&str, &str)) -> Hierarchies {
    Hierarchies::parse(mountinfo, own)
}

fn mount_of(hierarchies: &Hierarchies, controller: Controller) -> Option<&str> {
    hierarchies.controller(controller)?.mount_point().to_str()
}

#[test]
fn unified_has_all_it_lists() {
    let fedora = parse(FEDORA).with_v2_controllers("cpuset cpu io memory hugetlb pids rdma misc dmem\n");
    assert_eq!(fedora.mode(), Mode::Unified);
    for controller in Controller::ALL {
        let expected = (controller != Controller::Devices).then_some("/sys/fs/cgroup");
        assert_eq!(mount_of(&fedora, controller), expected, "{controller}");
    }
    let own = "/user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome\\x2dterminal-4711.scope";
    assert_eq!(fedora.own_path(Controller::Memory), Some(Path::new(own)));
}

#[test]
fn unified_without_a_controller_does_not_have_it() {
    let delegated = parse(FEDORA).with_v2_controllers("memory pids");
    assert_eq!(mount_of(&delegated, Controller::Memory), Some("/sys/fs/cgroup"));
    assert_eq!(mount_of(&delegated, Controller::Cpu), None);
    assert_eq!(mount_of(&delegated, Controller::Freezer), Some("/sys/fs/cgroup"), "every v2 cgroup can freeze");
    assert_eq!(mount_of(&parse(FEDORA), Controller::Memory), None, "nobody said which there are");
}

#[test]
fn hybrid_uses_v2_only_for_what_it_lists() {
    let here = parse(HYBRID).with_v2_controllers("hugetlb\n");
    assert_eq!(here.mode(), Mode::Hybrid);
    assert_eq!(mount_of(&here, Controller::Memory), Some("/sys/fs/cgroup/memory"));
    assert_eq!(mount_of(&here, Controller::Hugetlb), Some("/sys/fs/cgroup/unified"));
    assert_eq!(mount_of(&here, Controller::Cpuacct), Some("/sys/fs/cgroup/unified"));
    assert_eq!(mount_of(&here, Controller::Io), None);
    assert_eq!(here.own_path(Controller::Memory), Some(Path::new("/process_api/10cb95e3")));
    assert_eq!(here.own_path(Controller::Pids), Some(Path::new("/")));
    assert!(here.v1().iter().any(|h| h.controllers() == ["name=systemd"]));
}

#[test]
fn legacy_has_controllers_mounted_together() {
    let ubuntu = parse(LEGACY);
    assert_eq!(ubuntu.mode(), Mode::Legacy);
    assert_eq!(mount_of(&ubuntu, Controller::Cpu), Some("/sys/fs/cgroup/cpu,cpuacct"));
    assert_eq!(ubuntu.controller(Controller::Cpu), ubuntu.controller(Controller::Cpuacct));
    assert_eq!(ubuntu.own_path(Controller::Cpuacct), Some(Path::new("/user.slice")));
    assert_eq!(mount_of(&ubuntu, Controller::Freezer), None);
    let systemd = ubuntu.v1().iter().find(|h| h.controllers() == ["name=systemd"]).unwrap();
    assert_eq!(systemd.own_path(), Some(Path::new("/user.slice/user-1000.slice/session-2.scope")));
}

#[test]
fn a_bind_mount_of_a_part_is_known_for_what_it_shows() {
    let docker = parse(DOCKER_V1);
    let memory = docker.controller(Controller::Memory).unwrap();
    assert_eq!(memory.root(), Path::new("/docker/3c1f"));
    assert!(memory.is_read_only());
    assert_eq!(memory.locate(Path::new("/docker/3c1f/x")), Some("/sys/fs/cgroup/memory/x".into()));
    assert_eq!(memory.locate(memory.own_path().unwrap()), Some("/sys/fs/cgroup/memory".into()));
    assert_eq!(memory.locate(Path::new("/seclude")), None);
    assert_eq!(memory.locate(Path::new("/docker/3c1f/../x")), None);
}

#[test]
fn of_two_mounts_the_one_that_shows_this_process_counts() {
    let docker = parse(DOCKER_V2).with_v2_controllers("memory pids");
    let v2 = docker.v2().unwrap();
    assert_eq!((v2.version(), v2.mount_point()), (Version::V2, Path::new("/sys/fs/cgroup")));
    assert!(v2.is_read_only());
    assert_eq!(docker.mode(), Mode::Unified);
}

#[test]
fn of_two_mounts_that_show_it_the_writable_one_counts() {
    let (mountinfo, own) = DOCKER_V2;
    let writable = format!("{mountinfo}630 600 0:25 / /mnt/a\\040b rw - cgroup2 cgroup2 rw\n");
    let docker = Hierarchies::parse(&writable, own);
    assert_eq!(docker.v2().unwrap().mount_point(), Path::new("/mnt/a b"));
}

#[test]
fn outside_of_the_namespace_there_is_no_name() {
    let outside = Hierarchies::parse("1 0 0:25 /../.. /cg rw - cgroup2 cgroup2 rw\n", "0::/../x\n");
    let v2 = outside.v2().unwrap();
    assert_eq!(v2.own_path(), Some(Path::new("/../x")));
    assert_eq!(v2.locate(Path::new("/")), None);
    assert_eq!(v2.locate(Path::new("/../../a")), Some("/cg/a".into()));
}

#[test]
fn a_hidden_mount_and_a_removed_cgroup_do_not_count() {
    let (mountinfo, _) = FEDORA;
    let hidden = format!("{mountinfo}90 28 0:99 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n");
    assert_eq!(Hierarchies::parse(&hidden, "0::/\n").mode(), Mode::Absent);
    let deleted = Hierarchies::parse(mountinfo, "0::/x (deleted)\n");
    assert_eq!(deleted.v2().unwrap().own_path(), None);
}

#[test]
fn without_cgroups_every_limit_is_an_error() {
    let wsl = parse(WSL);
    assert_eq!(wsl.mode(), Mode::Absent);
    for limits in [Limits::new(), Limits::new().pids_max(5)] {
        let error = Cgroup::create(&wsl, Path::new("/seclude-test"), &limits, &[]).unwrap_err();
        assert!(matches!(error, Error::NoHierarchy), "{error}");
        assert!(error.hint().is_some());
    }
    assert!(matches!(wsl.writable_parent(Path::new("/x"), &[]), Err(Error::NoHierarchy)));
}

#[test]
fn a_limit_whose_controller_is_nowhere_names_both() {
    let ubuntu = parse(LEGACY);
    let error = Cgroup::create(&ubuntu, Path::new("/seclude-test"), &Limits::new().pids_max(5), &[]).unwrap_err();
    assert_eq!(error.to_string(), "pids.max needs the pids controller, which no mounted cgroup hierarchy has");
    let fedora = parse(FEDORA).with_v2_controllers("memory");
    let error = Cgroup::create(&fedora, Path::new("/x"), &Limits::new(), &[Controller::Cpu]).unwrap_err();
    assert_eq!(error.to_string(), "the cpu controller is asked for, which no mounted cgroup hierarchy has");
}

proptest! {
    #[test]
    fn any_text_parses_to_something(mountinfo in "([0-3] [0-3] 0:1 (/|/a|\\\\04|/\\.\\.) (/|/a|/a/b) rw - cgroup2? x rw(,cpu)?\n|[ -~\n]{0,20}){0,6}",
                                    own in "([0-9]:(cpu|name=x|,)?:/?[a-z]*\n|[ -~\n]{0,10}){0,4}") {
        let found = Hierarchies::parse(&mountinfo, &own);
        let _ = (found.mode(), found.controller(Controller::Cpu), found.own_path(Controller::Cpu));
    }
}
