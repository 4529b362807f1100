//! What is wrong in the environment is told with the variable's name.

use crate::world::World;

#[test]
fn wrong_values_are_told_by_variable() {
    let workers =
        "must be a whole number from 1 to 1024, \"auto\", or a range such as \"2-8\" or { min = 2, max = 8 }, not";
    let table = [
        ("TAPSTER_WORKERS", "0", format!("TAPSTER_WORKERS {workers} \"0\"")),
        ("WEB_CONCURRENCY", "x", format!("WEB_CONCURRENCY {workers} \"x\"")),
        ("PORT", "http", "PORT must be a port, 0 to 65535, not \"http\"".to_owned()),
        ("PORT", "65536", "PORT must be a port, 0 to 65535, not \"65536\"".to_owned()),
        ("TAPSTER_PRELOAD", "2", "TAPSTER_PRELOAD must be true or false, not \"2\"".to_owned()),
        ("TAPSTER_PID", "\u{fffd}", "TAPSTER_PID is not UTF-8".to_owned()),
        ("TAPSTER_CHDIR", "/no/such", "TAPSTER_CHDIR names the directory /no/such, which does not exist".to_owned()),
        ("TAPSTER_ENV", "A", "TAPSTER_ENV must be NAME=VALUE, not \"A\"".to_owned()),
        (
            "TAPSTER_ENV",
            "A=1,2",
            "TAPSTER_ENV must be NAME=VALUE, not \"2\"\n  hint: commas separate here; a value that holds one goes into \
             the file, or into a flag of its own"
                .to_owned(),
        ),
        (
            "TAPSTER_CONFIG",
            "no.toml",
            "the settings file no.toml cannot be read: it does not exist".to_owned(),
        ),
    ];
    for (name, value, expected) in table {
        let errors = World::new().variable(name, value).errors();
        assert_eq!((errors.to_string(), errors.exit_code()), (expected, 1));
    }
}

#[test]
fn a_variable_that_begins_like_ours_must_be_one_of_ours() {
    let table = [
        ("TAPSTER_WORKER", "TAPSTER_WORKER is not a setting\n  hint: did you mean TAPSTER_WORKERS?"),
        ("TAPSTER_KEEPALIVE", "TAPSTER_KEEPALIVE is not a setting\n  hint: here it is called TAPSTER_KEEP_ALIVE"),
        ("TAPSTER_CONFIGS", "TAPSTER_CONFIGS is not a setting\n  hint: did you mean TAPSTER_CONFIG?"),
        ("TAPSTER_workers", "TAPSTER_workers is not a setting\n  hint: here it is called TAPSTER_WORKERS"),
        ("TAPSTER_ZEBRA", "TAPSTER_ZEBRA is not a setting\n  hint: unset TAPSTER_ZEBRA"),
    ];
    for (name, expected) in table {
        assert_eq!(World::new().variable(name, "1").complaint(), expected);
    }
    World::new().variable("TAPSTERS", "1").variable("MY_TAPSTER_X", "1").settings();
}

#[test]
fn nothing_is_replaced_in_variables() {
    let settings = World::new().variable("A", "1").variable("TAPSTER_ENV", "B=${A}").settings();
    assert_eq!(settings.env, [("B".to_owned(), "${A}".to_owned())]);
}
