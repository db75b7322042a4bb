//! Creates in ministack what the template says, with the AWS SDKs. ministack starts empty, so everything is
//! new; what the doors and event sources serve is theirs to read.

mod dynamodb;
mod eventbridge;
mod secrets;
mod sns;
mod sqs;

use aws_config::SdkConfig;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
use local_template::{Stack, TemplateError};

use crate::foundation::Secret;

/// Why a resource does not exist.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResourceError {
    /// A property that nobody here handles.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// ministack refused it.
    #[error("{resource} cannot be created in ministack: {problem}")]
    Refused {
        /// The logical id, or the secret's name.
        resource: String,
        /// The service's words.
        problem: String,
    },
}

impl ResourceError {
    fn refused(resource: &str, error: impl std::error::Error) -> Self {
        let problem = aws_sdk_sqs::error::DisplayErrorContext(error).to_string();
        Self::Refused { resource: resource.to_owned(), problem }
    }
}

/// How SDK clients reach ministack.
pub(crate) fn sdk_config(url: &str, region: &str) -> SdkConfig {
    let credentials = Credentials::new("local", "local", None, None, "local");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(url)
        .build()
}

/// Every resource of the stack that ministack holds, read from the template: nothing created yet, so that a
/// template with a mistake starts nothing.
pub(crate) struct Plan {
    tables: Vec<dynamodb::Table>,
    queues: Vec<sqs::Queue>,
    topics: Vec<sns::Topic>,
    buses: Vec<String>,
    rules: Vec<eventbridge::Rule>,
}

impl Plan {
    pub(crate) fn read(stack: &Stack) -> Result<Self, TemplateError> {
        Ok(Self {
            tables: dynamodb::read(stack)?,
            queues: sqs::read(stack)?,
            topics: sns::read(stack)?,
            buses: eventbridge::read_buses(stack)?,
            rules: eventbridge::read_rules(stack)?,
        })
    }

    /// Creates everything, at the same time where nothing forbids it.
    pub(crate) async fn create(&self, config: &SdkConfig, secrets: &[Secret]) -> Result<(), ResourceError> {
        let events = async {
            // A rule names its bus.
            eventbridge::create_buses(config, &self.buses).await?;
            eventbridge::create_rules(config, &self.rules).await
        };
        tokio::try_join!(
            dynamodb::create(config, &self.tables),
            sqs::create(config, &self.queues),
            sns::create(config, &self.topics),
            events,
            secrets::create(config, secrets),
        )?;
        Ok(())
    }
}
