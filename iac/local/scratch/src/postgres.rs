//! A PostgreSQL in a folder of its own.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

use crate::free_port;

/// A running PostgreSQL with the database `postgres`; its user `postgres` needs no password.
pub struct Postgres {
    folder: TempDir,
    port: u16,
}

impl Postgres {
    /// An empty one.
    pub fn start() -> Self {
        let postgres = Self::in_a_folder();
        postgres.initialise();
        postgres.up();
        postgres
    }

    /// One on which `scripts` were run. The first to ask for them keeps a copy below `kept`
    /// (`env!("CARGO_TARGET_TMPDIR")`) that all others begin with.
    pub async fn with_schema(scripts: impl IntoIterator<Item = &str>, kept: &str) -> Self {
        let scripts: Vec<_> = scripts.into_iter().collect();
        let mut hash = DefaultHasher::new();
        scripts.hash(&mut hash);
        let template = Path::new(kept).join(format!("schema-{:016x}", hash.finish()));
        if !template.exists() {
            Self::keep(&scripts, &template).await;
        }
        let postgres = Self::in_a_folder();
        run(Command::new("cp").arg("-a").arg(&template).arg(postgres.data()));
        postgres.up();
        postgres
    }

    async fn keep(scripts: &[&str], template: &Path) {
        let postgres = Self::start();
        let client = postgres.connect().await;
        for script in scripts {
            client.batch_execute(script).await.unwrap();
        }
        postgres.stop("fast");
        // Whole or not at all: other tests may be making it, too.
        let draft = template.with_extension(std::process::id().to_string());
        run(Command::new("cp").arg("-a").arg(postgres.data()).arg(&draft));
        if std::fs::rename(&draft, template).is_err() {
            std::fs::remove_dir_all(&draft).unwrap();
        }
    }

    fn in_a_folder() -> Self {
        let folder = TempDir::new().unwrap();
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(folder.path()));
        }
        Self { folder, port: free_port() }
    }

    fn initialise(&self) {
        let mut initdb = program("initdb");
        initdb.args(["--no-sync", "--wal-segsize=1", "-A", "trust", "-U", "postgres", "-E", "UTF8", "-D"]);
        run(initdb.arg(self.data()));
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Starts it again after [`Postgres::down`].
    pub fn up(&self) {
        let settings = format!(
            "-F -p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories={} -c timezone=UTC",
            self.port,
            self.folder.path().display()
        );
        run(program("pg_ctl").args(["-w", "-o", &settings, "start", "-D"]).arg(self.data()));
    }

    /// Stops it as a crash would.
    pub fn down(&self) {
        self.stop("immediate");
    }

    fn stop(&self, mode: &str) {
        run(program("pg_ctl").args(["-w", "-m", mode, "stop", "-D"]).arg(self.data()));
    }

    /// How to connect.
    pub fn config(&self) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(self.port).user("postgres").dbname("postgres");
        config.connect_timeout(Duration::from_secs(5));
        config
    }

    /// A client beside whatever is tested.
    pub async fn connect(&self) -> Client {
        let (client, connection) = self.config().connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let mut stop = program("pg_ctl");
        stop.args(["-m", "immediate", "stop", "-D"]).arg(self.data());
        // The test may have stopped it, or may be panicking: its folder goes either way.
        let _ = quiet(&mut stop).status();
    }
}

/// The newest server's. It refuses to run as root, so there it runs as `postgres`.
fn program(name: &str) -> Command {
    let servers = std::fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL is not installed");
    let version = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = servers.map(|entry| entry.unwrap().path()).max_by_key(version);
    let path = newest.expect("PostgreSQL is not installed").join("bin").join(name);
    if !is_root() {
        return Command::new(path);
    }
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--"]).arg(path);
    command
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

/// From a folder that `postgres` may enter, without a word.
fn quiet(command: &mut Command) -> &mut Command {
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null())
}

fn run(command: &mut Command) {
    assert!(quiet(command).status().unwrap().success(), "{command:?}");
}
