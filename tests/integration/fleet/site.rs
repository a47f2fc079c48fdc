//! Three gateways behind a balancer.

use std::sync::{Mutex, MutexGuard, PoisonError};

use iem_test_support::{
    Authority, Balancer, Calls, Curl, Gateway, Home, Identity, Kind, Line, OpenLoop, Protocol,
    Request,
};
use rustix::process::Signal;

/// The name that the balancers look for in a gateway's certificate, and its address.
const NAMES: [&str; 2] = ["iem-gateway.example.com", "127.0.0.1"];

/// The right to load the machine: two such sites at once would be measured by its cores.
static TURN: Mutex<()> = Mutex::new(());

/// Three gateways behind a balancer. They share a directory and a folder of keys.
pub(crate) struct Site {
    pub(crate) gateways: Vec<Gateway>,
    homes: Vec<Home>,
    authority: Authority,
    pub(crate) balancer: Balancer,
    _turn: MutexGuard<'static, ()>,
}

impl Site {
    /// Starts them with a balancer, and waits until it finds all ready. `edit` changes the
    /// configuration of each gateway.
    pub(crate) fn start(kind: Kind, edit: impl Fn(Home) -> Home) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let authority = Authority::new("authority");
        let identity = authority.server(&NAMES);
        let shared = home(kind, &identity);
        shared.write("ca.pem", authority.pem());
        let path = |name: &str| shared.path(name).display().to_string();
        let mut homes = vec![edit(shared.clone())];
        for _ in 1..3 {
            let home = home(kind, &identity)
                .set("directory.path", path("directory.toml"))
                .set("tokens.keys", path("keys"));
            homes.push(edit(home));
        }
        // The first one makes the key.
        let gateways: Vec<_> = homes.iter().map(Home::spawn_impatiently).collect();
        let site = Self {
            balancer: Balancer::start(kind, &gateways, &authority, &identity),
            gateways,
            homes,
            authority,
            _turn: turn,
        };
        for gateway in 1..=3 {
            site.balancer.await_up(gateway);
        }
        site
    }

    /// Prepares a run of curl for this path, through the balancer.
    pub(crate) fn curl(&self, path: &str) -> Curl {
        let url = format!("https://{}{path}", self.balancer.address);
        Curl::new(&self.homes[0], "ca.pem").arg(url)
    }

    /// Returns an access token for alice, whichever gateway has issued it.
    pub(crate) fn token(&self) -> String {
        let curl = self.curl("/api/v1/user/token");
        curl.args(&["-X", "POST", "-u", "alice@acme.example:alice-password"])
            .answer()
            .expect(200)
            .access_token()
    }

    /// Has a client publish so many events a second, whose ids begin with `label`.
    pub(crate) fn load(
        &self,
        protocol: Protocol,
        rate: u32,
        label: &str,
        edit: fn(Request, &str) -> Request,
    ) -> OpenLoop {
        let (address, token) = (self.balancer.address, self.token());
        OpenLoop::start_secure(
            address,
            &self.authority,
            protocol,
            &token,
            label,
            rate,
            edit,
        )
    }

    /// Ends a gateway, from 1 on, by a signal, which has to drain it in order.
    pub(crate) fn stop(&mut self, gateway: usize) {
        let program = &mut self.gateways[gateway - 1];
        program.signal(Signal::TERM);
        assert_eq!(program.wait().code(), Some(0), "{}", program.log());
    }

    /// Starts a gateway, from 1 on, that has ended, and waits until the balancer finds it ready.
    pub(crate) fn start_again(&mut self, gateway: usize) {
        let home = self.homes[gateway - 1].clone();
        // The balancer must not take the state of the one before for that of this one.
        self.balancer.await_down(gateway);
        self.gateways[gateway - 1].start_again(&home);
        self.balancer.await_up(gateway);
    }

    /// Returns the ids that the tests gave to the records of one gateway, from 1 on, as far as they
    /// are written.
    pub(crate) fn ids_of(&self, gateway: usize) -> Vec<String> {
        let records = self.homes[gateway - 1].records_so_far("events");
        records.iter().map(Line::test_id).collect()
    }

    /// Returns the records of all gateways, none of which writes.
    pub(crate) fn records(&self) -> Vec<Line> {
        let homes = self.homes.iter();
        homes.flat_map(|home| home.records("events")).collect()
    }

    /// Fails the test unless every record answered 200 is in the files of a gateway.
    #[track_caller]
    pub(crate) fn has_all(&self, calls: &Calls) {
        let ids: Vec<_> = self.records().iter().map(Line::test_id).collect();
        calls.all_there(&ids);
    }
}

/// A gateway that a balancer on its machine names the clients to, with TLS at both listeners.
fn home(kind: Kind, identity: &Identity) -> Home {
    // Longer than the balancer takes to find a gateway not ready.
    let drain_delay = match kind {
        Kind::HaProxy | Kind::Passthrough => "4s",
        Kind::Nginx | Kind::Envoy => "3s",
    };
    let home = Home::new().with_tls(identity);
    home.set("admin.tls.certificate", "tls.pem")
        .set("admin.tls.key", "tls.key")
        .set("tokens.keys", "keys")
        .set("server.proxies", vec!["127.0.0.1"])
        .set("server.proxy_protocol", kind.announces())
        .set("server.drain_delay", drain_delay)
}
