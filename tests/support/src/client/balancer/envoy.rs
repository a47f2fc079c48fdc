//! Envoy: its admin listener, which the configuration has not, and the health of a gateway there.

use std::net::SocketAddr;

use super::Plan;
use crate::client::Connection;
use crate::request::get;

pub(super) fn commands(plan: &Plan) -> [Vec<String>; 2] {
    let admin = plan.admin.port();
    let admin = format!(
        "admin: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {admin}}}}}}}"
    );
    let own = plan.configuration.display().to_string();
    let run = ["envoy", "-c", &own, "--config-yaml", &admin];
    let run = run.into_iter().chain([
        "--disable-hot-restart",
        "--concurrency",
        "1",
        "-l",
        "warning",
    ]);
    let check = ["envoy", "--mode", "validate", "-c", &own, "-l", "warning"];
    [
        check.map(str::to_owned).to_vec(),
        run.map(str::to_owned).collect(),
    ]
}

/// Returns whether Envoy's checks find this gateway ready.
pub(super) fn is_up(admin: SocketAddr, gateway: SocketAddr) -> bool {
    let Ok(mut connection) = Connection::try_open(admin) else {
        return false;
    };
    let page = connection.send(get("/clusters").bytes()).answer().text();
    page.contains(&format!("iem-gateways::{gateway}::health_flags::healthy"))
}
