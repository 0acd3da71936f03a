//! What a network of names costs, over the loopback of a network namespace of its own: the bytes of one connection, many connections one after the
//! other, a byte there and back, and a start. Beside it pasta(1), which splices as well.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::time::{ClockId, clock_gettime};
use seclude::{Names, Namespace};
use serde::{Deserialize, Serialize};

use super::contestants::lean;
use super::network::once;
use super::statistics::Statistics;
use crate::workspace::{find, read, run};

const ROUNDS: usize = 5;
const BYTES: usize = 1 << 30;
const CONNECTIONS: usize = 2000;
const BYTES_BACK_AND_FORTH: usize = 5000;

/// Each is the median of [`ROUNDS`] in turns.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct OfNames {
    pub(super) direct: Way,
    pub(super) relayed: Way,
    /// Why not, if it could not be tried.
    pub(super) pasta: Result<Way, String>,
    /// Seconds of this process for 10^9 bytes, less those of the server in it.
    pub(super) seconds_per_gb: f64,
    /// Until it runs, with a network namespace that has only `lo`, and with one name that is allowed.
    pub(super) without_us: f64,
    pub(super) with_us: f64,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Way {
    pub(super) bits_per_second: f64,
    pub(super) connections_per_second: f64,
    pub(super) there_and_back_us: f64,
}

/// What a client measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Asked {
    Bytes,
    Connections,
    ThereAndBack,
}

impl Asked {
    const ALL: [Asked; 3] = [Asked::Bytes, Asked::Connections, Asked::ThereAndBack];

    fn word(self) -> &'static str {
        match self {
            Asked::Bytes => "bytes",
            Asked::Connections => "connections",
            Asked::ThereAndBack => "there-and-back",
        }
    }
}

/// The client: bits or connections a second, or microseconds.
pub(crate) fn ask(asked: Asked, place: &str) -> Result<f64> {
    let connect = || -> std::io::Result<TcpStream> {
        let stream = TcpStream::connect(place)?;
        stream.set_nodelay(true)?;
        Ok(stream)
    };
    let mut byte = [0];
    // The first one finds out where it is.
    connect()?.write_all(b"e")?;
    let begun = Instant::now();
    Ok(match asked {
        Asked::Bytes => {
            let (mut stream, chunk) = (connect()?, vec![7; 256 << 10]);
            stream.write_all(b"s")?;
            for _ in 0..BYTES / chunk.len() {
                stream.write_all(&chunk)?;
            }
            stream.shutdown(Shutdown::Write)?;
            stream.read_exact(&mut byte)?;
            BYTES as f64 * 8.0 / begun.elapsed().as_secs_f64()
        }
        Asked::Connections => {
            for _ in 0..CONNECTIONS {
                let mut stream = connect()?;
                stream.write_all(b"ex")?;
                stream.read_exact(&mut byte)?;
            }
            CONNECTIONS as f64 / begun.elapsed().as_secs_f64()
        }
        Asked::ThereAndBack => {
            let mut stream = connect()?;
            stream.write_all(b"e")?;
            let mut times = Vec::with_capacity(BYTES_BACK_AND_FORTH);
            for _ in 0..BYTES_BACK_AND_FORTH {
                let begun = Instant::now();
                stream.write_all(b"x")?;
                stream.read_exact(&mut byte)?;
                times.push(begun.elapsed());
            }
            Statistics::of(&times).context("no times")?.p50
        }
    })
}

/// A server on the loopback: `e` gives back what comes, `s` takes it, and says when it is over.
fn serve() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    let talk = |mut stream: TcpStream| -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let (mut kind, mut buffer) = ([0], vec![0; 256 << 10]);
        stream.read_exact(&mut kind)?;
        loop {
            match stream.read(&mut buffer)? {
                0 if kind == *b"s" => return stream.write_all(b"k"),
                0 => return Ok(()),
                _ if kind == *b"s" => {}
                length => stream.write_all(buffer.get(..length).unwrap_or_default())?,
            }
        }
    };
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // Whoever goes away in between is no matter of the server's.
            std::thread::spawn(move || drop(talk(stream)));
        }
    });
    Ok(port)
}

