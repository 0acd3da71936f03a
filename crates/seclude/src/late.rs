//! The ops behind a launch as words of the launcher's argv: the docs of `seclude_init` say how each is written.

use std::fmt::Write as _;

use seclude_child::wire::Call;
use seclude_child::{Instruction, Op};
use seclude_sys::process::StringList;
use seclude_sys::{Errno, Fd};

use crate::error::{Error, Result};
use crate::fault::Late;

/// How the launcher is started.
pub(crate) struct Launch<'a> {
    pub(crate) image: Fd,
    pub(crate) flags: String,
    pub(crate) signal_mask: u64,
    pub(crate) envp: StringList<'a>,
}

/// As many groups as the launcher has room for, and a word of argv.
pub(crate) const MOST_GROUPS: usize = 8192;

/// The whole argv: `instructions` are all of the program's, `place` the one of the launch.
pub(crate) fn words(
    launch: &Launch<'_>,
    socket: Fd,
    place: usize,
    instructions: &[Instruction<'_>],
    fault: Option<(usize, crate::fault::Fault)>,
) -> Result<Vec<Vec<u8>>> {
    let calls = [Call::Execve, Call::ExecInterpreter, Call::ExecDirectory, Call::Init, Call::Rehearsed];
    let calls = calls.map(|call| (call as u8).to_string()).join(":");
    let mut acts: Vec<String> = Vec::new();
    let mut flags = launch.flags.clone();
    let mut command = None;
    for (number, instruction) in instructions.iter().enumerate().skip(place + 1) {
        if let Some((at, fault)) = fault
            && at == number
        {
            acts.push(match fault.late() {
                Late::Fails(Errno(errno)) => act('f', instruction.step, number, Call::Fault, &[u64::from(errno)]),
                Late::KillsParent => act('!', instruction.step, number, Call::Fault, &[]),
            });
        }
        match instruction.op {
            Op::Exec { candidates, argv, .. } => {
                command = Some((instruction.step, number, candidates, argv.iter().collect::<Vec<_>>()));
            }
            Op::Rehearse { candidates } => {
                flags.push('r');
                command = Some((instruction.step, number, candidates, vec![c"-"]));
            }
            ref op => acts.push(encode(op, instruction.step, number)?),
        }
    }
    let Some((step, number, candidates, argv)) = command else {
        return Err(Error::invalid("plan", "nothing is executed at its end"));
    };
    let mut words: Vec<Vec<u8>> = [
        "seclude-init".to_owned(),
        socket.0.to_string(),
        flags,
        format!("{:x}", launch.signal_mask),
        format!("{step}:{number}"),
        calls,
        acts.len().to_string(),
    ]
    .map(String::into_bytes)
    .into();
    words.extend(acts.into_iter().map(String::into_bytes));
    words.push(candidates.len().to_string().into_bytes());
    words.extend(candidates.iter().chain(&argv).map(|word| word.to_bytes().to_vec()));
    Ok(words)
}

fn act(letter: char, step: u8, number: usize, call: Call, arguments: &[u64]) -> String {
    let mut word = format!("{letter}{step}:{number}:{}", call as u8);
    for argument in arguments {
        let _ = write!(word, ":{argument}");
    }
    word
}

fn encode(op: &Op<'_>, step: u8, number: usize) -> Result<String> {
    let act = |letter, call, arguments: &[u64]| act(letter, step, number, call, arguments);
    let descriptor = |fd: Fd| fd.0 as u64;
    Ok(match *op {
        Op::Rlimit { resource, soft, hard } => act('r', Call::Setrlimit, &[resource.into(), soft, hard]),
        Op::KeepCapabilities => act('k', Call::Prctl, &[]),
        Op::BoundingSet { keep } => act('b', Call::Prctl, &[keep]),
        Op::Groups { groups } => {
            let groups: Vec<u64> = groups.iter().map(|group| u64::from(*group)).collect();
            act('g', Call::Setgroups, &groups)
        }
        Op::Gid { gid } => act('i', Call::Setresgid, &[gid.into()]),
        Op::Uid { uid } => act('u', Call::Setresuid, &[uid.into()]),
        Op::Capabilities { sets } => act('c', Call::Capset, &[sets.effective, sets.permitted, sets.inheritable]),
        Op::CarryNoMore { inheritable, ambient } => act('e', Call::Capset, &[inheritable, ambient]),
        Op::Ambient { raise } => act('a', Call::Prctl, &[raise]),
        Op::NoNewPrivileges => act('n', Call::Prctl, &[]),
        Op::Unshare { flags } => act('m', Call::Unshare, &[flags.into()]),
        Op::EnterHeld { directory } => act('w', Call::Chdir, &[descriptor(directory)]),
        Op::Filter { file, flags, listens } => {
            act('s', Call::Seccomp, &[descriptor(file), flags.into(), listens as u64])
        }
        Op::Restrict { ruleset } => act('l', Call::RestrictSelf, &[descriptor(ruleset)]),
        Op::NotForCommand { fd } => format!("h{}", fd.0),
        Op::EndWith { spawner } => format!("p{}", spawner.0),
        Op::ConfineOnExec { proc, module, label } => {
            let word = act('x', Call::ConfineOnExec, &[descriptor(proc), module as u64]);
            format!("{word}:{}", label.to_string_lossy())
        }
        Op::Wait { listener } => format!("W{}", listener.0),
        Op::InnerNamespaces { inner } => {
            let flag = u64::from;
            let mut numbers = vec![inner.flags, descriptor(inner.proc), flag(inner.last), flag(inner.loopback)];
            for map in [inner.uids, inner.gids] {
                numbers.push(map.len() as u64);
                numbers.extend(map.iter().flat_map(|(first, count)| [u64::from(*first), u64::from(*count)]));
            }
            act('U', Call::InnerNamespaces, &numbers)
        }
        _ => return Err(Error::invalid("plan", "an op behind the launch that the launcher does not know")),
    })
}
