//! A profile as data, and what it says of a call.

use std::collections::BTreeMap;

use crate::architecture::{is_known, nearest};
use crate::groups::group;
use crate::{Action, Architecture, Condition, Error, Rule};

const EPERM: u16 = 1;
const ENOSYS: u16 = 38;

/// Which system calls a process may make.
///
/// For a call the first of its *overriding* rules whose conditions hold decides. Else its unconditional rule, if it has one
/// (the first, should it have several), else the first of its rules whose conditions hold, else the default: as libseccomp has
/// it. Calls that nobody has heard of are [`Profile::unknown`]'s; those of an architecture that is not named do not exist
/// (ENOSYS).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Profile {
    /// What is done with a call that has no rule.
    pub default: Action,
    /// What is done with a number that has no name here, if that is something else: programs take ENOSYS for an older kernel, and
    /// make the call that came before.
    pub unknown: Option<Action>,
    /// Whether numbers above all that have a rule count as such: who wrote the profile has not heard of them.
    pub ends_with_its_rules: bool,
    /// Whose calls there are.
    pub architectures: Vec<Architecture>,
    /// `SECCOMP_FILTER_FLAG_…`: 2 to have refusals logged (Linux 4.14), 4 not to turn speculation off (4.17).
    pub flags: u32,
    /// Names, with blanks between them, of calls that are allowed unless there is a rule: as text, since each start of a sandbox
    /// would make hundreds of rules of it.
    pub(crate) allowed: &'static [&'static str],
    pub(crate) rules: BTreeMap<String, Vec<Rule>>,
    pub(crate) overriding: BTreeMap<String, Vec<Rule>>,
}

impl Profile {
    /// Everything is done by `default`, for the calls of this machine's own architecture.
    pub fn new(default: Action) -> Profile {
        Profile {
            default,
            unknown: None,
            ends_with_its_rules: false,
            architectures: vec![Architecture::NATIVE],
            flags: 0,
            allowed: &[],
            rules: BTreeMap::new(),
            overriding: BTreeMap::new(),
        }
    }

    /// Everything is allowed, of every architecture that this machine has.
    pub fn unlimited() -> Profile {
        Profile { architectures: Architecture::OF_THIS_MACHINE.to_vec(), ..Profile::new(Action::Allow) }
    }

    /// Adds a rule for a call.
    ///
    /// # Errors
    /// [`Error::UnknownCall`].
    pub fn rule(&mut self, name: &str, action: Action, conditions: &[Condition]) -> Result<(), Error> {
        known(name)?;
        self.add(name, action, conditions);
        Ok(())
    }

    pub(crate) fn add(&mut self, name: &str, action: Action, conditions: &[Condition]) {
        let rule = Rule { conditions: conditions.to_vec(), action };
        match self.rules.get_mut(name) {
            Some(rules) => rules.push(rule),
            None => drop(self.rules.insert(name.to_owned(), vec![rule])),
        }
    }

    /// Adds a rule that goes before those that are there, but for its like.
    pub(crate) fn override_with(&mut self, name: &str, action: Action, conditions: &[Condition]) {
        let rule = Rule { conditions: conditions.to_vec(), action };
        self.overriding.entry(name.to_owned()).or_default().push(rule);
    }

    /// Allows a call, or a group of them such as `@mount`, whatever is said of it so far.
    ///
    /// # Errors
    /// [`Error::UnknownCall`], [`Error::UnknownGroup`].
    pub fn allow(&mut self, name: &str) -> Result<(), Error> {
        self.set(name, Action::Allow)
    }

    /// Refuses a call, or a group, with an error number, whatever is said of it so far; `None` is EPERM.
    ///
    /// # Errors
    /// [`Error::UnknownCall`], [`Error::UnknownGroup`].
    pub fn deny(&mut self, name: &str, errno: Option<u16>) -> Result<(), Error> {
        self.set(name, Action::Errno(errno.unwrap_or(EPERM)))
    }

    fn set(&mut self, name: &str, action: Action) -> Result<(), Error> {
        for name in expand(name)? {
            self.overriding.remove(name);
            self.rules.insert(name.to_owned(), vec![Rule { conditions: Vec::new(), action }]);
        }
        Ok(())
    }

    /// The rules of each call, in their order.
    pub fn rules(&self) -> impl Iterator<Item = (&str, &[Rule])> {
        self.rules.iter().map(|(name, rules)| (name.as_str(), rules.as_slice()))
    }

    /// What is done with a call.
    pub fn evaluate(&self, architecture: Architecture, number: u32, arguments: &[u64; 6]) -> Action {
        if !self.architectures.contains(&architecture) {
            return Action::Errno(ENOSYS);
        }
        let heard_of = number < self.end(architecture);
        let Some(name) = architecture.name_of(number).filter(|_| heard_of) else {
            return self.unknown.unwrap_or(self.default);
        };
        let (rules, last) = self.decision(name, self.allowed_names().any(|allowed| allowed == name));
        let holds = |rule: &&Rule| rule.conditions.iter().all(|condition| condition.holds(arguments));
        rules.into_iter().find(holds).map_or(last, |rule| rule.action)
    }

