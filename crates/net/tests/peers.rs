//! Names of peers in hosts files.

mod common;

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use common::*;
use seclude_net::{Request, Veth};

fn peer() -> Request {
    let mut request = Request::default();
    request.nat = false;
    request.peers = true;
    request
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn a_hosts_file_has_the_peers_that_live() {
    root_only!();
    Space::host().run(|| {
        let named = |name: &str| -> (Veth, PathBuf, Space) {
            let veth = Veth::prepare(&peer()).unwrap();
            let path = veth.hosts(Some(name), &[([192, 0, 2, 9].into(), "extra".to_owned())]).unwrap().path;
            (veth, path, Space::container())
        };
        let (one, one_file, one_space) = named("one");
        let first = format!(
            "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n{}\tone\n192.0.2.9\textra\n",
            one.address()
        );
        assert_eq!(read(&one_file), first);
        let inode = std::fs::metadata(&one_file).unwrap();
        assert_eq!(inode.mode() & 0o777, 0o644);
        join(&one, &one_space);

        let (two, two_file, two_space) = named("two");
        let line = |veth: &Veth, name: &str| format!("{}\t{name}\t# peer {}\n", veth.address(), veth.link());
        assert!(read(&two_file).ends_with(&line(&one, "one")), "{}", read(&two_file));
        assert_eq!(read(&one_file), first, "two does not live yet");
        join(&two, &two_space);
        assert_eq!(read(&one_file), first.clone() + &line(&two, "two"));

        // What a container writes to its own file is not believed.
        std::fs::write(&one_file, "6.6.6.6\tbank\t# peer sc06060606\n").unwrap();
        let (three, three_file, _) = named("three");
        assert!(!read(&three_file).contains("bank"));
        drop(three);

        two.disconnect().unwrap();
        assert_eq!(read(&one_file), "6.6.6.6\tbank\t# peer sc06060606\n");
        assert!(!two_file.exists());
        assert_eq!(std::fs::metadata(&one_file).unwrap().ino(), inode.ino(), "it is mounted");
        one.disconnect().unwrap();
        assert_eq!(leftovers(), "");
    });
}

#[test]
fn others_are_not_named() {
    root_only!();
    Space::host().run(|| {
        let mut alone = peer();
        alone.peers = false;
        let (one, two) = (Veth::prepare(&alone).unwrap(), Veth::prepare(&peer()).unwrap());
        let one_file = one.hosts(Some("one"), &[]).unwrap().path;
        let (container, other) = (Space::container(), Space::container());
        join(&one, &container);
        let two_file = two.hosts(Some("two"), &[]).unwrap().path;
        join(&two, &other);
        assert!(!read(&one_file).contains("two") && !read(&two_file).contains("one"));
        let error = one.hosts(Some("a b"), &[]).unwrap_err().to_string();
        assert_eq!(error, "host name \"a b\": a name is letters, digits, '.', '-' and '_'");
    });
}
