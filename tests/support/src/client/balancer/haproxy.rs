//! HAProxy: its part `global`, which a package brings in a file of its own, and its statistics.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::Plan;

const GLOBAL: &str =
    "global\n    log stdout format raw local0\n    stats socket {socket} mode 600\n";

pub(super) fn commands(plan: &Plan) -> [Vec<String>; 2] {
    let global = plan.folder.join("global.cfg");
    let socket = plan.folder.join("socket").display().to_string();
    fs::write(&global, GLOBAL.replace("{socket}", &socket)).expect("a file");
    let (global, own) = (global.display(), plan.configuration.display());
    // A warning is a fault, too.
    ["-c -dW", "-db"].map(|options| {
        let command = format!("haproxy {options} -f {global} -f {own}");
        command.split(' ').map(str::to_owned).collect()
    })
}

/// Returns whether the statistics have this gateway, from 1 on, as ready.
pub(super) fn is_up(folder: &Path, gateway: usize) -> bool {
    let Ok(mut socket) = UnixStream::connect(folder.join("socket")) else {
        return false;
    };
    writeln!(socket, "show stat").expect("it reads");
    let mut page = String::new();
    socket.read_to_string(&mut page).expect("it answers");
    let mut rows = page.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let names = rows.next().expect("names");
    let name = format!("gateway-{gateway}");
    let row = rows.find(|row| row.get(1) == Some(&&*name));
    let status = names.iter().position(|name| *name == "status");
    row.expect("a gateway")[status.expect("a column")].starts_with("UP")
}
