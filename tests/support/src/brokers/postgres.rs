//! A real PostgreSQL with a database `iem`, and a real PgBouncer before it, on loopback.
//!
//! Neither runs as root: where the tests do, they run as `nobody`.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, kill_process};

use super::ports;
use super::process::{Folder, Guarded, tail};
use crate::eventually::{AMPLE, eventually};

/// The user of Debian's that owns nothing.
const NOBODY: u32 = 65534;

/// The user, and the database.
const NAME: &str = "iem";

/// A running PostgreSQL. It ends when this is dropped, and with the process.
#[derive(Debug)]
pub struct Postgres {
    process: Guarded,
    folder: Folder,
    port: u16,
}

impl Postgres {
    /// Starts one with an empty database, and waits until it serves.
    ///
    /// # Panics
    /// Where it does not start, with the end of its log; where it is missing, with the command that
    /// installs it.
    pub fn start() -> Self {
        let folder = Folder::new("iem-postgres-");
        give_away(folder.path());
        let data = folder.path().join("data");
        let (initdb, path) = (program("initdb"), data.to_string_lossy());
        let made = as_nobody(&[
            &initdb,
            "--no-sync",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--username",
            NAME,
            "--pgdata",
            &path,
        ]);
        let made = command(&made).output().expect("initdb starts");
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        let port = ports::free(1)[0];
        let server = Self {
            process: serve(folder.path(), port),
            folder,
            port,
        };
        server.wait();
        server.run_in("postgres", &format!("CREATE DATABASE {NAME}"));
        server
    }

    /// The URL of the database.
    pub fn url(&self) -> String {
        format!("postgres://{NAME}@127.0.0.1:{}/{NAME}", self.port)
    }

    /// Takes connections over TLS with this certificate and its key, and lets a user in by password and
    /// over TLS alone.
    pub fn secure(&self, certificate: &str, key: &str, user: &str, password: &str) {
        let data = self.folder.path().join("data");
        for (name, text) in [("server.crt", certificate), ("server.key", key)] {
            let file = data.join(name);
            fs::write(&file, text).expect("a file in a folder of its own");
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("it is ours");
            if geteuid().is_root() {
                chown(&file, Some(NOBODY), Some(NOBODY)).expect("root may");
            }
        }
        let rules = data.join("pg_hba.conf");
        let others = fs::read_to_string(&rules).expect("the rules");
        let own = format!(
            "hostssl all {user} 127.0.0.1/32 scram-sha-256\nhostnossl all {user} all reject\n"
        );
        fs::write(&rules, own + &others).expect("a file in a folder of its own");
        self.run(&format!(
            "CREATE ROLE {user} LOGIN SUPERUSER PASSWORD '{password}'"
        ));
        self.run("ALTER SYSTEM SET ssl = on");
        self.run("SELECT pg_reload_conf()");
        eventually(AMPLE, "TLS is on", || self.run("SHOW ssl") == "on");
    }

