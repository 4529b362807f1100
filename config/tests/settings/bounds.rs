//! Limits and deadlines: what each allows, and those that must agree with one another.

use std::time::Duration;

use crate::world::World;

#[test]
fn the_defaults_of_limits_and_deadlines_are_the_documented_ones() {
    let settings = World::new().settings();
    assert_eq!((settings.limit_request_head, settings.limit_pipelined), (65_536, 65_536));
    assert_eq!((settings.keep_alive_requests, settings.worker_connections), (10_000, 1000));
    assert_eq!(settings.client_header_timeout, Duration::from_secs(30));
    assert_eq!((settings.client_body_timeout, settings.client_body_min_rate), (Duration::from_secs(30), 500));
    assert_eq!(settings.client_body_total_timeout, Duration::from_secs(21_600));
    assert_eq!(settings.send_timeout, Duration::from_secs(60));
    assert_eq!(settings.lingering_timeout, Duration::from_secs(2));
    assert_eq!((settings.threads, settings.limit_queue), (1, 1000));
    assert_eq!(settings.timeout_grace, Duration::from_secs(5));
    assert_eq!(settings.queue_timeout, Duration::from_secs(30));
}

#[test]
fn limits_and_deadlines_are_read_from_every_source() {
    let world = World::new()
        .file("client_header_timeout = 0.1\nlimit_request_head = '16MiB'\nkeep_alive_requests = 0\nsend_timeout = '1h'")
        .variable("TAPSTER_THREADS", "8")
        .variable("TAPSTER_QUEUE_TIMEOUT", "0")
        .variable("TAPSTER_LIMIT_QUEUE", "1")
        .variable("TAPSTER_TIMEOUT_GRACE", "0")
        .variable("TAPSTER_CLIENT_BODY_TOTAL_TIMEOUT", "0")
        .variable("TAPSTER_WORKER_CONNECTIONS", "1000000")
        .variable("TAPSTER_LIMIT_PIPELINED", "4k")
        .args(&["--client-body-min-rate", "1k", "--lingering-timeout=24h", "--client-body-timeout=100ms", "a:b"]);
    let settings = world.settings();
    assert_eq!((settings.limit_request_head, settings.limit_pipelined), (16 << 20, 4096));
    assert_eq!((settings.keep_alive_requests, settings.worker_connections), (0, 1_000_000));
    assert_eq!(settings.client_header_timeout, Duration::from_millis(100));
    assert_eq!((settings.client_body_timeout, settings.client_body_min_rate), (Duration::from_millis(100), 1024));
    assert_eq!(settings.client_body_total_timeout, Duration::ZERO);
    assert_eq!(settings.send_timeout, Duration::from_secs(3600));
    assert_eq!(settings.lingering_timeout, Duration::from_secs(86_400));
    assert_eq!((settings.threads, settings.limit_queue), (8, 1));
    assert_eq!((settings.timeout_grace, settings.queue_timeout), (Duration::ZERO, Duration::ZERO));
}

