//! What a profile is made of: conditions on arguments, and what is done.

/// What is done with a call, seccomp(2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Action {
    /// It is made.
    Allow,
    /// It is made, and told in the audit log. Linux 4.14.
    Log,
    /// A tracer decides, with this number as its message; without one it answers ENOSYS.
    Trace(u16),
    /// It answers this error number, 0 to 4095.
    Errno(u16),
    /// Whoever has the listener answers. Linux 5.0.
    Notify,
    /// SIGSYS.
    Trap,
    /// The thread ends.
    KillThread,
    /// The process ends. Linux 4.14.
    KillProcess,
}

impl Action {
    /// As the kernel has it, `SECCOMP_RET_…`.
    pub fn number(self) -> u32 {
        match self {
            Action::Allow => 0x7fff_0000,
            Action::Log => 0x7ffc_0000,
            Action::Trace(message) => 0x7ff0_0000 | u32::from(message),
            Action::Errno(errno) => 0x0005_0000 | u32::from(errno),
            Action::Notify => 0x7fc0_0000,
            Action::Trap => 0x0003_0000,
            Action::KillThread => 0,
            Action::KillProcess => 0x8000_0000,
        }
    }

    /// Whether the call is made.
    pub fn allows(self) -> bool {
        matches!(self, Action::Allow | Action::Log)
    }
}

/// How an argument is compared, unsigned and in 64 bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Comparison {
    /// It is.
    Equal,
    /// It is not.
    NotEqual,
    /// It is less.
    Less,
    /// It is not greater.
    LessOrEqual,
    /// It is not less.
    GreaterOrEqual,
    /// It is greater.
    Greater,
}

/// `argument & mask` compared with `value`.
///
/// The kernel looks at the lower half alone of what it takes for an `int`: whoever compares more can be led around by high bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Condition {
    /// Which argument, 0 to 5.
    pub argument: u8,
    /// The bits that count.
    pub mask: u64,
    /// How.
    pub comparison: Comparison,
    /// With what.
    pub value: u64,
}

impl Condition {
    /// All 64 bits compared.
    pub fn new(argument: u8, comparison: Comparison, value: u64) -> Condition {
        Condition { argument, mask: u64::MAX, comparison, value }
    }

    /// The lower half, as the kernel reads an `int`.
    pub fn of_int(argument: u8, comparison: Comparison, value: u32) -> Condition {
        Condition { argument, mask: u32::MAX.into(), comparison, value: value.into() }
    }

    /// One of these bits is set.
    pub fn any(argument: u8, bits: u64) -> Condition {
        Condition { argument, mask: bits, comparison: Comparison::NotEqual, value: 0 }
    }

    /// Whether a call with these arguments meets it.
    pub fn holds(&self, arguments: &[u64; 6]) -> bool {
        let argument = arguments.get(usize::from(self.argument)).copied().unwrap_or_default() & self.mask;
        match self.comparison {
            Comparison::Equal => argument == self.value,
            Comparison::NotEqual => argument != self.value,
            Comparison::Less => argument < self.value,
            Comparison::LessOrEqual => argument <= self.value,
            Comparison::GreaterOrEqual => argument >= self.value,
            Comparison::Greater => argument > self.value,
        }
    }
}

/// What is done with a call that meets all conditions.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Rule {
    /// All of which have to hold.
    pub conditions: Vec<Condition>,
    /// What is done then.
    pub action: Action,
}
