//! Secrets Manager and SQS: ministack, and a door before it that counts what is asked and can be shut.

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use scratch::{Server, free_port, until};
use serde_json::Value;
use shared::VendorId;
use tokio::net::TcpListener;
use vendor::Vault;

pub(crate) const PREFIX: &str = "test/vendors/";

pub(crate) struct Cloud {
    /// Through the door.
    pub(crate) config: SdkConfig,
    pub(crate) queue_url: String,
    /// Past it.
    secrets: Client,
    queues: aws_sdk_sqs::Client,
    door: Arc<Mutex<Door>>,
    _server: Server,
}

#[derive(Default)]
struct Door {
    /// The end of the operations' names that are not answered.
    shut: Option<&'static str>,
    asked: Vec<String>,
}

impl Cloud {
    pub(crate) async fn new() -> Self {
        let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.local/venv/bin/ministack");
        let program = if venv.exists() { venv.as_path() } else { Path::new("ministack") };
        let port = free_port();
        let url = format!("http://127.0.0.1:{port}");
        let mut command = Command::new(program);
        command
            .current_dir(std::env::temp_dir())
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string());
        command.env("AWS_ENDPOINT_URL", &url).env("IOT_MTLS_ENABLED", "0").env("PERSIST_STATE", "0");
        let server = Server::start(&mut command);
        let direct = scratch::aws_at(&url);
        let (secrets, queues) = (Client::new(&direct), aws_sdk_sqs::Client::new(&direct));
        until("ministack", async || secrets.list_secrets().send().await.ok()).await;
        let queue = queues.create_queue().queue_name("vendor-reports").send().await.unwrap();
        let door = Arc::<Mutex<Door>>::default();
        let config = scratch::aws_at(entrance(url, Arc::clone(&door)).await);
        Self { config, queue_url: queue.queue_url.unwrap(), secrets, queues, door, _server: server }
    }

    pub(crate) fn vault(&self) -> Vault {
        Vault::new(&self.config, PREFIX)
    }

    /// What a vendor's secret holds.
    pub(crate) async fn held(&self, vendor: VendorId) -> Value {
        let answer = self.secrets.get_secret_value().secret_id(format!("{PREFIX}{vendor}")).send().await;
        serde_json::from_str(answer.unwrap().secret_string().unwrap()).unwrap()
    }

    /// How many secrets there are.
    pub(crate) async fn secrets(&self) -> usize {
        self.secrets.list_secrets().send().await.unwrap().secret_list().len()
    }

    pub(crate) async fn lose_secret(&self, vendor: VendorId) {
        let delete = self.secrets.delete_secret().secret_id(format!("{PREFIX}{vendor}"));
        delete.force_delete_without_recovery(true).send().await.unwrap();
    }

    /// All messages that wait, taken out.
    pub(crate) async fn queued(&self) -> Vec<Value> {
        let mut taken = Vec::new();
        loop {
            let receive = self.queues.receive_message().queue_url(&self.queue_url).max_number_of_messages(10);
            let messages = receive.send().await.unwrap().messages.unwrap_or_default();
            if messages.is_empty() {
                return taken;
            }
            for message in messages {
                let handle = message.receipt_handle.unwrap();
                self.queues
                    .delete_message()
                    .queue_url(&self.queue_url)
                    .receipt_handle(handle)
                    .send()
                    .await
                    .unwrap();
                taken.push(serde_json::from_str(&message.body.unwrap()).unwrap());
            }
        }
    }

    /// From now on, operations whose names end so are not answered.
    pub(crate) fn shut(&self, operation: Option<&'static str>) {
        self.door.lock().unwrap().shut = operation;
    }

    /// How often an operation was asked for.
    pub(crate) fn asked(&self, operation: &str) -> usize {
        self.door.lock().unwrap().asked.iter().filter(|asked| asked.ends_with(operation)).count()
    }
}

async fn entrance(url: String, door: Arc<Mutex<Door>>) -> String {
    let http = reqwest::Client::new();
    let answer = move |mut headers: HeaderMap, body: Bytes| async move {
        let operation = headers["x-amz-target"].to_str().unwrap().to_owned();
        let is_shut = {
            let mut door = door.lock().unwrap();
            door.asked.push(operation.clone());
            door.shut.is_some_and(|shut| operation.ends_with(shut))
        };
        if is_shut {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
        headers.remove("host");
        let answer = http.post(url).headers(headers).body(body).send().await.unwrap();
        let (status, mut headers) = (answer.status(), answer.headers().clone());
        headers.remove("transfer-encoding");
        let mut response = Response::new(axum::body::Body::from(answer.bytes().await.unwrap()));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    };
    serve(Router::new().fallback(answer)).await
}

pub(crate) async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}
