//! Runs `APPSYNC_JS` resolver code. Each engine has compiled its module once; a call takes an idle engine, runs one
//! handler to its end on the caller's thread and puts the engine back, so there are never more engines than threads.

mod engine;

use std::fmt;
use std::sync::{Mutex, PoisonError};

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::Failure;
use engine::Engine;

/// Which of a module's two functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Handler {
    Request,
    Response,
}

/// A module with `request` and `response`.
pub(crate) struct Script {
    place: String,
    text: String,
    idle: Mutex<Vec<Engine>>,
}

/// What a handler did.
#[derive(Debug, Deserialize)]
pub(crate) struct Outcome<T> {
    /// What it returned.
    pub(crate) value: Option<T>,
    /// `runtime.earlyReturn`.
    pub(crate) early: Option<Early>,
    pub(crate) thrown: Option<Thrown>,
    /// `util.appendError`, in order.
    pub(crate) appended: Vec<Failure>,
    /// `ctx.stash` as it left it.
    pub(crate) stash: Box<RawValue>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Early {
    pub(crate) value: Box<RawValue>,
    pub(crate) skip_to: SkipTo,
}

/// Where a function of a pipeline goes on after an early return.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum SkipTo {
    Next,
    End,
}

/// `util.error`, `util.unauthorized`, or an exception nobody meant.
#[derive(Debug, Deserialize)]
pub(crate) struct Thrown {
    #[serde(flatten)]
    pub(crate) failure: Failure,
    pub(crate) unauthorized: bool,
}

impl Outcome<Box<RawValue>> {
    pub(crate) fn into_value(self) -> Box<RawValue> {
        self.early.map(|early| early.value).or(self.value).unwrap_or_else(|| RawValue::NULL.to_owned())
    }
}

impl Script {
    /// Compiles `text`, the code of `place`. Errors are the engine's words.
    pub(crate) fn new(place: String, text: String) -> Result<Self, String> {
        let engine = Engine::new(&text)?;
        Ok(Self { place, text, idle: Mutex::new(vec![engine]) })
    }

    /// The property the code comes from.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// Runs `handler` on a context object in JSON.
    pub(crate) fn call<T: for<'de> Deserialize<'de>>(
        &self,
        handler: Handler,
        context: &str,
    ) -> Result<Outcome<T>, Failure> {
        let idle = self.idle().pop();
        let engine = match idle {
            Some(engine) => engine,
            None => Engine::new(&self.text).map_err(|fault| self.failure(&fault))?,
        };
        // An engine that ran out of time or memory is not used again.
        let answer = engine.call(handler, context).map_err(|fault| self.failure(&fault))?;
        self.idle().push(engine);
        serde_json::from_str(&answer).map_err(|error| self.failure(&format!("unusable result: {error}")))
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Engine>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// AppSync tells the client no more than this of a fault in code.
    fn failure(&self, fault: &str) -> Failure {
        tracing::error!(code = self.place, fault, "resolver code failed");
        Failure::new("Code", "Runtime Error")
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script").field("place", &self.place).finish_non_exhaustive()
    }
}

impl<'de> Deserialize<'de> for Failure {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Written {
            message: String,
            error_type: Option<String>,
            data: Value,
            error_info: Value,
        }
        let Written { message, error_type, data, error_info } = Written::deserialize(deserializer)?;
        Ok(Self { message, error_type, data, info: error_info })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use serde_json::json;

    fn run(body: &str, context: &Value) -> Outcome<Value> {
        let text = format!(
            "import {{ util, runtime }} from '@aws-appsync/utils';
             export function request(ctx) {{ {body} }}
             export function response(ctx) {{ return ctx.result; }}"
        );
        let script = Script::new("test".to_owned(), text).unwrap();
        script.call(Handler::Request, &context.to_string()).unwrap()
    }

    fn context() -> Value {
        json!({"arguments": {"id": "7"}, "stash": {}, "prev": null})
    }

