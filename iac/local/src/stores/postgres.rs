//! A PostgreSQL cluster of the project's own: Aurora's stand-in, reached through the Data API door.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use tokio_postgres::NoTls;

use super::process::{Process, Spec};
use super::{Places, StoreError, StoreInfo, in_folder, on_path};
use crate::foundation::{DATABASE, DATABASE_USER};

const NAME: &str = "PostgreSQL";

/// How to connect to `database`.
pub(crate) fn config(port: u16, database: &str) -> tokio_postgres::Config {
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(port).user(DATABASE_USER).dbname(database);
    config
}

/// Makes the cluster on first use, starts it, and makes the database on first use.
pub(super) async fn start(
    places: &Places,
    port: u16,
    no_fsync: bool,
) -> Result<(StoreInfo, Option<Process>), StoreError> {
    let binaries = binaries()?;
    let user = OtherUser::needed(&places.data)?;
    let folder = places.data.join("postgres");
    if !folder.join("PG_VERSION").exists() {
        initialise(&binaries, &folder, &user).await?;
    }

    let mut command = user.command(&binaries.join("postgres"));
    command.arg("-D").arg(&folder);
    let port_setting = format!("port={port}");
    let mut settings =
        vec!["listen_addresses=127.0.0.1", &port_setting, "unix_socket_directories=", "max_connections=100"];
    if no_fsync {
        settings.extend(["fsync=off", "synchronous_commit=off", "full_page_writes=off"]);
    }
    for setting in settings {
        command.args(["-c", setting]);
    }
    let spec = Spec { name: "postgres", command, stop: Signal::INT };
    let mut process = Process::start(&places.data, spec)?;
    let administrative = config(port, "postgres");
    process.ready(async || administrative.connect(NoTls).await.is_ok()).await?;

    let failed = |error: tokio_postgres::Error| StoreError::new(NAME, error.to_string());
    let (client, connection) = administrative.connect(NoTls).await.map_err(failed)?;
    let connection = tokio::spawn(connection);
    let version: String = client.query_one("SHOW server_version", &[]).await.map_err(failed)?.get(0);
    let exists = client.query_opt("SELECT 1 FROM pg_database WHERE datname = $1", &[&DATABASE]).await;
    if exists.map_err(failed)?.is_none() {
        client.batch_execute(&format!("CREATE DATABASE {DATABASE}")).await.map_err(failed)?;
    }
    drop(client);
    // Ends with the client; a failure while closing concerns nobody.
    let _ = connection.await;

    let version = version.split_whitespace().next().unwrap_or_default();
    let info = StoreInfo {
        kind: format!("PostgreSQL {version}"),
        pid: Some(process.pid()),
        url: format!("postgres://{DATABASE_USER}@127.0.0.1:{port}/{DATABASE}"),
    };
    Ok((info, Some(process)))
}

async fn initialise(binaries: &Path, folder: &Path, user: &OtherUser) -> Result<(), StoreError> {
    let failed = |error: std::io::Error| StoreError::new(NAME, format!("{}: {error}", folder.display()));
    // Renamed when whole: a first run that is cut short must not pass for a cluster.
    let partial = folder.with_extension("partial");
    if partial.exists() {
        std::fs::remove_dir_all(&partial).map_err(failed)?;
    }
    std::fs::create_dir_all(&partial).map_err(failed)?;
    std::fs::set_permissions(&partial, std::fs::Permissions::from_mode(0o700)).map_err(failed)?;
    user.give(&partial)?;
    let mut command = user.command(&binaries.join("initdb"));
    command.arg("-D").arg(&partial).args(["-U", DATABASE_USER, "--auth=trust", "--encoding=UTF8"]);
    command.args(["--locale=C.UTF-8", "--no-instructions"]);
    let output = tokio::process::Command::from(command).output().await.map_err(failed)?;
    if output.status.success() {
        return std::fs::rename(&partial, folder).map_err(failed);
    }
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(StoreError::new(NAME, format!("initdb failed ({}):\n{words}", output.status)))
}

/// The newest installed server's programs.
fn binaries() -> Result<PathBuf, StoreError> {
    let version_of = |path: &Path| -> Option<u32> { path.file_name()?.to_str()?.parse().ok() };
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = installed
        .map(|entry| entry.path())
        .filter(|path| in_folder(&path.join("bin"), "postgres").is_some())
        .filter_map(|path| version_of(&path).map(|version| (version, path)))
        .max_by_key(|(version, _)| *version)
        .map(|(_, path)| path.join("bin"));
    newest.or_else(|| on_path("postgres").and_then(|path| path.parent().map(Path::to_owned))).ok_or_else(
        || {
            StoreError::new(
                NAME,
                "no server is installed: `sudo apt-get install postgresql` (Debian 12 has version 15)",
            )
        },
    )
}

/// PostgreSQL refuses to run as root, so root runs it as somebody else.
enum OtherUser {
    /// We are not root.
    Ourselves,
    /// In a user namespace where root's files belong to user 1000, so nothing has to change owner.
    Namespace,
    /// As the user `postgres` that Debian's package makes.
    Postgres,
}

impl OtherUser {
    fn needed(data: &Path) -> Result<Self, StoreError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self::Ourselves);
        }
        let works = |mut command: Command| command.output().is_ok_and(|output| output.status.success());
        if works(Self::Namespace.command(Path::new("true"))) {
            return Ok(Self::Namespace);
        }
        let mut reach = Self::Postgres.command(Path::new("test"));
        reach.arg("-x").arg(data);
        if works(reach) {
            return Ok(Self::Postgres);
        }
        Err(StoreError::new(
            NAME,
            format!(
                "it refuses to run as root, user namespaces are off, and the user postgres cannot reach {}: run this \
                 command as an ordinary user, or choose another folder with --data",
                data.display()
            ),
        ))
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = match self {
            Self::Ourselves => return Command::new(program),
            Self::Namespace => {
                let mut command = Command::new("unshare");
                command.args(["--user", "--map-user=1000", "--map-group=1000", "--"]);
                command
            }
            Self::Postgres => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]);
                command
            }
        };
        command.arg(program);
        command
    }

    fn give(&self, folder: &Path) -> Result<(), StoreError> {
        if !matches!(self, Self::Postgres) {
            return Ok(());
        }
        let given = Command::new("chown").arg("postgres:postgres").arg(folder).status();
        match given {
            Ok(status) if status.success() => Ok(()),
            _ => Err(StoreError::new(NAME, format!("{} cannot be given to postgres", folder.display()))),
        }
    }
}
