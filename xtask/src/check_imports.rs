//! In the library imports run one way: no module uses one that uses it, by whatever detour.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::workspace;

/// From below: what stands further down is used by what stands further up, and never the other way round.
const FLOORS: [&str; 5] = ["config", "step", "plan", "spawn", "command"];

type Uses = BTreeMap<String, BTreeSet<String>>;

pub(crate) fn check() -> Result<()> {
    let mut uses = Uses::new();
    read(&workspace::root().join("crates/seclude/src"), None, &mut uses)?;
    uses.remove("lib");
    ensure!(uses.len() > 20, "only {} modules were found: they are looked for in the wrong place", uses.len());
    let wrong = wrong(&uses);
    ensure!(wrong.is_empty(), "crates/seclude/src: {}", wrong.join("; "));
    println!("{} modules, {} imports, one way", uses.len(), uses.values().map(BTreeSet::len).sum::<usize>());
    Ok(())
}

/// What every file of a module, which is a file or a directory, names of the others.
fn read(directory: &Path, module: Option<&str>, uses: &mut Uses) -> Result<()> {
    for entry in fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        let path = entry?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let module = module.unwrap_or(&name);
        if path.is_dir() {
            read(&path, Some(module), uses)?;
        } else {
            let named = named(&fs::read_to_string(&path)?);
            uses.entry(module.to_owned()).or_default().extend(named.into_iter().filter(|other| other != module));
        }
    }
    Ok(())
}

/// The modules that the code of a file names: not its comments, nor its tests, which may use whatever is above.
fn named(source: &str) -> BTreeSet<String> {
    let code = source.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let mut found = BTreeSet::new();
    for line in lines {
        for rest in line.split("crate::").skip(1) {
            let list = rest.strip_prefix('{').map_or(rest, |list| list.split('}').next().unwrap_or_default());
            let several = rest.starts_with('{');
            for word in list.split(',').take(if several { usize::MAX } else { 1 }) {
                let name: String = word.trim().chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
                found.extend(Some(name).filter(|name| !name.is_empty()));
            }
        }
    }
    found
}

fn wrong(uses: &Uses) -> Vec<String> {
    let mut wrong = Vec::new();
    for (index, floor) in FLOORS.iter().enumerate() {
        for above in FLOORS.iter().skip(index + 1).filter(|above| reach(uses, floor).contains(**above)) {
            wrong.push(format!("{floor} uses {above}, which stands above it"));
        }
    }
    let mut told = BTreeSet::new();
    for module in uses.keys() {
        if let Some(circle) = circle(uses, module) {
            let mut members = circle.clone();
            members.sort();
            if told.insert(members) {
                wrong.push(format!("a circle: {} -> {module}", circle.join(" -> ")));
            }
        }
    }
    wrong
}

/// All that a module uses, by whatever detour.
fn reach<'a>(uses: &'a Uses, from: &str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut waiting: Vec<&str> = uses.get(from).into_iter().flatten().map(String::as_str).collect();
    while let Some(module) = waiting.pop() {
        if reached.insert(module) {
            waiting.extend(uses.get(module).into_iter().flatten().map(String::as_str));
        }
    }
    reached
}

/// The shortest way from a module back to itself.
fn circle(uses: &Uses, from: &str) -> Option<Vec<String>> {
    let mut before = BTreeMap::<&str, &str>::new();
    let mut waiting = std::collections::VecDeque::from([from]);
    while let Some(module) = waiting.pop_front() {
        for next in uses.get(module).into_iter().flatten() {
            if next == from {
                let mut way = vec![module.to_owned()];
                while let Some(earlier) = before.get(way[way.len() - 1].as_str()) {
                    way.push((*earlier).to_owned());
                }
                way.reverse();
                return Some(way);
            }
            if !before.contains_key(next.as_str()) {
                before.insert(next, module);
                waiting.push_back(next);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uses(arrows: &[(&str, &str)]) -> Uses {
        let mut uses = Uses::new();
        for (from, to) in arrows {
            uses.entry((*from).to_owned()).or_default().insert((*to).to_owned());
        }
        uses
    }

    #[test]
    fn a_circle_and_an_arrow_that_points_up_are_found() {
        assert!(
            wrong(&uses(&[("step", "config"), ("plan", "step"), ("spawn", "plan"), ("command", "spawn")])).is_empty()
        );
        let circle = wrong(&uses(&[("a", "b"), ("b", "c"), ("c", "a")]));
        assert_eq!(circle, ["a circle: a -> b -> c -> a"]);
        let up = wrong(&uses(&[("step", "hint"), ("hint", "spawn")]));
        assert_eq!(up, ["step uses spawn, which stands above it"]);
    }

    #[test]
    fn code_is_read_and_comments_and_tests_are_not() {
        let source = "use crate::error::Error;\n/// [`crate::Child`] crate::child::Child\nuse crate::{a, b::c};\n\
                      fn f() { crate::hint::g() }\n#[cfg(test)]\nmod tests { use crate::plan; }\n";
        assert_eq!(named(source), ["a", "b", "error", "hint"].map(str::to_owned).into());
    }
}
