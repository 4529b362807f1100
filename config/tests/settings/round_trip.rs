//! Settings written as TOML read back as the same settings.

use std::time::Duration;

use crate::world::World;
use tapster_config::{Bind, LogLevel, LogTarget, Settings};

fn every_setting_changed() -> Settings {
    Settings {
        wsgi_app: "pkg.mod:site.app()".into(),
        chdir: "/srv/a \"quoted\" päth".into(),
        pythonpath: vec!["/a,b".into(), "/c ${HOME} $$".into()],
        env: vec![("A.b-c".into(), "x\ny\t\"'\\ ${Z} ".into()), ("B".into(), String::new())],
        python: Some("python3.12".into()),
        bind: vec![
            Bind::Tcp { host: "::1".into(), port: 0 },
            Bind::Tcp { host: "::1".into(), port: 0 },
            Bind::Unix { path: "/run/a,b.sock".into() },
            Bind::Abstract { name: "näme".into() },
            Bind::Fd(7),
        ],
        backlog: 1,
        workers: 33,
        preload: true,
        timeout: Duration::ZERO,
        boot_timeout: Duration::from_millis(1500),
        graceful_timeout: Duration::from_secs(7200),
        keep_alive: Duration::from_millis(1),
        limit_request_line: 65_536,
        limit_request_fields: 1000,
        limit_request_field_size: 64,
        limit_request_body: i64::MAX as u64,
        tmp_upload_dir: Some("/no/such/directory".into()),
        log_level: LogLevel::Critical,
        error_logfile: LogTarget::File("/var/log/tapster".into()),
        pid: Some("/run/tapster.pid".into()),
    }
}

#[test]
fn settings_are_equal_after_being_written_and_read() {
    for settings in [Settings::default(), every_setting_changed(), World::new().settings()] {
        let text = settings.to_toml();
        assert_eq!(Settings::from_toml(&text), Ok(settings), "{text}");
    }
}

#[test]
fn printed_settings_load_as_the_same_from_a_file() {
    let world = World::new().args(&["-w", "3", "-b", "unix:s", "-e", "A=1", "--preload", "site:app"]);
    let settings = world.settings();
    let world = world.file(&settings.to_file()).args(&[]);
    assert_eq!(world.settings(), settings);
}

#[test]
fn what_looks_like_a_variable_is_printed_so_that_it_stays_as_it_is() {
    let world = World::new().args(&["--pythonpath", "/a/${HOME}", "-e", "A=$${X} $ $$ ${Y:-z}$", "site:app"]);
    let settings = world.settings();
    assert_eq!(settings.env, [("A".to_owned(), "$${X} $ $$ ${Y:-z}$".to_owned())]);
    let world = world.file(&settings.to_file()).args(&[]);
    assert_eq!(world.settings(), settings);
}

#[test]
fn the_text_is_plain_toml() {
    let mut settings = Settings { env: vec![("A".into(), "1".into())], ..Settings::default() };
    settings.wsgi_app = "site:app".into();
    assert_eq!(
        settings.to_toml(),
        "\
wsgi_app = \"site:app\"
chdir = \"/\"
pythonpath = []
bind = [\"127.0.0.1:8000\"]
backlog = 2048
workers = 1
preload = false
timeout = \"30s\"
boot_timeout = \"120s\"
graceful_timeout = \"30s\"
keep_alive = \"2s\"
limit_request_line = 4094
limit_request_fields = 100
limit_request_field_size = 8190
limit_request_body = \"1GiB\"
log_level = \"info\"
error_logfile = \"-\"

[env]
A = \"1\"
"
    );
}

#[test]
fn a_handed_over_text_that_is_wrong_is_refused() {
    let errors = Settings::from_toml("workers = 0\n").unwrap_err();
    assert_eq!(
        errors.to_string(),
        "settings:1:11: `workers` must be a whole number from 1 to 1024, or \"auto\", not 0\n  1 | workers = 0\n    |           ^"
    );
}

#[test]
fn what_a_reload_cannot_apply_is_named() {
    let old = Settings::default();
    assert_eq!(old.needing_restart(&old), []);
    let new = every_setting_changed();
    let keys: Vec<_> = old.needing_restart(&new).into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["pid"]);
}
