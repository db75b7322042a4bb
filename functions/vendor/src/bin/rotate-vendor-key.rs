//! `Mutation.rotateVendorKey`. Replaces what a vendor's secret holds, writes what is known of its keys.
use vendor::{Vendors, rotate_key};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let vendors = Vendors::from_env(&shared::aws_config().await)?;
    shared::resolver(async |caller, arguments| rotate_key(&vendors, &caller, arguments).await).await
}
