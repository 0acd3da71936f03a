//! A directory of a test's own.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A new directory under the system's temporary one, removed with all that is in it at the end.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes it; `name` tells whose it was if a test is killed.
    pub fn new(name: &str) -> Scratch {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir().join(format!("seclude-test-{name}-{}-{number}", std::process::id()));
            match std::fs::create_dir(&path) {
                Ok(()) => return Scratch(path),
                // In a pid namespace of a test's own the number of the process is somebody else's outside.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => panic!("a new temporary directory: {error}"),
            }
        }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The path of an entry.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }

    /// Makes a directory in it, with its parents.
    pub fn directory(&self, name: impl AsRef<Path>) -> PathBuf {
        let path = self.join(name);
        std::fs::create_dir_all(&path).expect("a directory in the scratch directory");
        path
    }

    /// Makes a file in it, with its parents.
    pub fn file(&self, name: impl AsRef<Path>, content: &(impl AsRef<[u8]> + ?Sized)) -> PathBuf {
        let path = self.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).expect("a directory in the scratch directory");
        }
        std::fs::write(&path, content).expect("a file in the scratch directory");
        path
    }

    /// Makes a file that can be run at once, also while other tests start processes: see [`crate::busybox_root`].
    pub fn executable(&self, name: impl AsRef<Path>, content: &(impl AsRef<[u8]> + ?Sized)) -> PathBuf {
        let path = self.join(name);
        let written = self.file(path.with_extension("written"), content);
        let moved = std::process::Command::new("/bin/sh")
            .args(["-c", r#"cp "$1" "$2" && chmod 755 "$2" && rm "$1""#, "sh"])
            .args([&written, &path])
            .status();
        assert!(moved.expect("a shell starts").success(), "{} is made", path.display());
        path
    }

    /// Every path below it, sorted: to compare before and after.
    pub fn listing(&self) -> Vec<PathBuf> {
        fn walk(directory: &Path, into: &mut Vec<PathBuf>) {
            for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
                into.push(entry.path());
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    walk(&entry.path(), into);
                }
            }
        }
        let mut found = Vec::new();
        walk(&self.0, &mut found);
        found.sort();
        found
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        use std::os::unix::fs::PermissionsExt;
        // A running overlay leaves its work directory closed even to its owner.
        for _ in 0..3 {
            if std::fs::remove_dir_all(&self.0).is_ok() {
                return;
            }
            for path in self.listing().into_iter().filter(|path| path.is_dir()) {
                let _ = std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700));
            }
        }
    }
}
