//! Messages to the service manager, by the protocol of `sd_notify(3)`.
//!
//! None blocks: a message that the service manager has no room for is lost.

use std::env;
use std::ffi::OsStr;
use std::fmt::Display;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Tells the service manager the state of the process.
#[derive(Debug)]
pub struct Notifier {
    /// `None` without a service manager that wants to be told.
    target: Option<Target>,
    watchdog: Option<Duration>,
}

#[derive(Debug)]
struct Target {
    socket: UnixDatagram,
    address: SocketAddr,
}

impl Notifier {
    /// Returns the notifier for the socket that the environment names.
    ///
    /// # Errors
    /// `NOTIFY_SOCKET` is no address, or there is no descriptor for a socket.
    pub fn from_environment() -> io::Result<Self> {
        let target = env::var_os("NOTIFY_SOCKET")
            .map(|name| Target::new(&name))
            .transpose()?;
        let number = |name: &str| env::var(name).ok()?.parse::<u64>().ok();
        let is_ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(process::id()));
        let watchdog = number("WATCHDOG_USEC")
            .filter(|time| is_ours && *time > 0)
            .map(Duration::from_micros);
        Ok(Self { target, watchdog })
    }

    /// Returns the time after which the service manager ends a process that is not
    /// [alive](Self::alive).
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// The process serves: a start or a reload is over.
    pub fn ready(&self, status: impl Display) {
        self.tell(&format!("READY=1\nSTATUS={status}"));
    }

    /// The process reads its files again. [`ready`](Self::ready) ends it.
    pub fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = now.tv_sec * 1_000_000 + now.tv_nsec / 1000;
        self.tell(&format!(
            "RELOADING=1\nMONOTONIC_USEC={micros}\nSTATUS=Reading directory, keys and certificates again"
        ));
    }

    /// The process serves nothing new, and ends within `time`.
    pub fn stopping(&self, time: Duration, status: impl Display) {
        let micros = time.as_micros();
        self.tell(&format!(
            "STOPPING=1\nEXTEND_TIMEOUT_USEC={micros}\nSTATUS={status}"
        ));
    }

    /// The process works.
    pub fn alive(&self) {
        self.tell("WATCHDOG=1");
    }

    fn tell(&self, message: &str) {
        let Some(Target { socket, address }) = &self.target else {
            return;
        };
        if let Err(error) = socket.send_to_addr(message.as_bytes(), address) {
            tracing::warn!(%error, message, "cannot tell the service manager");
        }
    }
}

impl Target {
    fn new(name: &OsStr) -> io::Result<Self> {
        let address = match name.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            _ => SocketAddr::from_pathname(name)?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, address })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_with_an_abstract_name_is_told_too() {
        let name = format!("iem-gateway-test-{}", process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("an address");
        let manager = UnixDatagram::bind_addr(&address).expect("a socket");
        let notifier = Notifier {
            target: Some(Target::new(format!("@{name}").as_ref()).expect("a target")),
            watchdog: None,
        };
        notifier.ready("Serving");
        let mut message = [0; 64];
        let length = manager.recv(&mut message).expect("a message");
        assert_eq!(&message[..length], b"READY=1\nSTATUS=Serving");
    }
}
