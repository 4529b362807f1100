//! What is wrong in the command line is a usage error; faults of all sources are told together.

use crate::world::World;

fn complaint(args: &[&str]) -> String {
    let errors = World::new().args(args).errors();
    assert!(errors.is_usage() && errors.exit_code() == 2, "{errors}");
    errors.to_string()
}

#[test]
fn wrong_values_are_told_by_flag_all_at_once() {
    assert_eq!(
        complaint(&["-w", "-1", "-t", "0.0001", "-e", "A", "--chdir=/no/such", "a:b"]),
        "\
--env must be NAME=VALUE, not \"A\"
--workers must be a whole number from 1 to 1024, \"auto\", or a range such as \"2-8\" or { min = 2, max = 8 }, not \"-1\"
--timeout must be a duration such as 30, \"30s\", \"500ms\" or \"2m\", from 0 to 24h, not \"0.0001\"
  hint: the smallest unit is the millisecond: whole numbers of ms
--chdir names the directory /no/such, which does not exist"
    );
}

#[test]
fn options_that_do_not_exist_are_told_with_what_to_write() {
    let table: [(&[&str], &str); 8] = [
        (&["--keepalive", "3", "a:b"], "--keepalive is not an option\n  hint: here it is called --keep-alive"),
        (&["--wokers=3"], "--wokers is not an option\n  hint: did you mean --workers?"),
        (&["--check-confg"], "--check-confg is not an option\n  hint: did you mean --check-config?"),
        (
            &["-k", "gevent", "a:b"],
            "-k is not an option\n  hint: Tapster has one kind of worker: leave it out; gthread's threads are `threads`",
        ),
        (
            &["--daemon", "a:b"],
            "--daemon needs a file in `error_logfile`: in the background there is no standard error stream that anybody reads",
        ),
        (&["--zebra"], "--zebra is not an option\n  hint: `tapster --help` lists the options"),
        (
            &["a:b", "c:d"],
            "there is one argument without a flag, the application; \"c:d\" is another\n  hint: `tapster --help` lists the options",
        ),
        (
            &["--workers"],
            "a value is required for '--workers <NUMBER>' but none was supplied\n  hint: `tapster --help` lists the options",
        ),
    ];
    for (args, expected) in table {
        assert_eq!(complaint(args), expected);
    }
}

#[test]
fn a_missing_application_is_told_how_to_be_given() {
    assert_eq!(
        complaint(&[]),
        "no application is given\n  hint: name it as in `tapster package.module:callable`, or as `wsgi_app` in \
         tapster.toml, or in TAPSTER_WSGI_APP"
    );
    assert!(complaint(&["--check-config"]).starts_with("no application is given"));
}

#[test]
fn an_application_that_a_faulty_file_may_name_is_not_called_missing() {
    for file in ["wsgi_app = 'x", "wsgi_app = '${NO}'", "wsgi_app = 3"] {
        let errors = World::new().file(file).args(&[]).errors();
        assert_eq!((errors.count(), errors.exit_code()), (1, 1), "{errors}");
    }
}

#[test]
fn a_file_that_is_named_and_does_not_exist_is_a_usage_error() {
    assert_eq!(complaint(&["-c", "no.toml"]), "the settings file no.toml cannot be read: it does not exist");
    assert!(complaint(&["-c", "/", "a:b"]).starts_with("the settings file / cannot be read: "));
}

#[test]
fn an_argument_that_is_not_utf8_is_refused() {
    use std::os::unix::ffi::OsStringExt;
    let mut world = World::new();
    world.sources.args = vec![std::ffi::OsString::from_vec(b"--pid=\xff".to_vec())];
    assert!(world.errors().is_usage());
    assert!(world.complaint().contains("UTF-8"), "{}", world.complaint());
}

#[test]
fn faults_of_all_sources_are_told_together() {
    let world = World::new().file("workers = 0").variable("TAPSTER_BACKLOG", "0").args(&["-t", "x", "a:b"]);
    let errors = world.errors();
    assert_eq!((errors.count(), errors.exit_code()), (3, 2));
    let text = errors.to_string();
    let starts: Vec<_> =
        text.lines().filter(|line| !line.starts_with(' ')).map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(starts, ["tapster.toml:1:11:", "TAPSTER_BACKLOG", "--timeout"]);
}
