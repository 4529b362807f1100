//! Which source counts: defaults < file < environment < command line.

use std::path::PathBuf;
use std::time::Duration;

use crate::world::World;
use tapster_config::{Bind, Invocation, LogLevel, LogTarget, Workers, load};

fn texts(binds: &[Bind]) -> Vec<String> {
    binds.iter().map(ToString::to_string).collect()
}

#[test]
fn passed_sockets_are_listened_at_where_no_source_says_at_what() {
    let passed = vec![Bind::Fd(3), Bind::Fd(4)];
    let mut world = World::new();
    world.sources.passed.clone_from(&passed);
    assert_eq!(world.settings().bind, passed);
    for world in [World::new().file("bind = \":1\"\n"), World::new().variable("PORT", "1")] {
        let mut world = world;
        world.sources.passed.clone_from(&passed);
        assert_eq!(world.settings().bind, [Bind::Tcp { host: "0.0.0.0".into(), port: 1 }]);
    }
}

#[test]
fn the_defaults_are_the_documented_ones() {
    let world = World::new();
    let settings = world.settings();
    assert_eq!(settings.wsgi_app, "site:app");
    assert_eq!(texts(&settings.bind), ["127.0.0.1:8000"]);
    assert_eq!((settings.backlog, settings.workers), (2048, Workers::fixed(1)));
    assert_eq!(settings.timeout, Duration::from_secs(30));
    assert_eq!(settings.boot_timeout, Duration::from_secs(120));
    assert_eq!(settings.graceful_timeout, Duration::from_secs(30));
    assert_eq!(settings.keep_alive, Duration::from_secs(2));
    assert_eq!((settings.limit_request_line, settings.limit_request_fields), (4094, 100));
    assert_eq!((settings.limit_request_field_size, settings.limit_request_body), (8190, 1 << 30));
    assert_eq!(settings.chdir, world.cwd());
    assert_eq!((settings.tmp_upload_dir, settings.pid, settings.python), (None, None, None));
    assert!(settings.pythonpath.is_empty() && settings.env.is_empty() && !settings.preload);
    assert_eq!((settings.log_level, settings.error_logfile), (LogLevel::Info, LogTarget::Stderr));
}

#[test]
fn a_stronger_source_counts() {
    // (workers in the file, WEB_CONCURRENCY, TAPSTER_WORKERS, --workers) → workers
    let table = [
        (None, None, None, None, 1),
        (Some("2"), None, None, None, 2),
        (Some("2"), Some("3"), None, None, 3),
        (Some("2"), Some("3"), Some("4"), None, 4),
        (Some("2"), Some("3"), Some("4"), Some("5"), 5),
        (Some("2"), Some(""), None, None, 2),
        (Some("2"), Some(""), Some(""), None, 2),
        (None, Some("3"), Some(""), None, 3),
        (Some("2"), None, None, Some("5"), 5),
        (None, None, Some("4"), Some("5"), 5),
        (Some("\"7\""), None, None, None, 7),
    ];
    for (file, platform, ours, flag, workers) in table {
        let mut world = World::new();
        if let Some(file) = file {
            world = world.file(&format!("workers = {file}"));
        }
        if let Some(platform) = platform {
            world = world.variable("WEB_CONCURRENCY", platform);
        }
        if let Some(ours) = ours {
            world = world.variable("TAPSTER_WORKERS", ours);
        }
        if let Some(flag) = flag {
            world = world.args(&["-w", flag, "site:app"]);
        }
        assert_eq!(world.settings().workers, Workers::fixed(workers), "{file:?} {platform:?} {ours:?} {flag:?}");
    }
}

#[test]
fn port_listens_on_every_address_and_is_weaker_than_our_own_variable() {
    let world = World::new().file("bind = 'localhost:1'").variable("PORT", "5000");
    assert_eq!(texts(&world.settings().bind), ["0.0.0.0:5000"]);
    let world = world.variable("TAPSTER_BIND", "127.0.0.1:6000,unix:run/s.sock");
    assert_eq!(
        texts(&world.settings().bind),
        ["127.0.0.1:6000", &format!("unix:{}", world.path("run/s.sock").display())]
    );
    let world = world.args(&["-b", ":7000", "--bind=[::1]:7001,fd://3", "site:app"]);
    assert_eq!(texts(&world.settings().bind), ["0.0.0.0:7000", "[::1]:7001", "fd://3"]);
}

#[test]
fn the_application_is_taken_from_the_argument_before_all_else() {
    let world = World::new().file("wsgi_app = 'file:app'").args(&[]);
    assert_eq!(world.settings().wsgi_app, "file:app");
    let world = world.variable("TAPSTER_WSGI_APP", "variable:app");
    assert_eq!(world.settings().wsgi_app, "variable:app");
    let world = world.args(&["-w", "2", "argument:app", "-t", "5"]);
    assert_eq!(world.settings().wsgi_app, "argument:app");
}

#[test]
fn a_switch_can_be_switched_off_again() {
    let world = World::new().file("preload = true");
    assert!(world.settings().preload);
    let world = world.variable("TAPSTER_PRELOAD", "off");
    assert!(!world.settings().preload);
    let table: [(&[&str], bool); 4] = [
        (&["--preload"], true),
        (&["--no-preload"], false),
        (&["--preload", "--no-preload"], false),
        (&["--no-preload", "--preload", "--preload"], true),
    ];
    for (flags, preload) in table {
        let world = World::new().variable("TAPSTER_PRELOAD", "1").args(&[flags, &["a:b"]].concat());
        assert_eq!(world.settings().preload, preload, "{flags:?}");
    }
}