#[test]
fn what_is_out_of_bounds_is_refused() {
    let duration = "a duration such as 30, \"30s\", \"500ms\" or \"2m\", from 100ms to 24h";
    let size = "a size in bytes such as 1024, \"64k\" or \"10MiB\", from";
    let table = [
        ("client_header_timeout", "0", format!("{duration}, not \"0\"")),
        ("client_header_timeout", "99ms", format!("{duration}, not \"99ms\"")),
        ("client_body_timeout", "0", format!("{duration}, not \"0\"")),
        ("send_timeout", "86401", format!("{duration}, not \"86401\"")),
        ("lingering_timeout", "2d", format!("{duration}, not \"2d\"")),
        ("client_body_total_timeout", "25h", format!("{}, not \"25h\"", duration.replace("100ms to", "0 to"))),
        ("timeout_grace", "24.5h", format!("{}, not \"24.5h\"", duration.replace("100ms to", "0 to"))),
        ("queue_timeout", "-1", format!("{}, not \"-1\"", duration.replace("100ms to", "0 to"))),
        ("client_body_min_rate", "-1", format!("{size} 0 to 1GiB, not \"-1\"")),
        ("limit_request_head", "1023", format!("{size} 1KiB to 16MiB, not \"1023\"")),
        ("limit_request_head", "17M", format!("{size} 1KiB to 16MiB, not \"17M\"")),
        ("limit_pipelined", "4095", format!("{size} 4KiB to 64KiB, not \"4095\"")),
        ("keep_alive_requests", "-1", "a whole number from 0 to 1000000000, not \"-1\"".to_owned()),
        ("threads", "0", "a whole number from 1 to 1024, not \"0\"".to_owned()),
        ("threads", "1025", "a whole number from 1 to 1024, not \"1025\"".to_owned()),
        ("threads", "auto", "a whole number from 1 to 1024, not \"auto\"".to_owned()),
        ("limit_queue", "0", "a whole number from 1 to 1000000, not \"0\"".to_owned()),
        ("worker_connections", "0", "a whole number from 1 to 1000000, not \"0\"".to_owned()),
        ("worker_connections", "1000001", "a whole number from 1 to 1000000, not \"1000001\"".to_owned()),
    ];
    for (key, value, expected) in table {
        let expected = format!("must be {expected}");
        let (variable, flag) = (format!("TAPSTER_{}", key.to_uppercase()), format!("--{}", key.replace('_', "-")));
        assert_eq!(World::new().variable(&variable, value).complaint(), format!("{variable} {expected}"));
        assert_eq!(World::new().args(&[&flag, value, "a:b"]).complaint(), format!("{flag} {expected}"));
        let complaint = World::new().file(&format!("{key} = '{value}'")).complaint();
        let start = format!("tapster.toml:1:{}: `{key}` {expected}\n", key.len() + 4);
        assert!(complaint.starts_with(&start), "{complaint}");
    }
}

#[test]
fn a_head_must_have_room_for_its_request_line() {
    let settings = World::new().file("limit_request_line = 1020\nlimit_request_head = 1024").settings();
    assert_eq!((settings.limit_request_line, settings.limit_request_head), (1020, 1024));
    let world = World::new().file("limit_request_line = 1021\nlimit_request_head = 1024");
    assert_eq!(
        world.complaint(),
        "tapster.toml:2:22: `limit_request_head` must be at least 1025, 4 more than `limit_request_line`, not 1024\n  \
         2 | limit_request_head = 1024\n    |                      ^^^^"
    );
    // Where only the line is given, it is the one that is wrong.
    let world = World::new().file("limit_request_line = '64k'");
    assert_eq!(
        world.complaint(),
        "tapster.toml:1:22: `limit_request_line` must be at most 65532, 4 less than `limit_request_head`, not 65536\n  \
         1 | limit_request_line = '64k'\n    |                      ^^^^^"
    );
    assert_eq!(world.args(&["--limit-request-head=1M", "a:b"]).settings().limit_request_line, 65_536);
    let world = World::new().variable("TAPSTER_LIMIT_REQUEST_HEAD", "2k");
    assert_eq!(
        world.complaint(),
        "TAPSTER_LIMIT_REQUEST_HEAD must be at least 4098, 4 more than `limit_request_line`, not 2048"
    );
}

#[test]
fn a_limit_that_is_wrong_by_itself_is_complained_about_once() {
    let world = World::new().file("limit_request_line = '64k'\nlimit_request_head = 'large'");
    assert_eq!(world.errors().count(), 1, "{}", world.complaint());
    // Its stronger source puts it right for the comparison, and the comparison counts again.
    let world = world.args(&["--limit-request-head=1k", "a:b"]);
    assert_eq!(world.errors().count(), 2, "{}", world.complaint());
}
