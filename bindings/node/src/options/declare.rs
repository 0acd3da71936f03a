//! The tables of keys as TypeScript.

use std::fmt::Write;

use super::{Key, Off, Shape, container, fs, limit, namespace, network, process, root, snake};

/// The types of everything below `container`.
pub(crate) fn declarations() -> String {
    let mut text = String::new();
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
    fs::OPTIONS.declare(&mut text);
    for options in fs::OF_EACH_TYPE {
        options.declare(&mut text);
    }
    limit::LIMIT.declare(&mut text);
    limit::IO.declare(&mut text);
    limit::HUGETLB.declare(&mut text);
    limit::CGROUP.declare(&mut text);
    process::RLIMIT.declare(&mut text);
    text
}

fn comment(text: &mut String, indent: &str, doc: &str) {
    let doc = doc.split_whitespace().collect::<Vec<_>>().join(" ");
    let _ = writeln!(text, "{indent}/** {doc} */");
}

impl<T> Shape<T> {
    fn declare(&self, text: &mut String) {
        comment(text, "", self.doc);
        let _ = writeln!(text, "export interface {} {{", self.name);
        for key in self.keys {
            key.declare(text);
        }
        text.push_str("}\n\n");
    }
}

impl<T> Key<T> {
    fn declare(&self, text: &mut String) {
        let off = if self.off == Off::Absent && !self.ts.contains("false") && !self.ts.contains("boolean") {
            " | false"
        } else {
            ""
        };
        let (first, others) = self.names.split_first().map_or(("", &[][..]), |(first, others)| (*first, others));
        comment(text, "  ", self.doc);
        let _ = writeln!(text, "  {first}?: {}{off};", self.ts);
        let spelled = snake(first);
        let twins = others.iter().map(|name| (*name).to_owned()).chain((spelled != first).then_some(spelled));
        for twin in twins {
            comment(text, "  ", &format!("The same as `{first}`."));
            let _ = writeln!(text, "  {twin}?: {}{off};", self.ts);
        }
    }
}
