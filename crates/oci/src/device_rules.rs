//! Rules of devices: the last that fits holds, as v1 has them in `devices.allow` and `devices.deny`; here what they come to.

use seclude::cgroup::{Access, DeviceKind, DeviceRule, Devices};

use crate::failure::{Failure, Result};
use crate::spec::{self, Device};

const MKNOD: Access = Access { read: false, write: false, mknod: true };

/// Nodes that every container has: null, zero, full, random, urandom, tty, ptmx, console, and its own pseudoterminals.
const USUAL: [(u32, Option<u32>); 9] = [
    (1, Some(3)),
    (1, Some(5)),
    (1, Some(7)),
    (1, Some(8)),
    (1, Some(9)),
    (5, Some(0)),
    (5, Some(1)),
    (5, Some(2)),
    (136, None),
];

/// What they come to; without any the usual nodes and those that are named, as others have it: a container that may make nodes is not to come
/// to the host's disks because nobody has said that it may not.
pub(crate) fn allowed(rules: &[spec::DeviceRule], devices: &[Device]) -> Result<Devices> {
    // As others have it: what no rule allows is not allowed, wherever the list begins.
    let mut now = Devices::These(Vec::new());
    for (index, rule) in rules.iter().enumerate() {
        let field = format!("linux.resources.devices[{index}]");
        apply(&mut now, rule, &field)?;
    }
    let usual = USUAL.into_iter().map(|(major, minor)| DeviceRule {
        kind: DeviceKind::Char,
        major: Some(major),
        minor,
        access: Access::ALL,
    });
    if let Devices::AllBut(list) = &mut now {
        let is_usual = |rule: &DeviceRule| {
            usual.clone().any(|own| (own.kind, own.major, own.minor) == (rule.kind, rule.major, rule.minor))
        };
        list.retain(|rule| !is_usual(rule));
    }
    if let Devices::These(list) = &mut now {
        let nodes = devices.iter().filter_map(|device| {
            let kind = match device.kind.as_str() {
                "c" | "u" => DeviceKind::Char,
                "b" => DeviceKind::Block,
                _ => return None,
            };
            let part = |number: i64| u32::try_from(number).ok();
            Some(DeviceRule { kind, major: part(device.major), minor: part(device.minor), access: Access::ALL })
        });
        // A node that is named is there to be used, but for what a rule says of it, by its number or with all others.
        let covers = |own: Option<i64>, other: Option<u32>| {
            own.filter(|own| *own != -1).is_none_or(|own| other.map(i64::from) == Some(own))
        };
        let is_kind = |own: Option<&str>, other: DeviceKind| match own.unwrap_or("a") {
            "b" => other == DeviceKind::Block,
            "c" | "u" => other == DeviceKind::Char,
            _ => true,
        };
        let named = |rule: &DeviceRule| {
            rules.iter().any(|own| {
                is_kind(own.kind.as_deref(), rule.kind)
                    && covers(own.major, rule.major)
                    && covers(own.minor, rule.minor)
            })
        };
        let nodes: Vec<DeviceRule> = nodes.filter(|rule| !named(rule)).collect();
        list.extend(nodes);
        // Making a node gives no access to the device.
        list.extend([DeviceKind::Char, DeviceKind::Block].map(|kind| DeviceRule::all_of(kind, MKNOD)));
        list.extend(usual);
    }
    Ok(now)
}

fn apply(now: &mut Devices, rule: &spec::DeviceRule, field: &str) -> Result<()> {
    let access = access(&rule.access, field)?;
    let kinds: &[DeviceKind] = match rule.kind.as_deref().unwrap_or("a") {
        "a" | "" => &[DeviceKind::Char, DeviceKind::Block],
        "c" | "u" => &[DeviceKind::Char],
        "b" => &[DeviceKind::Block],
        other => return Err(Failure::at(format!("{field}.type"), format!("{other:?} is none of a, c and b"))),
    };
    let number = |number: Option<i64>, name: &str| match number {
        None | Some(-1) => Ok(None),
        Some(number) => match u32::try_from(number) {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(Failure::at(format!("{field}.{name}"), format!("{number} is no device's"))),
        },
    };
    let (major, minor) = (number(rule.major, "major")?, number(rule.minor, "minor")?);
    let is_all = kinds.len() == 2 && major.is_none() && minor.is_none() && access == Access::ALL;
    match (rule.allow, is_all) {
        (true, true) => *now = Devices::AllBut(Vec::new()),
        (false, true) => *now = Devices::These(Vec::new()),
        (allow, false) => match now {
            Devices::AllBut(list) if allow => take_out(list, kinds, (major, minor), access, field)?,
            Devices::AllBut(list) => list.extend(kinds.iter().map(|&kind| DeviceRule { kind, major, minor, access })),
            Devices::These(list) if allow => {
                list.extend(kinds.iter().map(|&kind| DeviceRule { kind, major, minor, access }));
            }
            Devices::These(list) => take_out(list, kinds, (major, minor), access, field)?,
        },
    }
    Ok(())
}

