//! What is below a cgroup, gone through whoever has made it: as deep, as many and as closed as a command that may write its cgroup
//! likes. So it takes one descriptor and no frame of the stack for a level, and no path longer than the kernel takes.

use std::path::{Path, PathBuf};

use crate::Error;
use crate::dir::Dir;

/// `PATH_MAX`: from there on messages name the cgroup above.
const LONGEST: usize = 4096;

/// What is done on the way.
pub(crate) trait Visitor {
    /// Before what is below it.
    fn enter(&mut self, dir: &Dir) -> Result<(), Error>;

    /// After that, from above; so also of one that could not be entered.
    fn leave(&mut self, _above: &Dir, _name: &Path) {}

    /// One that cannot be opened or listed: an error ends it.
    fn refused(&mut self, error: Error) -> Result<(), Error> {
        Err(error)
    }
}

/// One that is gone through.
struct Level {
    /// In the one above.
    name: PathBuf,
    /// Whether the path of the directory has the name.
    is_named: bool,
    /// The cgroups in it that are still to be gone through.
    left: Vec<PathBuf>,
}

/// Goes through all that is below, deepest first where [`Visitor::leave`] is concerned. What goes away meanwhile is passed over.
pub(crate) fn through(top: &Dir, visitor: &mut dyn Visitor) -> Result<(), Error> {
    let mut at = top.again()?;
    let mut levels = vec![Level { name: PathBuf::new(), is_named: false, left: list(&at, visitor)? }];
    while let Some(level) = levels.last_mut() {
        let Some(name) = level.left.pop() else {
            let Some(Level { name, is_named, .. }) = levels.pop() else { break };
            if levels.is_empty() {
                break;
            }
            at = at.open_above(is_named)?;
            visitor.leave(&at, &name);
            continue;
        };
        let is_named = at.path().as_os_str().len() + name.as_os_str().len() < LONGEST;
        let below = match at.open_below(&name, is_named) {
            Ok(dir) => dir,
            Err(error) if error.is_gone() => continue,
            Err(error) => {
                visitor.refused(error)?;
                visitor.leave(&at, &name);
                continue;
            }
        };
        match visitor.enter(&below) {
            Err(error) if error.is_gone() => continue,
            entered => entered?,
        }
        let left = list(&below, visitor)?;
        if left.is_empty() {
            visitor.leave(&at, &name);
        } else {
            levels.push(Level { name, is_named, left });
            at = below;
        }
    }
    Ok(())
}

fn list(dir: &Dir, visitor: &mut dyn Visitor) -> Result<Vec<PathBuf>, Error> {
    match dir.children() {
        Ok(names) => Ok(names),
        Err(error) if error.is_gone() => Ok(Vec::new()),
        Err(error) => visitor.refused(error).map(|()| Vec::new()),
    }
}
