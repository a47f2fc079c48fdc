//! The way to the database.

use std::fmt::{self, Display};
use std::io;

use iem_postgres::{Connection, Error, Settings};
use tokio::runtime::{Builder, Runtime};

use crate::config;
use crate::identity::directory::error::DirectoryError;
use crate::tls::database_client_config;

/// The way to the database.
#[derive(Debug)]
pub(in crate::identity::directory) struct Access(Settings);

impl Access {
    /// Returns how a configuration says that it is reached. Reaches it not yet.
    ///
    /// # Errors
    /// The URL or the certificates cannot be used.
    pub(super) fn of(config: &config::Directory) -> Result<Self, DirectoryError> {
        let fault = |fault: &str| DirectoryError::of_place("in directory.url", fault);
        let settings =
            Settings::parse(&config.url, &config.password.0).map_err(|error| fault(&error))?;
        let is_local = settings.is_on_loopback();
        if settings.is_plaintext() && !is_local && !config.plaintext {
            return Err(fault(
                "sslmode=disable is for a database on loopback; \
                 directory.plaintext = true allows it elsewhere",
            ));
        }
        let has_roots = !config.ca_file.as_os_str().is_empty();
        if settings.is_plaintext() || (is_local && !has_roots && !settings.is_to_be_encrypted()) {
            return Ok(Self(settings.without_tls()));
        }
        let roots = has_roots.then_some(&*config.ca_file);
        let tls = database_client_config(roots)
            .map_err(|error| DirectoryError::of_place(&settings.to_string(), &error.to_string()))?;
        Ok(Self(settings.over_tls(tls)))
    }

    /// Connects to a database that has a directory.
    pub(super) async fn open(&self) -> Result<Connection, Error> {
        Connection::open(&self.0).await
    }

    /// Connects to a database, whatever is in it.
    pub(super) async fn open_any(&self) -> Result<Connection, Error> {
        Connection::open_any(&self.0).await
    }

    /// Has the database give up what it has not answered.
    pub(super) async fn cancel(&self, connection: &Connection) {
        connection.cancel(&self.0).await;
    }

    /// Runs `work` on a connection of its own. Blocks.
    pub(super) fn run<T>(
        &self,
        work: impl AsyncFnOnce(&mut Connection) -> Result<T, Error>,
    ) -> Result<T, DirectoryError> {
        self.block_on(async { work(&mut self.open().await?).await })
    }

    /// Runs `work` to its end. Blocks.
    pub(super) fn block_on<T>(
        &self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, DirectoryError> {
        let place = self.to_string();
        let runtime =
            runtime().map_err(|error| DirectoryError::of_place(&place, &error.to_string()))?;
        let done = runtime.block_on(work);
        done.map_err(|error| DirectoryError::of_database(&place, &error))
    }
}

/// Shows the database without a password.
impl Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

pub(super) fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// Returns the name of this machine.
pub(super) fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname");
    name.map_or_else(|_| "localhost".to_owned(), |name| name.trim().to_owned())
}
