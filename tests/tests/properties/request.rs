//! What is asked for, as data.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use seclude::{CloneWay, Namespace};
use seclude_tests::is_root;

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) unshared: Vec<Namespace>,
    pub(crate) tree: Tree,
    /// In their order.
    pub(crate) mounts: Vec<Wish>,
    pub(crate) ids: Ids,
    pub(crate) limits: Limits,
    pub(crate) flags: Flags,
    pub(crate) way: CloneWay,
    pub(crate) descriptor: Option<i32>,
    pub(crate) workdir: bool,
    pub(crate) signal_mask: u64,
    pub(crate) veth: Option<Link>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Tree {
    /// No word about it.
    Unsaid,
    Host,
    HostReadOnly,
    Own,
    OwnReadOnly,
    Ephemeral,
}

const TREES: [Tree; 6] = [Tree::Unsaid, Tree::Host, Tree::HostReadOnly, Tree::Own, Tree::OwnReadOnly, Tree::Ephemeral];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wish {
    Tmpfs,
    Proc,
    Dev,
    Bind,
    BindReadOnly,
    Overlay,
    File,
    Directory,
    Symlink,
    Mask,
    ReadOnlyPath,
}

const WISHES: [Wish; 11] = [
    Wish::Tmpfs,
    Wish::Proc,
    Wish::Dev,
    Wish::Bind,
    Wish::BindReadOnly,
    Wish::Overlay,
    Wish::File,
    Wish::Directory,
    Wish::Symlink,
    Wish::Mask,
    Wish::ReadOnlyPath,
];

#[derive(Clone, Copy, Debug)]
pub(crate) struct Ids {
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
    pub(crate) identity: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) files: Option<u64>,
    pub(crate) umask: Option<u32>,
    pub(crate) oom_score_adj: Option<i16>,
    /// Whether it starts many processes, and how many it may.
    pub(crate) forks: Option<Option<u64>>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Flags {
    pub(crate) hostname: bool,
    pub(crate) boottime: bool,
    pub(crate) no_capabilities: bool,
    pub(crate) gain_privileges: bool,
    pub(crate) session: bool,
    pub(crate) terminal: bool,
    pub(crate) init: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    pub(crate) point_to_point: bool,
    pub(crate) rate: bool,
    pub(crate) publish: bool,
}

pub(crate) fn request() -> impl Strategy<Value = Request> {
    use prop::bool::weighted;
    let kinds = subsequence(Namespace::ALL.to_vec(), 0..=Namespace::ALL.len());
    let mounts = subsequence(WISHES.to_vec(), 0..=WISHES.len()).prop_shuffle();
    let id = || prop::option::of(select(vec![0u32, 1000]));
    let ids = (id(), id(), any::<bool>()).prop_map(|(uid, gid, identity)| Ids { uid, gid, identity });
    let forks = prop::option::weighted(0.2, prop::option::of(6u64..12));
    let adj = prop::option::weighted(0.2, 500i16..=1000);
    let limits = (prop::option::of(16u64..200), prop::option::of(0u32..0o100), adj, forks)
        .prop_map(|(files, umask, oom_score_adj, forks)| Limits { files, umask, oom_score_adj, forks });
    let half = any::<bool>;
    let flags = (half(), weighted(0.2), half(), half(), half(), weighted(0.15), half()).prop_map(
        |(hostname, boottime, no_capabilities, gain_privileges, session, terminal, init)| Flags {
            hostname,
            boottime,
            no_capabilities,
            gain_privileges,
            session,
            terminal,
            init,
        },
    );
    let way = select(vec![CloneWay::Auto, CloneWay::Vm, CloneWay::Copy, CloneWay::Legacy]);
    let link =
        (half(), half(), half()).prop_map(|(point_to_point, rate, publish)| Link { point_to_point, rate, publish });
    let veth = prop::option::weighted(0.1, link).prop_map(|link| link.filter(|_| is_root()));
    let more = (prop::option::weighted(0.3, 3..10), half(), select(vec![0, 1 << 9, 3 << 33]), veth);
    let all = (kinds, select(TREES.to_vec()), mounts, ids, limits, flags, way, more, weighted(0.8));
    all.prop_map(|(unshared, tree, mounts, ids, limits, flags, way, more, sensible)| {
        let (descriptor, workdir, signal_mask, veth) = more;
        let mut request =
            Request { unshared, tree, mounts, ids, limits, flags, way, descriptor, workdir, signal_mask, veth };
        request.contain();
        if sensible {
            request.make_sense();
        }
        request
    })
}

impl Request {
    pub(crate) fn has_own_root(&self) -> bool {
        matches!(self.tree, Tree::Own | Tree::OwnReadOnly | Tree::Ephemeral)
    }

    pub(crate) fn unshares(&self, kind: Namespace) -> bool {
        self.unshared.contains(&kind)
    }

    fn add(&mut self, kind: Namespace) {
        if !self.unshares(kind) {
            self.unshared.push(kind);
        }
    }

    /// Without a user namespace an ordinary user may do little, and root would do it to the host.
    fn contain(&mut self) {
        if !is_root() || !self.unshares(Namespace::Mount) {
            self.add(Namespace::User);
        }
        // It goes without saying.
        if self.veth.is_some() {
            self.add(Namespace::Net);
        }
    }

    /// Most plans are no contradictions.
    fn make_sense(&mut self) {
        self.add(Namespace::Mount);
        if self.flags.init || self.mounts.contains(&Wish::Proc) {
            self.add(Namespace::Pid);
        }
        if matches!(self.tree, Tree::HostReadOnly | Tree::OwnReadOnly) {
            self.mounts.retain(|wish| !matches!(wish, Wish::File | Wish::Directory | Wish::Symlink));
        }
        if self.flags.hostname {
            self.add(Namespace::Uts);
        }
        if self.flags.boottime {
            self.add(Namespace::Time);
        }
        self.ids.identity &= self.unshares(Namespace::User);
        if !is_root() || !self.ids.identity && self.unshares(Namespace::User) {
            self.ids.uid = self.ids.uid.filter(|uid| *uid == 0);
            self.ids.gid = self.ids.gid.filter(|gid| *gid == 0);
        }
        if self.limits.oom_score_adj.is_some() && self.way == CloneWay::Vm {
            self.way = CloneWay::Auto;
        }
    }
}
