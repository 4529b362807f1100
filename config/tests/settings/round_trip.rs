//! Settings written as TOML read back as the same settings.

use std::time::Duration;

use crate::world::World;
use tapster_config::{
    AllowedIps, Bind, ForwardedHeader, HeaderMap, HopByHop, LogLevel, LogTarget, MemoryMeasure, ProxyProtocol,
    Settings, Workers,
};

#[expect(clippy::too_many_lines, reason = "a line for each setting")]
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
            Bind::Passed("web.socket".into()),
        ],
        backlog: 1,
        workers: Workers { min: 2, max: 33 },
        scale_target: 10,
        scale_window: Duration::from_secs(600),
        scale_cooldown: Duration::from_secs(86_400),
        scale_step: 1024,
        scale_burst: Duration::ZERO,
        threads: 1024,
        preload: true,
        warmup: vec!["/?a=${B},c".parse().unwrap(), "https://www.example.com:8443/b".parse().unwrap()],
        timeout: Duration::ZERO,
        timeout_grace: Duration::from_millis(250),
        queue_timeout: Duration::from_secs(86_400),
        boot_timeout: Duration::from_millis(1500),
        graceful_timeout: Duration::from_secs(7200),
        drain_delay: Duration::from_secs(15),
        reload_batch: 3,
        keep_alive: Duration::from_millis(1),
        max_requests: 1_000_000_000,
        max_requests_jitter: 7,
        max_memory: 512 << 20,
        max_memory_hard: (1 << 30) + 1,
        memory_measure: MemoryMeasure::Uss,
        memory_interval: Duration::from_millis(1500),
        max_lifetime: Duration::from_secs(86_400),
        max_lifetime_jitter: Duration::from_secs(3600),
        limit_request_line: 65_536,
        limit_request_fields: 1000,
        limit_request_field_size: 64,
        limit_request_head: 16 << 20,
        limit_request_body: i64::MAX as u64,
        limit_pipelined: 5000,
        keep_alive_requests: 0,
        worker_connections: 1_000_000,
        limit_queue: 1,
        tmp_upload_dir: Some("/no/such/directory".into()),
        tmp_upload_limit: 5 << 30,
        client_header_timeout: Duration::from_millis(100),
        client_body_timeout: Duration::from_millis(1001),
        client_body_min_rate: 0,
        client_body_total_timeout: Duration::ZERO,
        send_timeout: Duration::from_secs(86_400),
        lingering_timeout: Duration::from_millis(500),
        forwarded_allow_ips: AllowedIps::All,
        secure_scheme_headers: vec![("X-Scheme".into(), "=${S}".into()), ("x-ssl".into(), "a, b".into())],
        forwarder_headers: vec!["*".into(), "REMOTE_USER".into(), "X-A".into()],
        trusted_proxy_headers: ForwardedHeader::ALL.into(),
        proxy_protocol: ProxyProtocol::Auto,
        proxy_allow_ips: AllowedIps::Networks(vec!["10.0.0.0/8".parse().unwrap(), "fd00::1/128".parse().unwrap()]),
        header_map: HeaderMap::Dangerous,
        server_header: false,
        hop_by_hop_headers: HopByHop::Drop,
        early_hints: false,
        log_level: LogLevel::Critical,
        error_logfile: LogTarget::File("/var/log/tapster".into()),
        pid: Some("/run/tapster.pid".into()),
        daemon: true,
        user: Some("1000".into()),
        group: Some("www-data".into()),
        initgroups: true,
        umask: Some(0o27),
        control_socket: Some("/no/such/directory/control.sock".into()),
        reload: true,
        reload_extra_files: vec!["/srv/templates".into(), "/srv/a,b".into()],
    }
}

#[test]
fn settings_are_equal_after_being_written_and_read() {
    let nothing = Settings {
        forwarded_allow_ips: AllowedIps::Networks(Vec::new()),
        secure_scheme_headers: Vec::new(),
        forwarder_headers: Vec::new(),
        ..Settings::default()
    };
    for settings in [Settings::default(), every_setting_changed(), nothing, World::new().settings()] {
        let text = settings.to_toml();
        assert_eq!(Settings::from_toml(&text), Ok(settings), "{text}");
    }
}

#[test]
fn printed_settings_load_as_the_same_from_a_file() {
    let world = World::new()
        .args(&["-w", "3", "-b", "unix:s", "-e", "A=1", "--preload", "site:app"])
        .variable("FORWARDED_ALLOW_IPS", "10.0.0.0/8")
        .variable("TAPSTER_SECURE_SCHEME_HEADERS", "X-S=${S}");
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
#[expect(clippy::too_many_lines, reason = "a line for each setting")]
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
threads = 1
preload = false
warmup = []
timeout = \"30s\"
timeout_grace = \"5s\"
queue_timeout = \"30s\"
boot_timeout = \"120s\"
graceful_timeout = \"30s\"
drain_delay = \"0s\"
reload_batch = 1
keep_alive = \"2s\"
scale_target = 70
scale_window = \"10s\"
scale_cooldown = \"60s\"
scale_step = 4
scale_burst = \"1s\"
max_requests = 0
max_requests_jitter = 0
max_memory = 0
max_memory_hard = 0
memory_measure = \"pss\"
memory_interval = \"5s\"
max_lifetime = \"0s\"
max_lifetime_jitter = \"0s\"
limit_request_line = 4094
limit_request_fields = 100
limit_request_field_size = 8190
limit_request_head = \"64KiB\"
limit_request_body = \"1GiB\"
limit_pipelined = \"64KiB\"
keep_alive_requests = 10000
worker_connections = 1000
limit_queue = 1000
tmp_upload_limit = \"16GiB\"
client_header_timeout = \"30s\"
client_body_timeout = \"30s\"
client_body_min_rate = 500
client_body_total_timeout = \"6h\"
send_timeout = \"60s\"
lingering_timeout = \"2s\"
forwarded_allow_ips = [\"127.0.0.1\", \"::1\"]
forwarder_headers = [\"SCRIPT_NAME\", \"PATH_INFO\"]
trusted_proxy_headers = []
proxy_protocol = \"off\"
proxy_allow_ips = [\"127.0.0.1\", \"::1\"]
header_map = \"drop\"
server_header = true
hop_by_hop_headers = \"refuse\"
early_hints = true
log_level = \"info\"
error_logfile = \"-\"
daemon = false
initgroups = false
reload = false
reload_extra_files = []

[env]
A = \"1\"

[secure_scheme_headers]
X-FORWARDED-PROTO = \"https\"
X-FORWARDED-PROTOCOL = \"ssl\"
X-FORWARDED-SSL = \"on\"
"
    );
}

#[test]
fn a_handed_over_text_that_is_wrong_is_refused() {
    let errors = Settings::from_toml("workers = 0\n").unwrap_err();
    assert_eq!(
        errors.to_string(),
        "settings:1:11: `workers` must be a whole number from 1 to 1024, \"auto\", or a range such as \"2-8\" or { min = 2, max = 8 }, not 0\n  1 | workers = 0\n    |           ^"
    );
}

#[test]
fn what_a_reload_cannot_apply_is_named() {
    let old = Settings::default();
    assert_eq!(old.needing_restart(&old), []);
    let new = every_setting_changed();
    let keys: Vec<_> = old.needing_restart(&new).into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["pid", "daemon", "control_socket"]);
}
