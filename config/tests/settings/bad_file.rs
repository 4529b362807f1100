//! What is wrong in a settings file is told with its place, all at once.

use crate::world::World;

/// The complaint about a file that is wrong in one place, without the lines that show it.
fn first_line(file: &str) -> String {
    let complaint = World::new().file(file).errors();
    assert_eq!((complaint.count(), complaint.exit_code()), (1, 1), "{complaint}");
    complaint.to_string().lines().next().unwrap().to_owned()
}

/// The hint about a key that is no setting.
fn hint(key: &str) -> String {
    let complaint = World::new().file(&format!("{key} = 1")).complaint();
    assert!(complaint.starts_with(&format!("tapster.toml:1:1: `{key}` is not a setting\n")), "{complaint}");
    complaint.lines().last().unwrap().trim_start().to_owned()
}

#[test]
fn everything_that_is_wrong_is_told_in_the_order_of_the_lines() {
    let world = World::new().file(
        "\
# settings
wrokers = 2
workers = 0
	bind = ['localhost:http', ':80', ':80']
pid = '/run/${NO}/pid'

[env]
A = 1
'B=' = 'x'
",
    );
    let expected = r#"tapster.toml:2:1: `wrokers` is not a setting
  2 | wrokers = 2
    | ^^^^^^^
  hint: did you mean `workers`?
tapster.toml:3:11: `workers` must be a whole number from 1 to 1024, "auto", or a range such as "2-8" or { min = 2, max = 8 }, not 0
  3 | workers = 0
    |           ^
tapster.toml:4:10: `bind` must be an address (HOST:PORT, :PORT, [IPV6]:PORT, unix:PATH, fd://N or fd://NAME), not "localhost:http": "http" is not a port (0 to 65535)
  4 |  bind = ['localhost:http', ':80', ':80']
    |          ^^^^^^^^^^^^^^^^
tapster.toml:4:35: `bind` names 0.0.0.0:80 twice
  4 |  bind = ['localhost:http', ':80', ':80']
    |                                   ^^^^^
tapster.toml:5:13: `pid` uses the variable NO, which is not set
  5 | pid = '/run/${NO}/pid'
    |             ^^^^^
  hint: set it, or write ${NAME:-text} for a text to use without it
tapster.toml:8:5: `env` must hold texts, but A is 1
  8 | A = 1
    |     ^
  hint: write A = "1"
tapster.toml:9:1: `env` holds "B=", which cannot be a variable's name
  9 | 'B=' = 'x'
    | ^^^^"#;
    assert_eq!(world.complaint(), expected);
    assert_eq!(world.errors().count(), 7);
}

#[test]
fn values_out_of_bounds_are_refused() {
    let duration = "a duration such as 30, \"30s\", \"500ms\" or \"2m\", from 0 to 24h";
    let size = "a size in bytes such as 1024, \"64k\" or \"10MiB\", from 64 to 64KiB";
    let table = [
        ("workers = 0", "1:11: `workers` must be a whole number from 1 to 1024, \"auto\", or a range such as \"2-8\" or { min = 2, max = 8 }, not 0".to_owned()),
        ("workers = 1025", "1:11: `workers` must be a whole number from 1 to 1024, \"auto\", or a range such as \"2-8\" or { min = 2, max = 8 }, not 1025".to_owned()),
        (
            "workers = 'many'",
            "1:11: `workers` must be a whole number from 1 to 1024, \"auto\", or a range such as \"2-8\" or { min = 2, max = 8 }, not \"many\"".to_owned(),
        ),
        ("workers = 2.0", "1:11: `workers` must be a whole number from 1 to 1024, \"auto\", or a range such as \"2-8\" or { min = 2, max = 8 }, not 2".to_owned()),
        ("backlog = 0", "1:11: `backlog` must be a whole number from 1 to 65535, not 0".to_owned()),
        (
            "backlog = 99999999999999999999",
            "1:11: `backlog` must be a whole number from 1 to 65535, not 99999999999999999999".to_owned(),
        ),
        ("timeout = -1", format!("1:11: `timeout` must be {duration}, not -1")),
        ("timeout = '5 minutes'", format!("1:11: `timeout` must be {duration}, not \"5 minutes\"")),
        ("timeout = '25h'", format!("1:11: `timeout` must be {duration}, not \"25h\"")),
        ("timeout = nan", format!("1:11: `timeout` must be {duration}, not NaN")),
        ("timeout = 12:00:00", format!("1:11: `timeout` must be {duration}, not 12:00:00")),
        ("limit_request_line = 0", format!("1:22: `limit_request_line` must be {size}, not 0")),
        ("limit_request_line = 65537", format!("1:22: `limit_request_line` must be {size}, not 65537")),
        ("limit_request_field_size = '1M'", format!("1:28: `limit_request_field_size` must be {size}, not \"1M\"")),
        (
            "limit_request_fields = 0",
            "1:24: `limit_request_fields` must be a whole number from 1 to 1000, not 0".to_owned(),
        ),
        (
            "limit_request_body = -1",
            "1:22: `limit_request_body` must be a size in bytes such as 1024, \"64k\" or \"10MiB\", not -1".to_owned(),
        ),
    ];
    for (file, expected) in table {
        assert_eq!(first_line(file), format!("tapster.toml:{expected}"));
    }
}

#[test]
fn values_of_a_wrong_type_are_refused() {
    let table = [
        (
            "workers = [1]",
            "1:11: `workers` must be a whole number from 1 to 1024, \"auto\", or a range such as \"2-8\" or { min = 2, max = 8 }, not a list",
        ),
        ("preload = 1", "1:11: `preload` must be true or false, not 1"),
        ("preload = 'maybe'", "1:11: `preload` must be true or false, not \"maybe\""),
        ("wsgi_app = ''", "1:12: `wsgi_app` must be a text that is not empty, not \"\""),
        ("wsgi_app = true", "1:12: `wsgi_app` must be a text that is not empty, not true"),
        (
            "bind = 8000",
            "1:8: `bind` must be an address (HOST:PORT, :PORT, [IPV6]:PORT, unix:PATH, fd://N or fd://NAME) or a list of them, not 8000",
        ),
        ("bind = []", "1:8: `bind` must name at least one address"),
        ("bind = ['a', 1]", "1:14: `bind` must be a list of texts, not of 1"),
        ("pythonpath = {}", "1:14: `pythonpath` must be a path or a list of paths, not a table"),
        ("pythonpath = ['']", "1:15: `pythonpath` must hold paths, not \"\""),
        ("pid = ''", "1:7: `pid` must be the path of a file, not \"\""),
        ("pid = \"a\\u0000b\"", "1:7: `pid` must be the path of a file, not \"a\\0b\""),
        ("log_level = 10", "1:13: `log_level` must be debug, info, warning, error or critical, not 10"),
        ("error_logfile = false", "1:17: `error_logfile` must be the path of a file, or \"-\", not false"),
        ("env = 1", "1:7: `env` must be a table of names and texts, or NAME=VALUE, not 1"),
        ("env = 'A'", "1:7: `env` must be NAME=VALUE, not \"A\""),
        ("[env]\nA = [1]", "2:5: `env` must hold texts, but A is a list"),
        ("[env]\n'A B' = 'x'", "2:1: `env` holds \"A B\", which cannot be a variable's name"),
    ];
    for (file, expected) in table {
        assert_eq!(first_line(file), format!("tapster.toml:{expected}"));
    }
}

#[test]
fn a_number_in_env_is_to_be_quoted() {
    assert_eq!(
        World::new().file("[env]\nPOOL = 4").complaint(),
        "tapster.toml:2:8: `env` must hold texts, but POOL is 4\n  2 | POOL = 4\n    |        ^\n  hint: write POOL = \"4\""
    );
}

#[test]
fn a_wrong_level_is_told_the_near_one() {
    let complaint = World::new().file("log_level = 'warn'").complaint();
    assert!(complaint.ends_with("\n  hint: did you mean \"warning\"?"), "{complaint}");
}

#[test]
fn names_that_hands_remember_lead_to_ours() {
    let table = [
        ("keepalive", "hint: here it is called `keep_alive`"),
        ("loglevel", "hint: here it is called `log_level`"),
        ("errorlog", "hint: here it is called `error_logfile`"),
        ("log_file", "hint: here it is called `error_logfile`"),
        ("pidfile", "hint: here it is called `pid`"),
        ("preload_app", "hint: here it is called `preload`"),
        ("raw_env", "hint: here it is called `env`"),
        ("processes", "hint: here it is called `workers`"),
        ("graceful-timeout", "hint: here it is called `graceful_timeout`"),
        ("Workers", "hint: here it is called `workers`"),
        ("worker", "hint: did you mean `workers`?"),
        ("pythnpath", "hint: did you mean `pythonpath`?"),
        ("keepalive_requests", "hint: here it is called `keep_alive_requests`"),
        ("trusted_proxies", "hint: here it is called `forwarded_allow_ips`"),
        ("forwarded_allow_ip", "hint: did you mean `forwarded_allow_ips`?"),
        ("worker_conections", "hint: did you mean `worker_connections`?"),
        ("strip_header_spaces", "hint: not supported: requests are read strictly as RFC 9112 says"),
        ("worker_class", "hint: Tapster has one kind of worker: leave it out; gthread's threads are `threads`"),
        ("thread", "hint: did you mean `threads`?"),
        ("harakiri", "hint: here it is called `timeout`"),
        ("harakiri-graceful-timeout", "hint: here it is called `timeout_grace`"),
        ("queue-timeout", "hint: here it is called `queue_timeout`"),
        ("certfile", "hint: not supported: let a proxy in front speak TLS"),
        ("py_autoreload", "hint: here it is called `reload`"),
        ("accesslog", "hint: not supported: let the proxy or the application log requests"),
    ];
    for (key, expected) in table {
        assert_eq!(hint(key), expected, "{key}");
    }
    assert_eq!(hint("zebra"), "| ^^^^^");
}

#[test]
fn settings_under_a_heading_are_told_where_they_belong() {
    let complaint = World::new().file("[tapster]\nworkers = 2").complaint();
    let expected = "  hint: settings stand at the top of the file, under no heading; the only tables are [env] and [secure_scheme_headers]";
    assert_eq!(complaint.lines().last(), Some(expected));
}

#[test]
fn every_line_that_is_not_toml_is_told_and_nothing_else() {
    let world = World::new().file("workers = \nbind == 3\nnonsense = 1\n[env\nA = 'x'\n").args(&[]);
    let complaint = world.complaint();
    let places: Vec<_> = complaint.lines().filter(|line| line.starts_with("tapster.toml")).collect();
    assert_eq!(places.len(), 3, "{complaint}");
    assert!(places[0].starts_with("tapster.toml:1:11: not TOML: "), "{complaint}");
    assert!(places[1].starts_with("tapster.toml:2:7: not TOML: "), "{complaint}");
    assert!(places[2].starts_with("tapster.toml:4:5: not TOML: "), "{complaint}");
    assert_eq!(world.errors().exit_code(), 1);
}

#[test]
fn a_key_given_twice_is_refused() {
    assert_eq!(first_line("workers = 1\nworkers = 2"), "tapster.toml:2:1: not TOML: duplicate key");
}

#[test]
fn a_file_that_is_not_utf8_is_refused_with_the_place() {
    let world = World::new().named_file("tapster.toml", b"workers = 1\npid = '\xff'\n");
    assert_eq!(
        world.complaint(),
        "tapster.toml:2:8: the file is not UTF-8, as TOML has to be\n  2 | pid = '\u{fffd}'\n    |        ^"
    );
}

#[test]
fn columns_are_counted_in_characters() {
    assert_eq!(first_line("env = { \"äöü\" = 'x', B = 1 }"), "tapster.toml:1:26: `env` must hold texts, but B is 1");
}

#[test]
fn a_directory_that_does_not_exist_is_told_where_it_is_named() {
    let world = World::new().file("workers = 2\nchdir = 'nowhere'\ntmp_upload_dir = 'nowhere/tmp'\n");
    let directory = world.path("nowhere");
    assert_eq!(
        world.complaint(),
        format!(
            "tapster.toml:2:9: `chdir` names the directory {}, which does not exist\n  2 | chdir = 'nowhere'\n    |         ^^^^^^^^^",
            directory.display()
        )
    );
    let world = World::new().named_file("plain", b"").file("tmp_upload_dir = 'plain'");
    let complaint = format!("`tmp_upload_dir` names {}, which is not a directory", world.path("plain").display());
    assert!(world.complaint().contains(&complaint));
}

#[test]
fn a_socket_path_that_chdir_makes_too_long_is_refused() {
    let name = "x".repeat(100);
    let complaint = World::new().file(&format!("bind = 'unix:{name}'")).complaint();
    assert!(complaint.starts_with("tapster.toml:1:8: `bind` names unix:/"), "{complaint}");
    assert!(complaint.contains(": the system allows a socket's path 107 bytes\n"), "{complaint}");
}
