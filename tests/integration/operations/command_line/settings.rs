//! `config init` and `config show`: what a new file holds, and what is shown of what holds.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use iem_test_support::Home;
use serde_json::Value;

use super::{check, check_arguments, stdout};

#[test]
fn config_init_makes_a_file_that_starts_a_gateway() {
    let home = Home::empty();
    // The home's own `--config` names the file.
    check(&home, "config init", 0, &["gateway.toml", "customer add"]);
    let mode = fs::metadata(home.config()).expect("a file").permissions();
    assert_eq!(mode.mode() & 0o777 & !0o640, 0);
    let text = fs::read_to_string(home.config()).expect("the file");
    assert!(text.contains("\n[server]\n") && text.contains("\n#listen = \"127.0.0.1:8080\"\n"));

    // Two gateways of other tests may have the default ports.
    let free = text
        .replace("#listen = \"127.0.0.1:8080\"", "listen = \"127.0.0.1:0\"")
        .replace("#listen = \"127.0.0.1:9090\"", "listen = \"127.0.0.1:0\"");
    home.write("gateway.toml", free);
    check(&home, "customer add acme --name Acme", 0, &[]);
    check(&home, "check", 0, &["iem-data/directory.toml"]);
    let gateway = home.start();
    assert_eq!(gateway.admin("/livez").status, 200);
    assert!(home.path("iem-data/data").is_dir() && home.path("iem-data/token.key").is_file());
}

#[test]
fn config_init_never_overwrites() {
    let home = Home::empty();
    home.write("gateway.toml", "# mine\n");
    check(
        &home,
        "config init",
        1,
        &["gateway.toml is there already, and is not overwritten"],
    );
    check(&home, "config init other.toml", 0, &["other.toml"]);
    check(&home, "config init other.toml", 1, &["not overwritten"]);
    check(&home, "config init no/folder.toml", 1, &["no/folder.toml"]);
    assert_eq!(
        fs::read_to_string(home.config()).expect("the file"),
        "# mine\n"
    );
    // A file that nobody can read is no reason not to make another.
    home.write("gateway.toml", "[nonsense\n");
    check(&home, "config init third.toml", 0, &["third.toml"]);
}

#[test]
fn config_show_says_each_value_and_its_origin() {
    let home = Home::empty();
    home.write(
        "gateway.toml",
        "\n[server]\ndrain = '7s'\nmax_headers = 100\n",
    );
    let show = |arguments: &[&str]| {
        let mut command = home.program();
        command
            .args(["config", "show", "--config", "gateway.toml"])
            .args(arguments)
            .env("IEM_GATEWAY__LOGGING__LEVEL", "warn");
        let output = command.output().expect("the program runs");
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        stdout(&output)
    };
    let all = show(&[]);
    let line = |key: &str| {
        let mut lines = all.lines().filter(|line| line.starts_with(key));
        lines.next().unwrap_or_else(|| panic!("no {key}: {all}"))
    };
    assert!(line("server.drain ").ends_with("\"7s\"                         # gateway.toml:3"));
    assert!(line("logging.level ").ends_with("# IEM_GATEWAY__LOGGING__LEVEL"));
    assert!(line("server.max_header ").ends_with("# default"));

    let report: Value = serde_json::from_str(&show(&["--json"])).expect("JSON");
    let settings = report["settings"].as_array().expect("a list");
    assert!(settings.len() > 100, "{} settings", settings.len());
    assert!(settings.contains(&serde_json::json!({
        "key": "server.drain", "value": "7s", "origin": "gateway.toml:3",
    })));

    let changed = show(&["--changed"]);
    let keys: Vec<_> = changed.lines().map(|line| line.split(' ').next()).collect();
    assert_eq!(keys, [Some("logging.level"), Some("server.drain")]);
}

#[test]
fn config_show_is_78_for_a_faulty_configuration() {
    let home = Home::new().set("server.lisen", "127.0.0.1:0");
    check(&home, "config show", 78, &["gateway.toml:", "server.lisen"]);
}

