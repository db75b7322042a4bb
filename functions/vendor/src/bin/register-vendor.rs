//! `Mutation.registerVendor`. Makes a secret, writes vendors.
use vendor::{Vendors, register};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let vendors = Vendors::from_env(&shared::aws_config().await)?;
    shared::resolver(async |caller, arguments| register(&vendors, &caller, arguments).await).await
}
