//! Wrong use and what cannot be found out: exit codes and messages.

use iem_test_support::Home;

use super::{as_alice, prove, refused, url};

#[test]
fn wrong_use_is_2_and_says_what_is_right() {
    let home = Home::new();
    let check = |arguments: &str, words: &[&str]| {
        let arguments: Vec<_> = arguments.split(' ').filter(|it| !it.is_empty()).collect();
        refused(&home, &arguments, 2, words);
    };
    check(
        "",
        &["--url", "--rate", "--duration", "--customer", "--user"],
    );
    check("--only-read", &["--acknowledged"]);
    check(
        "--only-read --acknowledged x --url http://127.0.0.1:1",
        &["--url"],
    );
    let run = "--url http://127.0.0.1:1 --customer acme --rate 1 --duration 1s";
    check(run, &["--user"]);
    let run = format!("{run} --user a@b");
    check(&run, &["IEM_GATEWAY_PASSWORD", "--password-file"]);
    check(&format!("{run} --password p"), &["--password"]);
    check(
        &format!("{run} --subscription s"),
        &["--subscription", "Pub/Sub"],
    );
    check(&format!("{run} --kind ticket"), &["event, metric"]);
    check(&format!("{run} --in-flight 0"), &["--in-flight"]);
    check(&format!("{run} --records 0"), &["--records"]);
    check(&format!("{run} --bytes 4294967295"), &["64 MiB"]);
    check(&format!("{run} --faults 1s"), &["a time and a command"]);
    check("--url 127.0.0.1", &["https://gateway.example"]);
    check("--url http://u:p@127.0.0.1", &["credentials"]);
    let remote = run.replace("127.0.0.1:1", "gateway.example");
    check(&remote, &["in the clear", "--plaintext"]);
    let many = run.replace("--rate 1 --duration 1s", "--rate 1000000 --duration 2h");
    check(&many, &["4,294,967,295"]);
    let late = ["--faults", "1s true"];
    let late = [&run.split(' ').collect::<Vec<_>>()[..], &late].concat();
    refused(&home, &late, 2, &["after the end of --duration: true"]);
}

#[test]
fn a_configuration_at_fault_is_78() {
    let home = Home::new().set("server.lisen", "127.0.0.1:0");
    let arguments = ["--only-read", "--acknowledged", "x"];
    refused(&home, &arguments, 78, &["lisen"]);
    let home = Home::new()
        .events_at_kafka("127.0.0.1:1", "events")
        .kafka_property("securty.protocol", "SSL");
    let run = as_alice(
        &home,
        "http://127.0.0.1:1",
        &["--rate", "1", "--duration", "1s"],
    );
    refused(&home, &run, 78, &["securty.protocol"]);
}

#[test]
fn what_keeps_a_run_from_its_begin_is_1_and_told() {
    let home = Home::new();
    let gateway = home.start();
    let address = url(gateway.address);
    let run = ["--rate", "10", "--duration", "1s", "--acknowledged", "safe"];
    let arguments = as_alice(&home, &address, &run);

    home.write_secret("password", b"wrong-password-of-alice");
    let wrong = ["cannot log in: 401 Invalid username/password."];
    let output = home.run(&[&["prove"], &*arguments].concat());
    refused(&home, &arguments, 1, &wrong);
    assert!(!super::said(&output).contains("wrong-password"));

    let nobody = as_alice(&home, "http://127.0.0.1:1", &run);
    refused(&home, &nobody, 1, &["cannot log in", "http://127.0.0.1:1"]);

    home.write("safe", "");
    refused(&home, &arguments, 1, &["safe", "exists"]);
    assert_eq!(home.records("events").len(), 0, "nothing was sent");

    let elsewhere = home.clone().set("sink.file.path", "elsewhere");
    refused(
        &elsewhere,
        &arguments,
        1,
        &["cannot read the folder", "elsewhere"],
    );
}

#[test]
fn a_file_that_does_not_belong_to_the_topic_is_1() {
    let home = Home::new();
    let gateway = home.start();
    let url = url(gateway.address);
    let run = ["--rate", "10", "--duration", "1s", "--acknowledged", "safe"];
    prove(&home, &as_alice(&home, &url, &run), 0);
    let read = |more: &[&'static str]| [&["--only-read", "--acknowledged"], more].concat();
    let renamed = home.clone().set("topics.events.name", "others");
    let words = ["file topic events", "file topic others"];
    refused(&renamed, &read(&["safe"]), 1, &words);
    refused(&home, &read(&["none"]), 1, &["none: "]);
    refused(&home, &read(&["gateway.toml"]), 1, &["has no first line"]);
}