#[test]
fn variables_for_the_application_are_put_together_and_lists_replaced() {
    let world = World::new()
        .file("pythonpath = ['lib', '/x']\n[env]\nA = 'file'\nB = 'file, with a comma '\nC = ''")
        .variable("TAPSTER_ENV", "A=variable, D=x=y")
        .args(&["-e", "A=flag", "--env", "E=1,2 ", "site:app"]);
    let settings = world.settings();
    let expected = [("A", "flag"), ("B", "file, with a comma "), ("C", ""), ("D", "x=y"), ("E", "1,2 ")];
    let env: Vec<_> = settings.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(env, expected);
    assert_eq!(settings.pythonpath, [world.path("lib"), PathBuf::from("/x")]);
    let world = world.args(&["--pythonpath", "a,b", "--pythonpath=/c", "site:app"]);
    assert_eq!(world.settings().pythonpath, [world.path("a"), world.path("b"), PathBuf::from("/c")]);
}

#[test]
fn of_a_repeated_flag_the_last_counts() {
    let world = World::new().args(&["-w", "2", "-w3", "--timeout=1m", "-t", "500ms", "site:app"]);
    assert_eq!((world.settings().workers, world.settings().timeout), (Workers::fixed(3), Duration::from_millis(500)));
}

#[test]
fn the_settings_file_is_the_one_named() {
    let world = World::new().file("workers = 2").named_file("conf/other.toml", b"workers = 3");
    assert_eq!(world.settings().workers, Workers::fixed(2));
    let world = world.variable("TAPSTER_CONFIG", "conf/other.toml");
    assert_eq!(world.settings().workers, Workers::fixed(3));
    let world = world.named_file("third.toml", b"workers = 4").args(&["-c", "third.toml", "site:app"]);
    assert_eq!(world.settings().workers, Workers::fixed(4));
}

#[test]
fn relative_paths_start_from_chdir() {
    let world = World::new().named_file("app/run/keep", b"").file(
        "chdir = './app/.'\npid = 'run/pid'\nerror_logfile = '../log'\ntmp_upload_dir = '.'\npython = 'venv/bin/python'\n\
         bind = ['unix:s', 'unix:/s', 'unix:@s']\n",
    );
    let settings = world.settings();
    let app = world.path("app");
    assert_eq!(settings.chdir, app);
    assert_eq!(settings.pid, Some(app.join("run/pid")));
    assert_eq!(settings.error_logfile, LogTarget::File(app.join("../log")));
    assert_eq!(settings.tmp_upload_dir, Some(app.clone()));
    assert_eq!(settings.python, Some(app.join("venv/bin/python")));
    assert_eq!(
        texts(&settings.bind),
        [format!("unix:{}", app.join("s").display()), "unix:/s".into(), "unix:@s".into()]
    );
    let world = world.args(&["--python", "python3.12", "--log-file", "-", "site:app"]);
    assert_eq!(world.settings().python, Some(PathBuf::from("python3.12")));
    assert_eq!(world.settings().error_logfile, LogTarget::Stderr);
}

#[test]
fn variables_are_replaced_in_every_text_of_the_file() {
    let world = World::new()
        .file("bind = ['${HOST:-localhost}:${P}']\nworkers = '${P}'\n[env]\nURL = 'x://${HOME}/$${P}'")
        .variable("P", "81")
        .variable("HOME", "/root");
    let settings = world.settings();
    assert_eq!(texts(&settings.bind), ["localhost:81"]);
    assert_eq!(
        (settings.workers, settings.env),
        (Workers::fixed(81), vec![("URL".to_owned(), "x:///root/${P}".to_owned())])
    );
}

#[test]
fn auto_is_as_many_workers_as_there_are_cpus() {
    let workers = World::new().args(&["-w", "auto", "site:app"]).settings().workers;
    assert!((1..=1024).contains(&workers.max) && !workers.is_range());
}

#[test]
fn the_command_line_says_what_to_do() {
    let purpose = |args: &[&str]| load(&World::new().args(args).sources);
    assert!(matches!(purpose(&["a:b"]), Ok(Invocation::Serve(_))));
    assert!(matches!(purpose(&["a:b", "--check-config"]), Ok(Invocation::CheckConfig(_))));
    assert!(
        matches!(purpose(&["--print-config"]), Ok(Invocation::PrintConfig(settings)) if settings.wsgi_app.is_empty())
    );
    assert!(matches!(purpose(&["-h"]), Ok(Invocation::Help(text)) if text.contains("Usage: tapster [OPTIONS] [APP]")));
    let version = format!("tapster {}", env!("CARGO_PKG_VERSION"));
    assert_eq!(purpose(&["-V"]), Ok(Invocation::Version(version.clone())));
    assert_eq!(purpose(&["--version"]), Ok(Invocation::Version(version)));
}

#[test]
fn with_reload_the_settings_file_is_watched_too() {
    let world = World::new().file("reload = true\nreload_extra_files = [\"templates\"]\nwsgi_app = \"site:app\"");
    assert_eq!(world.settings().reload_extra_files, [world.path("templates"), world.path("tapster.toml")]);
    let quiet = World::new().file("reload_extra_files = [\"templates\"]\nwsgi_app = \"site:app\"");
    assert_eq!(quiet.settings().reload_extra_files, [quiet.path("templates")]);
}
