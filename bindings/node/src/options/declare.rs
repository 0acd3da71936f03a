//! The tables of keys as TypeScript.

use std::fmt::Write;

use seclude::Feature;

use super::{Key, Off, Shape, container, fs, limit, namespace, network, process, root, snake};

/// The types of everything below `container`.
pub(crate) fn declarations() -> String {
    let mut text = SPELLED.to_owned();
    container::CONTAINER.declare(&mut text);
    namespace::NAMESPACES.declare(&mut text);
    namespace::NAMESPACE.declare(&mut text);
    namespace::USER.declare(&mut text);
    namespace::CALLER_AS.declare(&mut text);
    namespace::EXTENT.declare(&mut text);
    namespace::TIME.declare(&mut text);
    network::NETWORK.declare(&mut text);
    root::ROOT.declare(&mut text);
    root::OVERLAY.declare(&mut text);
    fs::ENTRY.declare(&mut text);
    fs::declare(&mut text);
    root::OVERLAY_ENTRY.declare(&mut text);
    for options in fs::OF_EACH_TYPE {
        options.declare(&mut text);
    }
    features(&mut text);
    limit::LIMIT.declare(&mut text);
    limit::IO.declare(&mut text);
    limit::HUGETLB.declare(&mut text);
    limit::CGROUP.declare(&mut text);
    process::RLIMIT.declare(&mut text);
    text
}

fn features(text: &mut String) {
    comment(text, "", "What `prefer` can name; `rlimit` is all of them.");
    let names: Vec<String> = Feature::all().map(|feature| format!("{:?}", feature.name())).collect();
    let _ = writeln!(text, "export type Feature = {};\n", names.join(" | "));
}

fn comment(text: &mut String, indent: &str, doc: &str) {
    let doc = doc.split_whitespace().collect::<Vec<_>>().join(" ");
    let _ = writeln!(text, "{indent}/** {doc} */");
}

/// What the other types are made with. A key that has to be there can have several spellings, of which one is to be given.
const SPELLED: &str = "\
type Spelled<Names extends string, T> = {
  [Name in Names]: { [Key in Name]: T } & { [Other in Exclude<Names, Name>]?: never };
}[Names];

";

impl<T> Shape<T> {
    fn declare(&self, text: &mut String) {
        // Where a key has to be there in one of several spellings, an interface alone cannot tell.
        let spelled: Vec<&Key<T>> =
            self.keys.iter().filter(|key| key.is_required() && key.spellings().len() > 1).collect();
        if spelled.is_empty() {
            comment(text, "", self.doc);
            self.interface(text, self.name, "export ");
            return;
        }
        let keys = format!("{}Keys", self.name);
        self.interface(text, &keys, "");
        comment(text, "", self.doc);
        let _ = write!(text, "export type {} = {keys}", self.name);
        for key in spelled {
            let _ = write!(text, " & {}", key.spelled(key.ts));
        }
        text.push_str(";\n\n");
    }

    fn interface(&self, text: &mut String, name: &str, export: &str) {
        let _ = writeln!(text, "{export}interface {name} {{");
        for key in self.keys {
            key.declare(text);
        }
        text.push_str("}\n\n");
    }
}

impl<T> Key<T> {
    fn is_required(&self) -> bool {
        self.off == Off::Required
    }

    pub(super) fn spellings(&self) -> Vec<String> {
        let (first, others) = self.names.split_first().map_or(("", &[][..]), |(first, others)| (*first, others));
        let spelled = snake(first);
        let snake = (spelled != first).then_some(spelled);
        [first].into_iter().chain(others.iter().copied()).map(str::to_owned).chain(snake).collect()
    }

    /// An object that has it, in one of its spellings.
    pub(super) fn spelled(&self, ts: &str) -> String {
        let names: Vec<String> = self.spellings().iter().map(|name| format!("{name:?}")).collect();
        format!("Spelled<{}, {ts}>", names.join(" | "))
    }

    pub(super) fn declare(&self, text: &mut String) {
        let off = if self.off == Off::Absent
            && !self.ts.split(" | ").any(|one| ["false", "boolean", "unknown"].contains(&one))
        {
            " | false"
        } else {
            ""
        };
        let spellings = self.spellings();
        let optional = if self.is_required() && spellings.len() == 1 { "" } else { "?" };
        for (number, name) in spellings.iter().enumerate() {
            let twin = format!("The same as `{}`.", spellings[0]);
            comment(text, "  ", if number == 0 { self.doc } else { &twin });
            let _ = writeln!(text, "  {name}{optional}: {}{off};", self.ts);
        }
    }
}
