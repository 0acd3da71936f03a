//! From a profile to a program: the architecture first, then a binary search over the numbers.
//!
//! Neighbours that are treated alike are one range; ranges whose rules are the same share them. So a profile of four hundred
//! names is some tens of ranges, and a call that has no conditions costs their logarithm.

use std::collections::HashMap;

use crate::architecture::X32_BIT;
use crate::backwards::{Backwards, Label};
use crate::rule::Comparison;
use crate::{Action, Architecture, Condition, Profile, Program, Rule};

const ENOSYS: Action = Action::Errno(38);

/// What is done with the calls of a range.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Decision {
    tried: Vec<Rule>,
    last: Action,
}

/// From here on, until the next one begins.
struct Range {
    begin: u32,
    decision: Decision,
}

impl Profile {
    /// The program. It has more instructions than the kernel takes only with conditions by the thousand:
    /// [`Program::check`].
    pub fn compile(&self) -> Program {
        let mut code = Backwards::default();
        let missing = code.answer(ENOSYS);
        // From the last that is looked at to the first.
        let mut otherwise = missing;
        let mut audits: Vec<u32> = Vec::new();
        for kind in Architecture::OF_THIS_MACHINE {
            audits.extend((!audits.contains(&kind.audit())).then_some(kind.audit()));
        }
        for audit in audits.into_iter().rev() {
            let kinds = Architecture::OF_THIS_MACHINE.iter().filter(|kind| kind.audit() == audit);
            let mut ranges = Vec::new();
            for kind in kinds.filter(|kind| self.architectures.contains(kind)) {
                self.add_ranges(*kind, &mut ranges);
            }
            if ranges.is_empty() {
                continue;
            }
            let search = ranges_of(&ranges, &mut code);
            let number = code.load_number(search);
            otherwise = code.jump_if_equal(audit, number, otherwise);
        }
        code.load_architecture(otherwise);
        Program::new(code.finish(), self.flags)
    }

    fn add_ranges(&self, kind: Architecture, ranges: &mut Vec<Range>) {
        let unknown = Decision { tried: Vec::new(), last: self.unknown.unwrap_or(self.default) };
        let missing = Decision { tried: Vec::new(), last: ENOSYS };
        let first = if kind == Architecture::X32 { X32_BIT } else { 0 };
        let (mut next, end) = (first, self.end(kind));
        let numbers = kind.numbers();
        let numbered = |name: &str| kind.number_of(name).and_then(|number| numbers.binary_search(&number).ok());
        let mut allowed = vec![false; numbers.len()];
        self.allowed_names().filter_map(numbered).for_each(|place| allowed[place] = true);
        let mut with_rules = vec![false; numbers.len()];
        self.names_with_rules().filter_map(numbered).for_each(|place| with_rules[place] = true);
        for (place, &number) in numbers.iter().enumerate().take_while(|(_, number)| **number < end) {
            if number > next {
                push(ranges, next, unknown.clone());
            }
            let decision = if with_rules[place] {
                let (tried, last) = self.decision(kind.name_of(number).unwrap_or_default(), allowed[place]);
                Decision { tried: tried.into_iter().cloned().collect(), last }
            } else {
                Decision { tried: Vec::new(), last: if allowed[place] { Action::Allow } else { self.default } }
            };
            push(ranges, number, decision);
            next = number + 1;
        }
        push(ranges, next, unknown);
        if kind == Architecture::X86_64 {
            // Another kind's, which may come next.
            push(ranges, X32_BIT, missing);
        }
    }
}

fn push(ranges: &mut Vec<Range>, begin: u32, decision: Decision) {
    match ranges.last_mut() {
        Some(last) if last.begin == begin => last.decision = decision,
        Some(last) if last.decision == decision => return,
        _ => ranges.push(Range { begin, decision }),
    }
    // What was overwritten may be like what is before it now.
    if let [.., before, last] = ranges.as_slice()
        && before.decision == last.decision
    {
        ranges.pop();
    }
}

/// The search over all of them, with the number loaded.
fn ranges_of(ranges: &[Range], code: &mut Backwards) -> Label {
    let mut made = HashMap::new();
    for range in ranges {
        if !made.contains_key(&range.decision) {
            let label = decide(&range.decision, code);
            made.insert(range.decision.clone(), label);
        }
    }
    search(ranges, &made, code)
}

fn search(ranges: &[Range], made: &HashMap<Decision, Label>, code: &mut Backwards) -> Label {
    match ranges {
        [] => code.answer(ENOSYS),
        [range] => made[&range.decision],
        _ => {
            let (below, above) = ranges.split_at(ranges.len() / 2);
            let begin = above[0].begin;
            let above = search(above, made, code);
            let below = search(below, made, code);
            code.jump_if_at_least(begin, above, below)
        }
    }
}

/// The rules of a call, one after the other.
fn decide(decision: &Decision, code: &mut Backwards) -> Label {
    let mut otherwise = code.answer(decision.last);
    for rule in decision.tried.iter().rev() {
        let mut then = code.answer(rule.action);
        for condition in rule.conditions.iter().rev() {
            then = compare(condition, then, otherwise, code);
        }
        otherwise = then;
    }
    otherwise
}

/// The kernel's arguments have 64 bits, and a program's words 32.
fn compare(condition: &Condition, then: Label, otherwise: Label, code: &mut Backwards) -> Label {
    let Condition { argument, mask, comparison, value } = *condition;
    let (high, low) = ((value >> 32) as u32, value as u32);
    let (high_mask, low_mask) = ((mask >> 32) as u32, mask as u32);
    let (comparison, then, otherwise) = match comparison {
        Comparison::NotEqual => (Comparison::Equal, otherwise, then),
        Comparison::Less => (Comparison::GreaterOrEqual, otherwise, then),
        Comparison::LessOrEqual => (Comparison::Greater, otherwise, then),
        other => (other, then, otherwise),
    };
    if comparison == Comparison::Equal && value & !mask != 0 {
        // No argument has bits there.
        return otherwise;
    }
    let lower = match comparison {
        Comparison::Equal if low == 0 && low_mask != u32::MAX => code.jump_if_any(low_mask, otherwise, then),
        Comparison::Equal => {
            let jump = code.jump_if_equal(low, then, otherwise);
            code.mask(low_mask, jump)
        }
        Comparison::Greater => {
            let jump = code.jump_if_greater(low, then, otherwise);
            code.mask(low_mask, jump)
        }
        _ => {
            let jump = code.jump_if_at_least(low, then, otherwise);
            code.mask(low_mask, jump)
        }
    };
    let lower = if comparison == Comparison::Equal && low_mask == 0 { then } else { code.load_low(argument, lower) };
    if high_mask == 0 && high == 0 {
        // The upper half is 0 on both sides.
        return lower;
    }
    let upper = match comparison {
        Comparison::Equal if high == 0 && high_mask != u32::MAX => code.jump_if_any(high_mask, otherwise, lower),
        Comparison::Equal => {
            let jump = code.jump_if_equal(high, lower, otherwise);
            code.mask(high_mask, jump)
        }
        _ => {
            let equal = code.jump_if_equal(high, lower, otherwise);
            let jump = code.jump_if_greater(high, then, equal);
            code.mask(high_mask, jump)
        }
    };
    code.load_high(argument, upper)
}