/// A part of what a wider rule names cannot be taken out of a list.
fn take_out(
    list: &mut Vec<DeviceRule>,
    kinds: &[DeviceKind],
    (major, minor): (Option<u32>, Option<u32>),
    access: Access,
    field: &str,
) -> Result<()> {
    let covers = |own: Option<u32>, other: Option<u32>| own.is_none() || own == other;
    let meets = |own: Option<u32>, other: Option<u32>| covers(own, other) || other.is_none();
    for rule in list.iter_mut().filter(|rule| kinds.contains(&rule.kind)) {
        if covers(major, rule.major) && covers(minor, rule.minor) {
            rule.access.read &= !access.read;
            rule.access.write &= !access.write;
            rule.access.mknod &= !access.mknod;
        } else if meets(major, rule.major) && meets(minor, rule.minor) {
            return Err(Failure::at(
                field,
                "a part of what a rule before names: the kernel has one list, of what is allowed or of what is not",
            ));
        }
    }
    list.retain(|rule| rule.access != Access { read: false, write: false, mknod: false });
    Ok(())
}

fn access(letters: &str, field: &str) -> Result<Access> {
    if letters.is_empty() {
        return Ok(Access::ALL);
    }
    let mut access = Access { read: false, write: false, mknod: false };
    for letter in letters.chars() {
        match letter {
            'r' => access.read = true,
            'w' => access.write = true,
            'm' => access.mknod = true,
            // Others pass it over, and lists of rules have it.
            'a' => {}
            _ => return Err(Failure::at(format!("{field}.access"), format!("{letters:?} is not of r, w and m"))),
        }
    }
    Ok(access)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: serde_json::Value) -> spec::DeviceRule {
        serde_json::from_value(text).unwrap()
    }

    #[test]
    fn the_lists_of_engines_come_to_what_they_name_and_the_usual_nodes() {
        use serde_json::json;
        let rules = [
            rule(json!({ "allow": false, "access": "rwm" })),
            rule(json!({ "allow": true, "type": "c", "major": 10, "minor": 200, "access": "rwm" })),
            rule(json!({ "allow": false, "type": "c", "major": 10, "minor": 229, "access": "rwm" })),
        ];
        let Ok(Devices::These(list)) = allowed(&rules, &[]) else { panic!() };
        let has = |major, minor| list.iter().any(|rule| (rule.major, rule.minor) == (Some(major), Some(minor)));
        assert!(has(10, 200) && has(1, 3) && !has(10, 229) && !has(8, 0));
        let all = rule(json!({ "allow": true, "access": "rwm" }));
        assert_eq!(allowed(&[rules[0].clone(), all.clone()], &[]).unwrap(), Devices::AllBut(Vec::new()));
        let Ok(Devices::These(list)) = allowed(&rules[2..], &[]) else { panic!() };
        assert!(!list.iter().any(|rule| rule.major == Some(10)), "nothing but the usual");
        let Ok(Devices::AllBut(list)) = allowed(&[all.clone(), rules[2].clone()], &[]) else { panic!() };
        assert_eq!(list.iter().map(|rule| (rule.major, rule.minor)).collect::<Vec<_>>(), [(Some(10), Some(229))]);
        let again = rule(json!({ "allow": true, "type": "c", "major": 10, "minor": 229, "access": "rwm" }));
        let back = [all.clone(), rules[2].clone(), again];
        assert_eq!(allowed(&back, &[]).unwrap(), Devices::AllBut(Vec::new()), "and that one after all");
        let null = rule(json!({ "allow": false, "type": "c", "major": 1, "minor": 3, "access": "w" }));
        assert_eq!(allowed(&[all, null], &[]).unwrap(), Devices::AllBut(Vec::new()), "the usual ones are there");
        let Ok(Devices::These(list)) = allowed(&[], &[]) else { panic!() };
        assert!(list.iter().any(|rule| (rule.major, rule.minor) == (Some(1), Some(3))), "nothing is said");
        assert!(list.iter().all(|rule| rule.major.is_some() || rule.access == MKNOD), "{list:?}");
        let node = Device { path: "/dev/sda".to_owned(), kind: "b".to_owned(), major: 8, ..Device::default() };
        let of_node = |rules: &[spec::DeviceRule]| match allowed(rules, std::slice::from_ref(&node)) {
            Ok(Devices::These(list)) => list.iter().any(|rule| rule.major == Some(8)),
            _ => panic!(),
        };
        assert!(of_node(&rules[1..]), "a node that no rule is about");
        let any_minor = rule(json!({ "allow": false, "type": "b", "major": 8, "minor": -1, "access": "w" }));
        assert!(!of_node(&[rules[1].clone(), any_minor]) && !of_node(&rules[..1]), "one that a rule is about");
        let some = rule(json!({ "allow": true, "type": "c", "major": 10, "access": "rw" }));
        assert!(allowed(&[rules[0].clone(), some, rules[2].clone()], &[]).is_err(), "a part of another");
    }
}
