//! What is tried on a cluster: a script on its first node, which finds in it what there cannot be without the runtime.

pub(super) struct Case {
    pub(super) name: &'static str,
    /// Done before.
    pub(super) prepare: Option<Prepare>,
    pub(super) script: &'static str,
    /// On all nodes, one after the other; else on the first alone.
    pub(super) everywhere: bool,
    pub(super) code: i32,
    /// Somewhere in what it says.
    pub(super) says: &'static str,
    pub(super) calls: Calls,
    /// The last line of what it says is what was measured.
    pub(super) measures: bool,
    /// It is ended after this time.
    pub(super) seconds: u32,
}

/// How the runtime is to be called meanwhile, on some node.
pub(super) enum Calls {
    /// With this word.
    With(&'static str),
    Never,
    /// What was there before may still be going.
    Perhaps,
}

/// To one of the nodes.
pub(super) enum Prepare {
    /// Its first process is killed, and with it all others.
    Kill(u32),
    Start(u32),
    /// Its daemons are killed and started again, and its containers run on.
    Restart(u32),
    /// Its link goes down.
    Cut(u32),
    Connect(u32),
}

/// One that creates a container.
pub(super) const fn case(name: &'static str, script: &'static str, says: &'static str) -> Case {
    Case {
        name,
        prepare: None,
        script,
        everywhere: false,
        code: 0,
        says,
        calls: Calls::With("create"),
        measures: false,
        seconds: 90,
    }
}

impl Case {
    pub(super) const fn ends(self, code: i32) -> Case {
        Case { code, ..self }
    }

    pub(super) const fn calls(self, word: &'static str) -> Case {
        Case { calls: Calls::With(word), ..self }
    }

    /// The runtime is not called.
    pub(super) const fn alone(self) -> Case {
        Case { calls: Calls::Never, ..self }
    }

    pub(super) const fn looks(self) -> Case {
        Case { calls: Calls::Perhaps, ..self }
    }

    pub(super) const fn after(self, prepare: Prepare) -> Case {
        Case { prepare: Some(prepare), ..self }
    }

    pub(super) const fn measures(self) -> Case {
        Case { measures: true, ..self }
    }

    pub(super) const fn everywhere(self) -> Case {
        Case { everywhere: true, ..self }
    }

    pub(super) const fn within(self, seconds: u32) -> Case {
        Case { seconds, ..self }
    }
}
