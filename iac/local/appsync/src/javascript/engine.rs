//! One QuickJS runtime with one module in it, bounded in time and memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rquickjs::loader::{BuiltinLoader, BuiltinResolver};
use rquickjs::{CatchResultExt, CaughtError, Context, Ctx, Function, Module, Object, Runtime};
use uuid::Uuid;

use super::Handler;

const UTILS: &str = include_str!("utils.js");
const UTILS_NAME: &str = "@aws-appsync/utils";
/// What the engine calls: finds the resolver's handlers and turns what they do into JSON.
const ENTRY: &str = "
import * as resolver from 'resolver';
import { _call } from '@aws-appsync/utils';
for (const name of ['request', 'response']) {
  if (typeof resolver[name] !== 'function') throw new Error(`the code exports no function ${name}`);
}
globalThis.request = (context) => _call(resolver.request, context);
globalThis.response = (context) => _call(resolver.response, context);
";
const MEMORY: usize = 64 << 20;
/// Resolver code has no loops worth the name; this stops one that never ends.
const TIME: Duration = Duration::from_secs(1);

pub(super) struct Engine {
    context: Context,
    started: Instant,
    /// Milliseconds after `started`.
    deadline: Arc<AtomicU64>,
}

impl Engine {
    pub(super) fn new(text: &str) -> Result<Self, String> {
        let fault = |error: rquickjs::Error| error.to_string();
        let runtime = Runtime::new().map_err(fault)?;
        runtime.set_memory_limit(MEMORY);
        let started = Instant::now();
        let deadline = Arc::new(AtomicU64::new(0));
        runtime.set_interrupt_handler(Some(Box::new({
            let deadline = Arc::clone(&deadline);
            move || millis(started.elapsed()) > deadline.load(Ordering::Relaxed)
        })));
        runtime.set_loader(
            BuiltinResolver::default().with_module(UTILS_NAME).with_module("resolver"),
            BuiltinLoader::default().with_module(UTILS_NAME, UTILS).with_module("resolver", text),
        );
        let engine = Self { context: Context::full(&runtime).map_err(fault)?, started, deadline };
        engine.allow_time();
        engine.context.with(|ctx| {
            natives(&ctx)
                .and_then(|()| Module::evaluate(ctx.clone(), "entry", ENTRY)?.finish::<()>())
                .catch(&ctx)
                .map_err(|error| error.to_string())
        })?;
        Ok(engine)
    }

    /// Runs `handler` on `context` and returns the outcome, both JSON.
    pub(super) fn call(&self, handler: Handler, context: &str) -> Result<String, String> {
        self.allow_time();
        let name = match handler {
            Handler::Request => "request",
            Handler::Response => "response",
        };
        self.context.with(|ctx| {
            let function: Function<'_> = ctx.globals().get(name).map_err(|error| error.to_string())?;
            function.call((context,)).catch(&ctx).map_err(|error: CaughtError<'_>| error.to_string())
        })
    }

    fn allow_time(&self) {
        self.deadline.store(millis(self.started.elapsed() + TIME), Ordering::Relaxed);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What `utils.js` cannot do in JavaScript.
fn natives(ctx: &Ctx<'_>) -> rquickjs::Result<()> {
    let natives = Object::new(ctx.clone())?;
    natives.set("uuid", Function::new(ctx.clone(), || Uuid::new_v4().to_string())?)?;
    natives.set("base64Encode", Function::new(ctx.clone(), |text: String| STANDARD.encode(text))?)?;
    natives.set(
        "base64Decode",
        Function::new(ctx.clone(), |text: String| {
            STANDARD.decode(text).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        })?,
    )?;
    natives.set("log", Function::new(ctx.clone(), |text: String| tracing::info!(text, "resolver code"))?)?;
    ctx.globals().set("_natives", natives)
}
