//! One function as this host runs it: which binary, with what environment and limits.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use local_template::Resource;

use crate::asynchronous::Destination;
use crate::properties::FunctionProperties;

/// A function of the template, resolved.
#[derive(Debug, Clone)]
pub struct Function {
    /// Its physical name.
    pub name: String,
    /// Its key in the template.
    pub logical_id: String,
    /// `arn:aws:lambda:REGION:ACCOUNT:function:NAME`.
    pub arn: String,
    /// The executable that is its process.
    pub binary: PathBuf,
    /// An invocation that takes longer is killed.
    pub timeout: Duration,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) concurrency: Option<usize>,
    pub(crate) retries: u32,
    pub(crate) max_age: Duration,
    pub(crate) destination: Option<Destination>,
}

impl Function {
    /// Reads the properties; the error is the problem, without the place.
    pub(crate) fn new(
        resource: &Resource,
        properties: FunctionProperties,
        bin_dir: &Path,
    ) -> Result<Self, String> {
        if !properties.runtime.starts_with("provided") {
            return Err(format!(
                "Runtime {}: only provided.al2023 binaries run on this machine",
                properties.runtime
            ));
        }
        let binary = Path::new(&properties.code_uri)
            .file_name()
            .ok_or_else(|| format!("CodeUri {} does not end in a function's folder", properties.code_uri))?;
        let arn = resource.attributes.get("Arn").cloned().ok_or("the function has no Arn")?;
        let region = arn.split(':').nth(3).unwrap_or_default().to_owned();
        let name = resource.physical_id.clone();
        let event_invoke = properties.event_invoke_config.as_ref();

        let logging = properties.logging_config.as_ref();
        let log_group = logging
            .and_then(|logging| logging.log_group.clone())
            .unwrap_or_else(|| format!("/aws/lambda/{name}"));
        let log_format = logging.and_then(|logging| logging.log_format.clone());
        let log_level = logging.and_then(|logging| logging.application_log_level.clone());

        let mut environment: BTreeMap<String, String> = [
            ("AWS_LAMBDA_FUNCTION_NAME", name.clone()),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", properties.memory_size.to_string()),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
            ("AWS_LAMBDA_LOG_GROUP_NAME", log_group),
            ("AWS_LAMBDA_LOG_FORMAT", log_format.unwrap_or_else(|| "Text".to_owned())),
            ("AWS_REGION", region.clone()),
            ("AWS_DEFAULT_REGION", region),
            ("AWS_ACCESS_KEY_ID", "local".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "local".to_owned()),
            ("LAMBDA_TASK_ROOT", bin_dir.display().to_string()),
            ("LANG", "en_US.UTF-8".to_owned()),
            ("PATH", "/usr/local/bin:/usr/bin/:/bin:/opt/bin".to_owned()),
            ("TZ", ":UTC".to_owned()),
            ("_HANDLER", properties.handler),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
        if let Some(level) = log_level {
            environment.insert("AWS_LAMBDA_LOG_LEVEL".to_owned(), level);
        }
        environment.extend(properties.environment.variables);

        let on_failure = event_invoke
            .and_then(|config| config.destination_config.as_ref())
            .and_then(|config| config.on_failure.as_ref())
            .map(|target| Destination::OnFailure(target.destination.clone()));
        let dead_letter = properties.dead_letter_queue.map(|queue| Destination::DeadLetter(queue.target_arn));
        Ok(Self {
            binary: bin_dir.join(binary),
            logical_id: resource.logical_id.clone(),
            timeout: Duration::from_secs(properties.timeout.into()),
            concurrency: properties.reserved_concurrent_executions,
            retries: event_invoke.and_then(|config| config.maximum_retry_attempts).unwrap_or(2),
            max_age: Duration::from_secs(
                event_invoke.and_then(|config| config.maximum_event_age_in_seconds).unwrap_or(6 * 60 * 60),
            ),
            destination: on_failure.or(dead_letter),
            environment,
            arn,
            name,
        })
    }
}

/// The name in a name, a partial ARN, an ARN with or without a qualifier, or an API Gateway integration URI.
pub(crate) fn name_of(function: &str) -> &str {
    let name = function.rsplit_once("function:").map_or(function, |(_, name)| name);
    name.split([':', '/']).next().unwrap_or(name)
}
