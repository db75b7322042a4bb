//! The Data API as `bill-session` reaches it.

use aws_config::{BehaviorVersion, Region};
use aws_sdk_rdsdata::config::Credentials;
use shared::Database;

use crate::Result;
use crate::stack::Stack;

pub(super) async fn database(stack: &Stack) -> Result<Database> {
    let function = stack.functions.iter().find(|function| function.binary == "bill-session");
    let variables = &function.ok_or("no bill-session")?.variables;
    let variable = |name: &str| variables.get(name).cloned().ok_or_else(|| format!("no {name}"));
    let config = aws_config::defaults(BehaviorVersion::latest())
        .endpoint_url(variable("AWS_ENDPOINT_URL_RDS_DATA")?)
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("local", "local", None, None, "local"))
        .load()
        .await;
    let client = aws_sdk_rdsdata::Client::new(&config);
    let (cluster, secret) = (variable("CLUSTER_ARN")?, variable("DATABASE_SECRET_ARN")?);
    Ok(Database::new(client, cluster, secret, variable("DATABASE_NAME")?))
}
