//! A Redis that keeps nothing.

use std::process::Command;

use tokio::net::TcpStream;

use crate::{Server, free_port, until};

/// A running Redis.
pub struct Redis {
    port: u16,
    _server: Server,
}

impl Redis {
    /// An empty one.
    pub async fn start() -> Self {
        let port = free_port();
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
        let server = Server::start(command.current_dir(std::env::temp_dir()));
        until("Redis", async || TcpStream::connect(("127.0.0.1", port)).await.ok()).await;
        Self { port, _server: server }
    }

    /// `redis://…`.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}
