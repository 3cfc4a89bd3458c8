//! A PostgreSQL server of the tests' own: made in a temporary folder, reached by a socket in it,
//! and gone with the process that asked for it, however that ends.
//!
//! What must stay true: where PostgreSQL is not installed the tests say loudly that they did not
//! run, and where `RECOUP_POSTGRES=required` they fail.

use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Whoever owns nothing else: PostgreSQL does not run as root.
const NOBODY: u32 = 65_534;

/// A server.
pub(crate) struct Server {
    bin: PathBuf,
    home: tempfile::TempDir,
    port: u16,
    settings: Vec<String>,
    process: Option<Child>,
}

/// The server that most tests share; none: PostgreSQL is not here.
pub(crate) fn shared() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(|| Server::start(&[])).as_ref()
}

/// A new, empty place for a store on the shared server.
pub(crate) fn fresh() -> Option<String> {
    shared().map(Server::fresh)
}

impl Server {
    /// A new server; none, and a loud word, where PostgreSQL is not installed.
    pub(crate) fn start(settings: &[&str]) -> Option<Self> {
        let Some(bin) = installed() else {
            let required = std::env::var("RECOUP_POSTGRES").is_ok_and(|word| word == "required");
            assert!(!required, "RECOUP_POSTGRES=required, and no initdb is found");
            // Also where the output of tests that pass is kept back.
            let _ = writeln!(
                std::io::stderr(),
                "\n!!! SKIPPED: PostgreSQL is not installed, a store over it is not tested !!!\n"
            );
            return None;
        };
        let home = tempfile::tempdir().unwrap();
        if is_root() {
            chown(home.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let data = home.path().join("data");
        let made = as_owner(&bin.join("initdb"))
            .args(["--no-sync", "--auth=trust", "--username=recoup", "--encoding=UTF8"])
            .args(["--locale=C", "-D"])
            .arg(&data)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(made.success(), "initdb failed");
        let settings = settings.iter().map(|one| (*one).to_owned()).collect();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = Self { bin, home, port, settings, process: None };
        server.go_on();
        Some(server)
    }

    /// Starts it, again.
    pub(crate) fn go_on(&mut self) {
        assert!(self.process.is_none(), "it runs");
        // It ends when the pipe to it does: with this process, however that ends.
        let script = "\"$@\" & server=$!; cat >/dev/null; kill -INT $server; wait $server";
        let mut command = as_owner(Path::new("/bin/sh"));
        command.args(["-c", script, "sh"]).arg(self.bin.join("postgres"));
        command.arg("-D").arg(self.home.path().join("data"));
        command.arg("-k").arg(self.home.path());
        command.arg("-p").arg(self.port.to_string());
        let fixed = ["listen_addresses=", "fsync=off", "max_connections=200"];
        for setting in fixed.into_iter().chain(self.settings.iter().map(String::as_str)) {
            command.arg("-c").arg(setting);
        }
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.home.path().join("log"))
            .unwrap();
        let process = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log).spawn();
        self.process = Some(process.unwrap());
        for _ in 0..600 {
            if self.sql("SELECT 1").is_some() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("{}", std::fs::read_to_string(self.home.path().join("log")).unwrap_or_default());
    }

    /// Ends it at once, with whatever was under way: `kill -9` of all its processes.
    pub(crate) fn kill(&mut self) {
        let pid = std::fs::read_to_string(self.home.path().join("data/postmaster.pid")).unwrap();
        let pid = pid.lines().next().unwrap().to_owned();
        // Immediate shutdown: no checkpoint, no goodbye; the log is replayed at the next start.
        assert!(Command::new("kill").args(["-QUIT", &pid]).status().unwrap().success());
        self.ended();
    }

    /// Ends it in good order.
    pub(crate) fn stop(&mut self) {
        if let Some(process) = &mut self.process {
            drop(process.stdin.take());
        }
        self.ended();
    }

    fn ended(&mut self) {
        if let Some(mut process) = self.process.take() {
            drop(process.stdin.take());
            process.wait().unwrap();
        }
    }

    /// The URL of a new, empty place for a store.
    pub(crate) fn fresh(&self) -> String {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let name = format!("s{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        self.sql(&format!("CREATE SCHEMA {name}")).unwrap();
        let (home, port) = (self.home.path().display(), self.port);
        format!(
            "postgres://recoup@/postgres?host={home}&port={port}&options=-csearch_path%3D{name}"
        )
    }

    /// The port that it listens at, where it is told to.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// A certificate for `localhost` of its own making, and the key that the server may read; none
    /// where there is no `openssl`.
    pub(crate) fn certificate(folder: &Path) -> Option<(String, String)> {
        let path = |name: &str| folder.join(name).display().to_string();
        let (certificate, key) = (path("server.crt"), path("server.key"));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"])
            .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .args(["-keyout", &key, "-out", &certificate])
            .stderr(Stdio::null())
            .status();
        if !made.is_ok_and(|made| made.success()) {
            let _ =
                writeln!(std::io::stderr(), "\n!!! SKIPPED: no openssl makes a certificate !!!\n");
            return None;
        }
        if is_root() {
            chown(folder, Some(NOBODY), Some(NOBODY)).unwrap();
            chown(&key, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        Some((certificate, key))
    }

    /// The socket that it listens at.
    pub(crate) fn socket(&self) -> PathBuf {
        self.home.path().join(format!(".s.PGSQL.{}", self.port))
    }

    /// The same place, reached at this port of this machine.
    pub(crate) fn through(url: &str, port: u16) -> String {
        let schema = url.rsplit_once("%3D").unwrap().1;
        format!("postgres://recoup@127.0.0.1:{port}/postgres?options=-csearch_path%3D{schema}")
    }

    /// What one statement says; none where the server does not answer.
    pub(crate) fn sql(&self, sql: &str) -> Option<String> {
        let (home, port) = (self.home.path().display(), self.port);
        let psql = Command::new(self.bin.join("psql"))
            .args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql])
            .arg(format!("postgres://recoup@/postgres?host={home}&port={port}"))
            .stderr(Stdio::null())
            .output()
            .unwrap();
        psql.status.success().then(|| String::from_utf8(psql.stdout).unwrap().trim().to_owned())
    }

    /// The same, in the place of a store.
    pub(crate) fn sql_in(&self, url: &str, sql: &str) -> String {
        let schema = url.rsplit_once("%3D").unwrap().1;
        self.sql(&format!("SET search_path = {schema}; {sql}")).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout.starts_with(b"0\n"))
}

/// A command that runs as whoever owns the server's files.
fn as_owner(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    let (user, group) = (format!("--reuid={NOBODY}"), format!("--regid={NOBODY}"));
    command.args([&user, &group, "--clear-groups"]).arg(program);
    // Not ours to look at, maybe.
    command.current_dir("/");
    command
}

/// The folder with the newest server's programs.
fn installed() -> Option<PathBuf> {
    let is_there = |bin: &PathBuf| {
        ["initdb", "postgres", "psql"].iter().all(|name| {
            let program = std::fs::metadata(bin.join(name));
            program.is_ok_and(|program| program.permissions().mode() & 0o111 != 0)
        })
    };
    let folders = std::fs::read_dir("/usr/lib/postgresql").ok().into_iter().flatten().flatten();
    let mut all: Vec<PathBuf> = folders.map(|folder| folder.path().join("bin")).collect();
    all.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    all.into_iter().rev().chain(std::env::split_paths(&path)).find(is_there)
}