    /// Makes another database with what is in the first one, to which nobody may be connected, and
    /// returns its URL.
    pub fn copy(&self) -> String {
        static NEXT: AtomicUsize = AtomicUsize::new(1);
        let name = format!("{NAME}{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let sql = format!("CREATE DATABASE {name} TEMPLATE {NAME}");
        self.run_in("postgres", &sql);
        format!("postgres://{NAME}@127.0.0.1:{}/{name}", self.port)
    }

    /// Returns the database as SQL that makes it anew.
    pub fn dump(&self) -> String {
        let port = self.port.to_string();
        let ran = Command::new(program("pg_dump"))
            .args(["--clean", "--if-exists", "-h", "127.0.0.1", "-p", &port])
            .args(["-U", NAME, NAME])
            .output()
            .expect("pg_dump starts");
        assert!(ran.status.success(), "{ran:?}");
        String::from_utf8(ran.stdout).expect("SQL is UTF-8")
    }

    /// Runs the SQL of [`dump`](Self::dump).
    pub fn restore(&self, dump: &str) {
        let file = self.folder.path().join("dump.sql");
        fs::write(&file, dump).expect("a file in a folder of its own");
        let port = self.port.to_string();
        let ran = Command::new(program("psql"))
            .args([
                "--no-psqlrc",
                "--quiet",
                "--single-transaction",
                "-v",
                "ON_ERROR_STOP=1",
            ])
            .args(["-h", "127.0.0.1", "-p", &port, "-U", NAME, "-d", NAME, "-f"])
            .arg(&file)
            .output()
            .expect("psql starts");
        assert!(ran.status.success(), "{ran:?}");
    }

    /// Starts SQL in the database that somebody else does not wait for.
    pub fn run_beside(&self, sql: &str) -> Guarded {
        let (psql, port) = (program("psql"), self.port.to_string());
        let words = [
            &psql,
            "--no-psqlrc",
            "-h",
            "127.0.0.1",
            "-p",
            &port,
            "-U",
            NAME,
            "-d",
            NAME,
            "-c",
            sql,
        ];
        Guarded::spawn(&self.folder.path().join("log"), &words)
    }

    /// Runs SQL in the database, as somebody with `psql` does, and returns the rows: values apart by
    /// `|`.
    ///
    /// # Panics
    /// If it fails.
    pub fn run(&self, sql: &str) -> String {
        self.run_in(NAME, sql)
    }

    fn run_in(&self, database: &str, sql: &str) -> String {
        let (rows, error) = self.psql(database, sql);
        assert!(error.is_empty(), "{sql}: {error}");
        rows
    }

    fn psql(&self, database: &str, sql: &str) -> (String, String) {
        let port = self.port.to_string();
        let ran = Command::new(program("psql"))
            .args(["--no-psqlrc", "--quiet", "--no-align", "--tuples-only"])
            .args(["-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", &port])
            .args(["-U", NAME, "-d", database, "-c", sql])
            .env("PGCONNECT_TIMEOUT", "5")
            .output()
            .expect("psql starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        let error = if ran.status.success() {
            String::new()
        } else {
            format!("failed: {}", text(&ran.stderr))
        };
        (text(&ran.stdout), error)
    }

    /// Stops all its processes where they stand.
    pub fn pause(&self) {
        // First the one that would start others.
        self.process.pause();
        self.signal_others(Signal::STOP);
    }

    /// Lets its processes go on.
    pub fn resume(&self) {
        self.signal_others(Signal::CONT);
        self.process.resume();
    }

    /// Kills it, and waits for the end of all its processes.
    pub fn kill(&mut self) {
        let others = self.others();
        self.process.kill();
        for other in &others {
            let _ = kill_process(*other, Signal::KILL);
        }
        eventually(AMPLE, "the processes of PostgreSQL end", || {
            let folder = |pid: &Pid| PathBuf::from(format!("/proc/{}", pid.as_raw_nonzero()));
            others.iter().all(|pid| !folder(pid).join("exe").exists())
        });
    }

    /// Starts it again, and waits until it serves.
    pub fn start_again(&mut self) {
        self.process = serve(self.folder.path(), self.port);
        self.wait();
    }

    fn wait(&self) {
        let late = Instant::now() + AMPLE;
        while !self.psql("postgres", "SELECT 1").1.is_empty() {
            assert!(
                self.process.is_running() && Instant::now() < late,
                "PostgreSQL does not start:\n{}",
                tail(&self.folder.path().join("log"))
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The processes that the first one has started.
    fn others(&self) -> Vec<Pid> {
        let parent = format!("PPid:\t{}", self.process.id());
        let processes = fs::read_dir("/proc").expect("the processes");
        let others = processes.flatten().filter_map(|process| {
            let status = fs::read_to_string(process.path().join("status")).ok()?;
            let is_other = status.lines().any(|line| line == parent);
            let id = process.file_name().to_str()?.parse().ok()?;
            is_other.then(|| Pid::from_raw(id)).flatten()
        });
        others.collect()
    }

    fn signal_others(&self, signal: Signal) {
        for other in self.others() {
            let _ = kill_process(other, signal);
        }
    }
}

/// A running PgBouncer in transaction mode: each transaction of a client may come to another
/// connection of the server. It ends when this is dropped, and with the process.
#[derive(Debug)]
pub struct PgBouncer {
    _process: Guarded,
    _folder: Folder,
    port: u16,
}

impl PgBouncer {
    /// Starts one before a server, and waits until it serves.
    ///
    /// # Panics
    /// As [`Postgres::start`].
    pub fn start(server: &Postgres) -> Self {
        let folder = Folder::new("iem-pgbouncer-");
        give_away(folder.path());
        let port = ports::free(1)[0];
        let configuration = format!(
            "[databases]\n\
             {NAME} = host=127.0.0.1 port={} user={NAME}\n\
             [pgbouncer]\n\
             listen_addr = 127.0.0.1\n\
             listen_port = {port}\n\
             unix_socket_dir =\n\
             auth_type = any\n\
             pool_mode = transaction\n\
             default_pool_size = 3\n",
            server.port
        );
        let file = folder.path().join("pgbouncer.ini");
        fs::write(&file, configuration).expect("a file in a folder of its own");
        let log = folder.path().join("log");
        let file = file.to_string_lossy();
        let process = Guarded::spawn(&log, &as_nobody(&[&program("pgbouncer"), &file]));
        eventually(AMPLE, "PgBouncer serves", || {
            assert!(process.is_running(), "no PgBouncer:\n{}", tail(&log));
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Self {
            _process: process,
            _folder: folder,
            port,
        }
    }

    /// The URL of the database behind it.
    pub fn url(&self) -> String {
        format!("postgres://{NAME}@127.0.0.1:{}/{NAME}", self.port)
    }
}

fn serve(folder: &Path, port: u16) -> Guarded {
    let data = folder.join("data");
    Guarded::spawn(
        &folder.join("log"),
        &as_nobody(&[
            &program("postgres"),
            "-D",
            &data.to_string_lossy(),
            "-p",
            &port.to_string(),
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            "unix_socket_directories=",
            "-c",
            "max_connections=60",
            "-c",
            "shared_buffers=32MB",
            // A machine that ends takes the tests with it.
            "-c",
            "fsync=off",
        ]),
    )
}

/// Lets the user that the servers run as into a folder.
fn give_away(folder: &Path) {
    if geteuid().is_root() {
        chown(folder, Some(NOBODY), Some(NOBODY)).expect("root may");
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).expect("root may");
    }
}

/// Returns a command as it is run by a user that is not root.
fn as_nobody<'c>(command: &[&'c str]) -> Vec<&'c str> {
    const AS_NOBODY: [&str; 4] = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
    ];
    let prefix: &[&str] = if geteuid().is_root() { &AS_NOBODY } else { &[] };
    [prefix, command].concat()
}

fn command(words: &[&str]) -> Command {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    command
}

/// Returns the path of a program, where Debian has it or on the path.
fn program(name: &str) -> String {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let found = versions
        .flatten()
        .map(|version| version.path().join("bin").join(name));
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let on_path: Vec<_> = std::env::split_paths(&on_path).collect();
    let on_path = on_path.into_iter().map(|folder| folder.join(name));
    let mut all = found
        .chain(on_path)
        .chain([Path::new("/usr/sbin").join(name)]);
    let found = all.find(|path| path.is_file());
    let found = found.unwrap_or_else(|| {
        panic!("{name} is missing: `apt-get install postgresql pgbouncer` installs it")
    });
    found.to_string_lossy().into_owned()
}
