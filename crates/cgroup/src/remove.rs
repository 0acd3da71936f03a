//! Removing a cgroup with everything below it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;

use crate::below::{self, Visitor};
use crate::dir::Dir;
use crate::inside::INSIDE;
use crate::text::keyed;
use crate::wait::Deadline;
use crate::{Cgroup, Error, parent, processes, wait};

/// How long an exiting process that is listed no more may take to leave; it takes microseconds.
const LAST_MOMENTS: Duration = Duration::from_secs(2);

impl Cgroup {
    /// Removes it from all hierarchies, deepest first: also what processes inside have made
    /// below. Then the parent, if this process made it and nothing else is in it.
    ///
    /// It must be empty: [`Cgroup::kill`] and [`Cgroup::wait_empty`] first. What is gone already
    /// is no error, so it can be called again.
    ///
    /// # Errors
    /// [`Error::NotRemoved`] with what is left, of more than 16 the first; as much as possible is removed first.
    pub fn remove(&self) -> Result<(), Error> {
        let mut left = Left { paths: Vec::new(), first: None, deadline: wait::deadline(Some(LAST_MOMENTS)) };
        for place in &self.places {
            match (place.dir.open_parent(), self.path.file_name()) {
                (Ok(above), Some(name)) => {
                    // Nearly always all that is below; if not, the walk finds it.
                    let _ = place.dir.remove_child(Path::new(INSIDE));
                    left.remove(&above, Path::new(name));
                    let depth = self.path.parent().and_then(|parent| place.hierarchy.below_root(parent));
                    parent::release_opened(above, depth.map_or(0, |path| path.components().count()));
                }
                (Err(error), _) if error.is_gone() => {}
                (Err(error), _) => left.note(place.dir.path(), error.errno()),
                (Ok(_), None) => {}
            }
        }
        match left.first {
            Some(errno) => Err(Error::NotRemoved { left: left.paths, source: errno.into() }),
            None => Ok(()),
        }
    }
}

/// So many are named that stay: a command can have made thousands.
const MOST_NAMED: usize = 16;

/// What could not be removed so far.
struct Left {
    paths: Vec<PathBuf>,
    first: Option<Errno>,
    deadline: Deadline,
}

impl Left {
    fn note(&mut self, path: &Path, errno: Option<i32>) {
        if self.paths.len() < MOST_NAMED {
            self.paths.push(path.to_path_buf());
        }
        self.first.get_or_insert(errno.map_or(Errno::IO, Errno::from_raw_os_error));
    }

    fn remove(&mut self, above: &Dir, name: &Path) {
        match above.remove_child(name) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(Errno::BUSY | Errno::NOTEMPTY) => {
                let opened = above.open_closed_child(name);
                match opened.and_then(|dir| self.enter(&dir).and_then(|()| below::through(&dir, self))) {
                    Err(error) if !error.is_gone() => self.note(&above.path().join(name), error.errno()),
                    _ => self.leave(above, name),
                }
            }
            Err(errno) => self.note(&above.path().join(name), Some(errno.raw_os_error())),
        }
    }
}

impl Visitor for Left {
    fn enter(&mut self, dir: &Dir) -> Result<(), Error> {
        dir.open_to_be_emptied();
        Ok(())
    }

    fn leave(&mut self, above: &Dir, name: &Path) {
        loop {
            match above.remove_child(name) {
                Ok(()) | Err(Errno::NOENT) => return,
                Err(Errno::BUSY)
                    if above
                        .open_child(name)
                        .is_ok_and(|dir| nobody_is_listed(&dir) && look_again(&dir, self.deadline)) => {}
                Err(errno) => return self.note(&above.path().join(name), Some(errno.raw_os_error())),
            }
        }
    }

    /// It stays, which is told when it is to be removed; all others go.
    fn refused(&mut self, _: Error) -> Result<(), Error> {
        Ok(())
    }
}

/// Removes one of somebody who has ended, with all that is below, unless a process is there.
pub(crate) fn remove_deserted(above: &Dir, name: &Path, dir: &Dir) -> bool {
    let has_nobody = match dir.read_if_any("cgroup.events") {
        Ok(Some(events)) => keyed(&events, "populated") == Some(0),
        // v1 has no such file.
        Ok(None) => {
            let mut is_empty = true;
            let looked = processes::walk(dir, &mut |dir| {
                is_empty &= dir.read_list("cgroup.procs")?.trim().is_empty();
                Ok(())
            });
            looked.is_ok() && is_empty
        }
        Err(_) => false,
    };
    let mut left = Left { paths: Vec::new(), first: None, deadline: wait::deadline(Some(Duration::ZERO)) };
    if has_nobody {
        left.remove(above, name);
    }
    has_nobody && left.first.is_none()
}

fn nobody_is_listed(dir: &Dir) -> bool {
    let no_process = dir.read_list("cgroup.procs").is_ok_and(|procs| procs.trim().is_empty());
    no_process && dir.children().is_ok_and(|children| children.is_empty())
}

/// Nobody is listed and yet it is busy: a process is in the last moments of its exit.
fn look_again(dir: &Dir, deadline: Deadline) -> bool {
    match dir.read_if_any("cgroup.events") {
        Ok(Some(events)) if events.contains("populated 1") => {
            wait::event(dir, "populated", 0, deadline).is_ok_and(|empty| empty)
        }
        _ => wait::look_again(deadline),
    }
}