    #[test]
    fn a_handler_sees_the_context_and_its_return_and_stash_come_back() {
        let outcome =
            run("ctx.stash.seen = ctx.args.id; return { payload: ctx.arguments.id + '!' };", &context());
        assert_eq!(outcome.value, Some(json!({"payload": "7!"})));
        assert_eq!(outcome.stash.get(), r#"{"seen":"7"}"#);
    }

    #[test]
    fn errors_thrown_and_appended_carry_their_four_parts() {
        let outcome = run(
            "util.appendError('soft', 'Soft'); util.error('hard', 'Hard', { a: 1 }, { b: 2 });",
            &context(),
        );
        assert_eq!(outcome.appended, [Failure::new("Soft", "soft")]);
        let thrown = outcome.thrown.unwrap();
        assert!(!thrown.unauthorized);
        assert_eq!(
            thrown.failure,
            Failure {
                error_type: Some("Hard".to_owned()),
                message: "hard".to_owned(),
                data: json!({"a": 1}),
                info: json!({"b": 2}),
            }
        );
        assert!(run("util.unauthorized();", &context()).thrown.unwrap().unauthorized);
    }

    #[test]
    fn an_early_return_carries_its_value_and_where_to_go_on() {
        let outcome = run("runtime.earlyReturn({ x: 1 }, { skipTo: 'END' });", &context());
        let early = outcome.early.unwrap();
        assert_eq!((early.value.get(), early.skip_to), (r#"{"x":1}"#, SkipTo::End));
        assert_eq!(run("runtime.earlyReturn();", &context()).early.unwrap().skip_to, SkipTo::Next);
    }

    #[test]
    fn an_exception_is_a_runtime_error_and_nothing_more() {
        let thrown = run("return ctx.nothing.there;", &context()).thrown.unwrap();
        assert_eq!(thrown.failure, Failure::new("Code", "Runtime Error"));
    }

    #[test]
    fn the_utilities_answer_as_documented() {
        let outcome = run(
            "return {
                id: /^[0-9a-f-]{36}$/.test(util.autoId()),
                base64: util.base64Decode(util.base64Encode('grüße')),
                url: util.urlDecode(util.urlEncode('a b&c')),
                epoch: util.time.parseISO8601ToEpochMilliSeconds('2026-01-02T03:04:05.006Z'),
                iso: util.time.epochMilliSecondsToISO8601(1767323045006),
                formatted: util.time.epochMilliSecondsToFormatted(1767323045006, \"yyyy-MM-dd'T'HH:mm:ss.SSS\"),
                seconds: util.time.epochMilliSecondsToSeconds(1767323045006),
                now: Math.abs(util.time.nowEpochSeconds() * 1000 - util.time.nowEpochMilliSeconds()) <= 1000,
                matches: util.matches('a+b', 'xaaab'),
            };",
            &context(),
        );
        assert_eq!(
            outcome.value.unwrap(),
            json!({
                "id": true, "base64": "grüße", "url": "a b&c", "epoch": 1_767_323_045_006_i64,
                "iso": "2026-01-02T03:04:05.006Z", "formatted": "2026-01-02T03:04:05.006",
                "seconds": 1_767_323_045, "now": true, "matches": true,
            })
        );
    }

    #[test]
    fn endless_code_is_stopped() {
        let text = "export function request() { while (true) {} } export function response() {}";
        let script = Script::new("test".to_owned(), text.to_owned()).unwrap();
        let failure = script.call::<Value>(Handler::Request, "{}").unwrap_err();
        assert_eq!(failure.message, "Runtime Error");
        assert!(script.call::<Value>(Handler::Response, "{}").is_ok(), "a fresh engine serves the next call");
    }

    #[test]
    fn code_that_cannot_serve_is_refused_when_read() {
        for (text, words) in [
            ("export function request( {", "resolver:1"),
            ("import fs from 'fs'; export function request() {} export function response() {}", "fs"),
            ("export function request() {}", "response"),
        ] {
            let fault = Script::new("test".to_owned(), text.to_owned()).unwrap_err();
            assert!(fault.contains(words), "{fault}");
        }
    }
}
