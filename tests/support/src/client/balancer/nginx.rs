//! nginx: the file that includes the configuration, with all that it writes in a folder of its own.

use std::fs;

use super::Plan;

/// One process: a worker would outlive a master that is killed.
const MAIN: &str = "daemon off;
master_process off;
pid {folder}/pid;
error_log stderr;
events {}
http {
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {own};
}
";

pub(super) fn commands(plan: &Plan) -> [Vec<String>; 2] {
    let main = plan.folder.join("nginx.conf");
    let text = MAIN
        .replace("{folder}", &plan.folder.display().to_string())
        .replace("{own}", &plan.configuration.display().to_string());
    fs::write(&main, text).expect("a file");
    let (main, folder) = (main.display(), plan.folder.display());
    ["-t ", ""].map(|options| {
        let command = format!("nginx {options}-e stderr -p {folder} -c {main}");
        command.split(' ').map(str::to_owned).collect()
    })
}
