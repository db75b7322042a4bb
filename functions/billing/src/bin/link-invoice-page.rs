//! `Query.invoicePage`. Reads invoices and the secret that signs links, writes the audit log.
use billing::{InvoiceLinks, invoice_page_link};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = shared::aws_config().await;
    let links = InvoiceLinks::from_env(&config)?;
    shared::resolver(async |caller, arguments| invoice_page_link(&links, &caller, arguments).await).await
}