/// In the namespace, with `lo` up.
pub(super) fn measure(exit: &Path, runs: usize) -> Result<OfNames> {
    let own = std::env::current_exe().context("the path of this program")?;
    let port = serve()?;
    let words = |asked: Asked, host: &str| {
        ["versus-helper".into(), "ask".into(), asked.word().into(), format!("{host}:{port}")]
    };
    let number = |said: String| said.trim().parse::<f64>().with_context(|| format!("the client says {said:?}"));
    let direct = |asked| number(read(Command::new(&own).args(words(asked, "127.0.0.1")))?);
    let relayed = |asked| {
        let mut command = seclude::Command::new(&own);
        command.args(words(asked, "host.internal")).unshare(Namespace::User).names(Names::new().allow_loopback(port));
        let output = command.output()?;
        ensure!(output.exit.success(), "the client: {}", String::from_utf8_lossy(&output.stderr));
        number(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let pasta = |asked| {
        // As root it becomes nobody, who may have no way to it.
        let mut command = Command::new("timeout");
        command.args([
            "60",
            "pasta",
            "--quiet",
            "--config-net",
            "-t",
            "none",
            "-u",
            "none",
            "-U",
            "none",
            "-T",
            &port.to_string(),
            "--",
        ]);
        number(read(command.arg(&own).args(words(asked, "127.0.0.1")))?)
    };
    // It wants a way out to copy, where nothing goes.
    let has_pasta = find("pasta").is_some() && outside().is_ok();
    let first = if has_pasta { pasta(Asked::ThereAndBack).map(drop) } else { Err(anyhow::anyhow!("there is none")) };
    let absent = first.err().map(|error| format!("{error:#}"));
    let mut found: [[Vec<f64>; 3]; 3] = Default::default();
    let (mut alone, mut beside) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..ROUNDS {
        for (asked, place) in Asked::ALL.into_iter().zip(0..) {
            let begun = used();
            push(&mut found, 0, place, direct(asked)?);
            let between = used();
            push(&mut found, 1, place, relayed(asked)?);
            if asked == Asked::Bytes {
                alone += between - begun;
                beside += used() - between;
            }
            if absent.is_none() {
                push(&mut found, 2, place, pasta(asked)?);
            }
        }
    }
    let gigabytes = (ROUNDS * BYTES) as f64 / 1e9;
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        without.push(once(lean(exit))?.0);
        let mut command = lean(exit);
        command.names(Names::new().allow("server.example".parse()?));
        with.push(once(command)?.0);
    }
    let p50 = |times: &[Duration]| Statistics::of(times).map(|found| found.p50).context("no times");
    let [direct, relayed, pasta] = found.map(|numbers| {
        let [bits_per_second, connections_per_second, there_and_back_us] = numbers.map(median);
        Way { bits_per_second, connections_per_second, there_and_back_us }
    });
    Ok(OfNames {
        direct,
        relayed,
        pasta: absent.map_or(Ok(pasta), Err),
        seconds_per_gb: (beside.as_secs_f64() - alone.as_secs_f64()) / gigabytes,
        without_us: p50(&without)?,
        with_us: p50(&with)?,
    })
}

fn push(found: &mut [[Vec<f64>; 3]; 3], way: usize, place: usize, number: f64) {
    if let Some(numbers) = found.get_mut(way).and_then(|way| way.get_mut(place)) {
        numbers.push(number);
    }
}

fn outside() -> Result<()> {
    let ip = |words: &str| run(Command::new("ip").args(words.split(' ')));
    ip("link add out0 type veth peer name out1")?;
    ip("address add 192.0.2.9/24 dev out0")?;
    ip("link set out0 up")?;
    ip("link set out1 up")?;
    ip("route add default via 192.0.2.1")
}

/// Processor time of this process, all threads.
fn used() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap_or_default(), time.tv_nsec.try_into().unwrap_or_default())
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or_default()
}
