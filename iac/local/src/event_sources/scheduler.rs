//! A function's `Schedule` or `ScheduleV2` event source: hands the function its event whenever it is due.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use lambda_host::{Event, Invoke, scalar};
use local_template::TemplateError;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;
use tracing::{info, warn};
use uuid::Uuid;

use super::schedule::Schedule;
use super::{Place, Wiring, arn_field};

/// The clock may be set or the machine sleep: no wait is trusted for longer.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
#[allow(dead_code, reason = "properties without a local effect are listed so that others can be refused")]
struct V2 {
    schedule_expression: String,
    #[serde(default)]
    schedule_expression_timezone: Option<String>,
    #[serde(default)]
    state: State,
    #[serde(default)]
    input: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    omit_name: IgnoredAny,
    #[serde(default)]
    description: IgnoredAny,
    #[serde(default)]
    group_name: IgnoredAny,
    #[serde(default)]
    flexible_time_window: IgnoredAny,
    #[serde(default)]
    retry_policy: IgnoredAny,
    #[serde(default)]
    dead_letter_config: IgnoredAny,
    #[serde(default)]
    permissions_boundary: IgnoredAny,
    #[serde(default)]
    role_arn: IgnoredAny,
    #[serde(default)]
    kms_key_arn: IgnoredAny,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
#[allow(dead_code, reason = "properties without a local effect are listed so that others can be refused")]
struct V1 {
    schedule: String,
    #[serde(default = "enabled", deserialize_with = "scalar::required")]
    enabled: bool,
    #[serde(default)]
    state: State,
    #[serde(default)]
    input: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    description: IgnoredAny,
    #[serde(default)]
    retry_policy: IgnoredAny,
    #[serde(default)]
    dead_letter_config: IgnoredAny,
    #[serde(default)]
    role_arn: IgnoredAny,
}

#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum State {
    #[default]
    Enabled,
    Disabled,
}

fn enabled() -> bool {
    true
}

/// Which service would send the event; they shape it differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Service {
    Scheduler,
    Rules,
}

pub(super) struct Scheduler {
    schedule: Schedule,
    service: Service,
    arn: String,
    input: Option<String>,
    function: String,
    invoke: Arc<dyn Invoke>,
}

impl Scheduler {
    /// None if the schedule is disabled.
    pub(super) fn new(
        place: &Place<'_>,
        event: &Event,
        wiring: &Wiring,
    ) -> Result<Option<Self>, TemplateError> {
        let (service, expression, zone, enabled, input, name) = if event.kind == "ScheduleV2" {
            let it: V2 = place.read(event)?;
            let enabled = it.state == State::Enabled;
            (
                Service::Scheduler,
                it.schedule_expression,
                it.schedule_expression_timezone,
                enabled,
                it.input,
                it.name,
            )
        } else {
            let it: V1 = place.read(event)?;
            let enabled = it.enabled && it.state == State::Enabled;
            (Service::Rules, it.schedule, None, enabled, it.input, it.name)
        };
        let schedule =
            Schedule::parse(&expression, zone.as_deref()).map_err(|problem| place.error(&problem))?;
        let name = name.unwrap_or_else(|| format!("{}{}", place.resource.logical_id, place.event_name));
        let (region, account) = (arn_field(place.function_arn()?, 3), arn_field(place.function_arn()?, 4));
        let arn = match service {
            Service::Scheduler => format!("arn:aws:scheduler:{region}:{account}:schedule/default/{name}"),
            Service::Rules => format!("arn:aws:events:{region}:{account}:rule/{name}"),
        };
        let function = place.resource.physical_id.clone();
        let invoke = Arc::clone(&wiring.invoke);
        Ok(enabled.then_some(Self { schedule, service, arn, input, function, invoke }))
    }

    /// Runs until there is no further time. A rate's first time is one period from now, so that a stack that
    /// is just coming up is left in peace.
    pub(super) async fn run(self) {
        let start = Utc::now();
        let mut last = start;
        while let Some(due) = self.schedule.next(start, last) {
            loop {
                let left = (due - Utc::now()).to_std().unwrap_or_default();
                if left.is_zero() {
                    break;
                }
                tokio::time::sleep(left.min(LONGEST_WAIT)).await;
            }
            info!(function = self.function, schedule = self.arn, "due");
            if let Err(error) = self.invoke.invoke_event(&self.function, self.event(due)).await {
                warn!(function = self.function, schedule = self.arn, "not started: {error}");
            }
            // What was missed meanwhile is not made up for.
            last = due.max(Utc::now());
        }
    }

    fn event(&self, due: DateTime<Utc>) -> Bytes {
        let id = Uuid::new_v4().to_string();
        let time = due.to_rfc3339_opts(SecondsFormat::Secs, true);
        match (&self.input, self.service) {
            (Some(input), Service::Scheduler) => Bytes::from(
                input
                    .replace("<aws.scheduler.schedule-arn>", &self.arn)
                    .replace("<aws.scheduler.scheduled-time>", &time)
                    .replace("<aws.scheduler.execution-id>", &id)
                    .replace("<aws.scheduler.attempt-number>", "1"),
            ),
            (Some(input), Service::Rules) => Bytes::from(input.clone()),
            (None, service) => {
                let (source, detail) = match service {
                    Service::Scheduler => ("aws.scheduler", json!("{}")),
                    Service::Rules => ("aws.events", json!({})),
                };
                let event = json!({
                    "version": "0", "id": id, "detail-type": "Scheduled Event", "source": source,
                    "account": arn_field(&self.arn, 4), "time": time, "region": arn_field(&self.arn, 3),
                    "resources": [self.arn], "detail": detail,
                });
                Bytes::from(event.to_string())
            }
        }
    }
}
