//! The way back to JavaScript: every answer has the number of the request that it is for.

use std::sync::Arc;

use napi::Env;
use napi::bindgen_prelude::{Buffer, Either, FnArgs, Function, Object, Result};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;
use serde_json::Value as Json;

use crate::launch::{self, Launch};
use crate::process::Process;
use crate::{examine, reactor, setup, sync};

/// What a request is answered with.
pub(crate) enum Answer {
    /// It is done.
    Done,
    /// As JSON.
    Value(Json),
    Bytes(Vec<u8>),
    /// What an Error is made of, as JSON.
    Failed(Json),
}

struct Reply {
    request: f64,
    answer: Answer,
}

/// `(request, failure, value)`
type Arguments = FnArgs<(f64, Option<String>, Option<Either<String, Buffer>>)>;
/// It does not keep the event loop alive; `lib/alive.js` does, for as long as somebody waits.
type Dispatch = ThreadsafeFunction<Reply, (), Arguments, napi::Status, false, true>;

/// Answers requests of one JavaScript environment, from any thread.
#[derive(Clone)]
pub(crate) struct Answers(Arc<Dispatch>);

impl Answers {
    /// Where the environment has ended, nobody asks any more.
    pub(crate) fn send(&self, request: f64, answer: Answer) {
        self.0.call(Reply { request, answer }, ThreadsafeFunctionCallMode::NonBlocking);
    }
}

fn arguments(Reply { request, answer }: Reply) -> Arguments {
    let (failure, value) = match answer {
        Answer::Done => (None, None),
        Answer::Value(json) => (None, Some(Either::A(json.to_string()))),
        Answer::Bytes(bytes) => (None, Some(Either::B(bytes.into()))),
        Answer::Failed(json) => (Some(json.to_string()), None),
    };
    FnArgs::from((request, failure, value))
}

/// What one JavaScript environment asks through.
#[napi]
pub struct Hub {
    answers: Answers,
}

impl Hub {
    pub(crate) fn answers(&self) -> Answers {
        self.answers.clone()
    }
}

#[napi]
impl Hub {
    /// `dispatch(request, failure, value)` gets every answer.
    #[napi(constructor)]
    pub fn new(dispatch: Function<'_, Arguments, ()>) -> Result<Hub> {
        reactor::start().map_err(|error| napi::Error::from_reason(format!("the thread that waits: {error}")))?;
        let builder = dispatch.build_threadsafe_function::<Reply>().weak::<true>().callee_handled::<false>();
        let dispatch = builder.build_callback(|context| Ok(arguments(context.value)))?;
        Ok(Hub { answers: Answers(Arc::new(dispatch)) })
    }

    /// Starts a process. `spawned` is answered when it runs, `exited` with its report.
    #[napi]
    pub fn spawn(
        &self,
        env: Env,
        launch: Launch,
        container: Option<Object<'_>>,
        spawned: f64,
        exited: f64,
    ) -> Result<Process> {
        let mut command = launch::compose(&env, launch, container.as_ref())?;
        let process = Process::starting(command.facts, command.names.clone(), std::mem::take(&mut command.further));
        setup::start(command, process.shared(), self.answers.clone(), spawned, exited);
        Ok(process)
    }

    /// Runs a process to its end, and blocks until then. The answer is what is known of it, its output beside.
    #[napi]
    pub fn spawn_sync(
        &self,
        env: Env,
        launch: Launch,
        container: Option<Object<'_>>,
        bounds: sync::Bounds,
    ) -> Result<sync::Ended> {
        let command = launch::compose(&env, launch, container.as_ref())?;
        Ok(sync::run(command, &bounds))
    }

    /// What this host can do, as `seclude doctor --json` has it.
    #[napi]
    pub fn doctor(&self, request: f64) {
        let answers = self.answers.clone();
        reactor::block(move || answers.send(request, Answer::Value(examine::doctor())));
    }

    /// The plan of a request, as `seclude explain --json` has it.
    #[napi]
    pub fn explain(&self, env: Env, launch: Launch, container: Option<Object<'_>>) -> Result<String> {
        let command = launch::compose(&env, launch, container.as_ref())?;
        Ok(examine::explain(&command).to_string())
    }
}