/// Every value may come from a file that holds a secret, and every property of librdkafka may be one.
#[test]
fn config_show_and_check_print_no_secret() {
    const SECRET: &str = "info,hunter2=off";
    let home = Home::new();
    home.write("secret", SECRET);
    let properties = [
        "sasl.password",
        "ssl.key.password",
        "ssl.keystore.password",
        "ssl.key.pem",
        "sasl.oauthbearer.client.secret",
        "sasl.oauthbearer.config",
        "client.id",
    ];
    let mut stated = home.clone();
    for name in properties {
        stated = stated.set(&format!("sink.kafka.properties.\"{name}\""), "hunter2");
    }
    // Texts that may be anything; the others are refused for their form, without the value.
    let texts = [
        "server.tls.client_certificates",
        "sink.kafka.bootstrap_servers",
        "sink.kafka.properties.sasl_password",
        "sink.pubsub.project",
        "sink.pubsub.endpoint",
        "sink.pubsub.credentials",
        "alertmanager.default_severity",
        "tokens.keys",
        "tokens.key_file",
        "logging.level",
        "audit.path",
        "server.listen",
        "server.name",
        "server.max_body",
        "topics.events.deadline",
        "topics.events.name",
    ];
    for command in [
        "config show",
        "config show --json",
        "config show --changed",
        "check",
    ] {
        let output = check(
            &stated,
            command,
            0,
            &["sink.kafka.properties.sasl.password"],
        );
        assert!(!stdout(&output).contains("hunter2"), "{output:?}");
        // It names the files that it looks at.
        let looks = command == "check";
        for key in texts.iter().filter(|_| !looks) {
            let variable = format!(
                "IEM_GATEWAY_FILE__{}",
                key.to_uppercase().replace('.', "__")
            );
            let mut run = home.program();
            run.args(command.split(' '))
                .arg("--config")
                .arg(home.config())
                .env(&variable, "secret");
            let output = run.output().expect("the program runs");
            let said = format!("{output:?}");
            assert!(said.contains(&variable), "{key}: {said}");
            assert!(!said.contains("hunter2"), "{key}: {said}");
        }
    }
}

#[test]
fn schema_completions_and_manual_need_no_configuration() {
    let home = Home::empty();
    home.write("gateway.toml", "[nonsense\n");
    check(&home, "schema", 0, &["2020-12", "max_connections"]);
    let shells = [
        ("bash", "complete -F"),
        ("zsh", "#compdef iem-gateway"),
        ("fish", "complete -c"),
    ];
    for (shell, word) in shells {
        check(
            &home,
            &format!("completions {shell}"),
            0,
            &[word, "dev-certificate"],
        );
    }
    check(&home, "completions tcsh", 2, &["tcsh", "bash"]);
    check(&home, "man", 0, &[".TH", "iem-gateway"]);
    check_arguments(&home, &["man", "made/pages"], "", 0, &[]);
    home.write("file", "");
    check(&home, "man file/pages", 1, &["file/pages"]);
}

#[test]
fn bash_completes_commands_and_their_options() {
    let home = Home::empty();
    let script = stdout(&check(&home, "completions bash", 0, &[]));
    home.write("completions", script);
    let complete = |words: &[&str]| {
        // As bash calls it: with the program, the word to complete, and the one before that.
        let [.., before, word] = words else {
            panic!("{words:?}");
        };
        let run = format!(
            "source completions; COMP_WORDS=({}); COMP_CWORD={}; \
             _iem__gateway iem-gateway {word} {before}; echo \"${{COMPREPLY[@]}}\"",
            words.join(" "),
            words.len() - 1,
        );
        let bash = Command::new("bash")
            .args(["--norc", "-c", &run])
            .current_dir(home.path(""))
            .output();
        let output = bash.expect("bash runs");
        assert!(output.status.success(), "{output:?}");
        stdout(&output).trim().to_owned()
    };
    assert_eq!(complete(&["iem-gateway", "jour"]), "journal");
    assert_eq!(complete(&["iem-gateway", "journal", "re"]), "replay");
    assert_eq!(
        complete(&["iem-gateway", "user", "add", "--cus"]),
        "--customer"
    );
    assert_eq!(
        complete(&["iem-gateway", "dev-certificate", "--ou"]),
        "--out"
    );
}

/// Calls `visit` with each command's words, `["user", "add"]`, as `--help` lists them.
fn visit_commands(home: &Home, words: &[String], visit: &mut impl FnMut(&[String])) {
    visit(words);
    let mut arguments: Vec<&str> = words.iter().map(String::as_str).collect();
    arguments.push("--help");
    let help = stdout(&check_arguments(home, &arguments, "", 0, &[]));
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    for line in lines.take_while(|line| !line.is_empty()) {
        let name = line.split_whitespace().next().unwrap_or_default();
        // A description's further lines stand deeper.
        if name != "help" && line.starts_with("  ") && !line.starts_with("   ") {
            visit_commands(home, &[words, &[name.to_owned()]].concat(), visit);
        }
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let home = Home::empty();
    check(&home, "man pages", 0, &[]);
    let mut commands = 0;
    visit_commands(&home, &[], &mut |words| {
        commands += 1;
        let name = [&["iem-gateway".to_owned()], words].concat().join("-");
        let page = home.path(format!("pages/{name}.1"));
        let text = fs::read_to_string(&page).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(text.contains(".SH SYNOPSIS"), "{name}");
    });
    assert!(commands > 25, "{commands} commands");
}
