//! Several writers at once: each change is made once, and every gateway comes to what the database
//! has.

use std::thread;

use iem_test_support::{Home, eventually};

use super::{SOON, attempt, database, home, run};

#[test]
fn changes_of_writers_at_once_are_all_made_and_followed() {
    let database = database();
    let homes: Vec<_> = (0..3).map(|_| home(&database.url())).collect();
    let gateways: Vec<_> = homes.iter().map(Home::start).collect();
    let made: usize = thread::scope(|scope| {
        let writers: Vec<_> = homes
            .iter()
            .enumerate()
            .map(|(writer, home)| {
                scope.spawn(move || {
                    let mut made = 0;
                    for number in 0..8 {
                        // Everybody wants the first, and one gets it.
                        let wanted = attempt(home, &format!("customer add c{number} --name C"), "");
                        made += usize::from(wanted.status.success());
                        run(
                            home,
                            &format!("customer add own{writer}-{number} --name Own"),
                        );
                        run(
                            home,
                            &format!("user grant alice@acme.example own{writer}-{number}"),
                        );
                        if number % 2 == 0 {
                            run(home, &format!("customer remove own{writer}-{number}"));
                        }
                    }
                    made
                })
            })
            .collect();
        writers
            .into_iter()
            .map(|writer| writer.join().expect("no panic"))
            .sum()
    });
    assert_eq!(made, 8);
    // No revision is missing, and none is there twice but of one transaction.
    let revisions = database.run(
        "SELECT count(DISTINCT revision) = max(revision), max(revision) =
             (SELECT revision FROM iem_gateway.revisions WHERE name = 'directory')
         FROM iem_gateway.changes",
    );
    assert_eq!(revisions, "t|t");
    let expected = run(&homes[0], "--json customer list");
    let expected: serde_json::Value = serde_json::from_str(&expected).expect("JSON");
    let count = expected.as_array().expect("a list").len();
    let count = f64::from(u32::try_from(count).expect("few"));
    let revision = database.run("SELECT max(revision) FROM iem_gateway.changes");
    let revision: f64 = revision.parse().expect("a number");
    for gateway in &gateways {
        eventually(SOON, "everything is followed", || {
            let now = gateway.metric("iem_gateway_directory_revision", &[]);
            (now - revision).abs() < 0.5
        });
        let customers = gateway.metric("iem_gateway_directory_customers", &[]);
        assert!((customers - count).abs() < 0.5, "{customers} of {count}");
    }
    // What was followed piece by piece is what is read as a whole.
    for home in &homes {
        eventually(SOON, "the copy is up to date", || {
            let copy = std::fs::read_to_string(home.path("snapshot.toml")).unwrap_or_default();
            run(home, "directory export exported.toml");
            let whole = std::fs::read_to_string(home.path("exported.toml")).expect("a file");
            std::fs::remove_file(home.path("exported.toml")).expect("a file");
            let entries = |text: &str| text.split_once("\n\n").map(|parts| parts.1.to_owned());
            entries(&copy) == entries(&whole)
        });
    }
}