    /// The rule that decides about a call; `None` where that is the default.
    pub fn rule_for<'a>(&'a self, architecture: Architecture, number: u32, arguments: &[u64; 6]) -> Option<&'a Rule> {
        let name = architecture.name_of(number)?;
        let holds = |rule: &&Rule| rule.conditions.iter().all(|condition| condition.holds(arguments));
        let of = |rules: &'a BTreeMap<String, Vec<Rule>>| rules.get(name).map_or(&[][..], Vec::as_slice);
        let (overriding, own) = (of(&self.overriding), of(&self.rules));
        let unconditional = || own.iter().find(|rule| rule.conditions.is_empty());
        overriding.iter().find(holds).or_else(unconditional).or_else(|| own.iter().find(holds))
    }

    /// The rules of a call whose conditions are tried, in that order, and what is done if none holds.
    pub fn tried(&self, architecture: Architecture, number: u32) -> (Vec<&Rule>, Action) {
        if !self.architectures.contains(&architecture) {
            return (Vec::new(), Action::Errno(ENOSYS));
        }
        match architecture.name_of(number).filter(|_| number < self.end(architecture)) {
            Some(name) => self.decision(name, self.allowed_names().any(|allowed| allowed == name)),
            None => (Vec::new(), self.unknown.unwrap_or(self.default)),
        }
    }

    /// Whether a call is made whatever its arguments are, but for one that is known.
    pub fn always_allows_with(&self, name: &str, argument: u8, value: u64) -> bool {
        let (tried, last) = self.decision(name, self.allowed_names().any(|allowed| allowed == name));
        let mut arguments = [0; 6];
        if let Some(known) = arguments.get_mut(usize::from(argument)) {
            *known = value;
        }
        let holds = |condition: &Condition| condition.argument != argument || condition.holds(&arguments);
        last.allows() && tried.iter().all(|rule| rule.action.allows() || !rule.conditions.iter().all(holds))
    }

    /// The first number that nobody has heard of.
    pub(crate) fn end(&self, architecture: Architecture) -> u32 {
        if !self.ends_with_its_rules {
            return u32::MAX;
        }
        let named = self.names_with_rules().chain(self.allowed_names());
        named.filter_map(|name| architecture.number_of(name)).max().map_or(0, |number| number + 1)
    }

    pub(crate) fn names_with_rules(&self) -> impl Iterator<Item = &str> {
        self.rules.keys().chain(self.overriding.keys()).map(String::as_str)
    }

    /// Those that are allowed unless there is a rule.
    pub(crate) fn allowed_names(&self) -> impl Iterator<Item = &str> {
        self.allowed.iter().flat_map(|names| names.split_ascii_whitespace())
    }

    /// The rules of a call that have conditions, in the order in which they are tried, and what is done if none holds.
    pub(crate) fn decision(&self, name: &str, is_allowed: bool) -> (Vec<&Rule>, Action) {
        let overriding = self.overriding.get(name).into_iter().flatten();
        let own = self.rules.get(name).into_iter().flatten();
        let mut tried = Vec::new();
        for rule in overriding {
            if rule.conditions.is_empty() {
                return (tried, rule.action);
            }
            tried.push(rule);
        }
        if let Some(rule) = own.clone().find(|rule| rule.conditions.is_empty()) {
            return (tried, rule.action);
        }
        tried.extend(own);
        (tried, if is_allowed { Action::Allow } else { self.default })
    }

    /// Whether somebody has to answer for it, seccomp_unotify(2).
    pub fn notifies(&self) -> bool {
        let rules = self.rules.values().chain(self.overriding.values()).flatten();
        self.default == Action::Notify || rules.into_iter().any(|rule| rule.action == Action::Notify)
    }

    /// The call of these for which somebody would have to answer.
    pub fn notifies_of(&self, names: &[&'static str]) -> Option<&'static str> {
        let asks = |name: &&&str| {
            let (tried, last) = self.decision(name, self.allowed_names().any(|allowed| allowed == **name));
            last == Action::Notify || tried.iter().any(|rule| rule.action == Action::Notify)
        };
        names.iter().find(asks).copied()
    }

    /// The call of these by which the command would be executed, if it is refused.
    pub fn refuses_one_of(&self, names: &[&'static str]) -> Option<&'static str> {
        let kind = Architecture::NATIVE;
        let answer = |number| self.evaluate(kind, number, &[0; 6]);
        let may_be = |action: Action| action.allows() || action == Action::Notify;
        let refused = |name: &&&str| kind.number_of(name).is_some_and(|number| !may_be(answer(number)));
        names.iter().find(refused).copied()
    }
}

fn known(name: &str) -> Result<(), Error> {
    match is_known(name) {
        true => Ok(()),
        false => Err(Error::UnknownCall { name: name.to_owned(), nearest: nearest(name) }),
    }
}

/// The calls that a name stands for.
pub(crate) fn expand(name: &str) -> Result<Vec<&str>, Error> {
    match name.strip_prefix('@') {
        Some(_) => group(name).map(<[&str]>::to_vec).ok_or_else(|| Error::UnknownGroup(name.to_owned())),
        None => known(name).map(|()| vec![name]),
    }
}
