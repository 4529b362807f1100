//! Names that hands remember from other servers, or mistype: what to write here instead.
//!
//! Only gives hints; the caller has already found that the name is no setting. Called for keys, variables and flags.

use crate::items::Item;
use crate::settings::ITEMS;

/// How alike two names must be for "did you mean", from 0 to 1 (Jaro-Winkler).
const ALIKE: f64 = 0.86;

/// What to do instead of writing `name`, a key in lower case with underscores. `spelled` writes a setting as the
/// source would; `others` are names of the source that are no settings, with their spelling.
pub(crate) fn hint(name: &str, spelled: &dyn Fn(&Item) -> String, others: &[(&str, &str)]) -> Option<String> {
    let name = name.to_ascii_lowercase().replace('-', "_");
    let item = |key: &str| ITEMS.iter().find(|item| item.key == key);
    let renamed = RENAMED.iter().find(|(_, names)| names.contains(&name.as_str()));
    // The very name that the source's own spelling would have: a dash or a capital is all that is wrong.
    if let Some(item) = item(&name).or_else(|| renamed.and_then(|(key, _)| item(key))) {
        return Some(format!("here it is called {}", spelled(item)));
    }
    if let Some((_, advice)) = ELSEWHERE.iter().find(|(names, _)| names.contains(&name.as_str())) {
        return Some((*advice).to_owned());
    }
    let near = nearest(&name, ITEMS.iter().map(|item| item.key).chain(others.iter().map(|(name, _)| *name)))?;
    let other = others.iter().find(|(name, _)| *name == near).map(|(_, spelling)| (*spelling).to_owned());
    let spelling = item(near).map(spelled).or(other)?;
    Some(format!("did you mean {spelling}?"))
}

/// The candidate that is most like the name, if any is much like it.
pub(crate) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = candidates.into_iter().map(|candidate| (strsim::jaro_winkler(name, candidate), candidate));
    let best = scored.max_by(|(one, _), (other, _)| one.total_cmp(other))?;
    (best.0 >= ALIKE).then_some(best.1)
}

/// What other servers call our settings.
const RENAMED: &[(&str, &[&str])] = &[
    ("wsgi_app", &["app", "application", "wsgi", "wsgi_file", "module", "target"]),
    (
        "bind",
        &["address", "addr", "listen", "listener", "host", "port", "socket", "http", "http_socket", "unix_socket"],
    ),
    ("backlog", &["listen_backlog", "listen_queue"]),
    ("workers", &["processes", "worker_processes", "num_workers", "worker_count"]),
    ("scale_target", &["cheaper_busyness_max"]),
    ("scale_window", &["cheaper_overload"]),
    ("scale_cooldown", &["cheaper_idle", "cheaper_busyness_multiplier"]),
    ("scale_step", &["cheaper_step", "cheaper_busyness_backlog_step"]),
    ("threads", &["worker_threads", "num_threads", "numthreads", "blocking_threads"]),
    ("timeout", &["harakiri", "request_timeout", "worker_timeout"]),
    ("timeout_grace", &["harakiri_graceful_timeout"]),
    ("queue_timeout", &["accepted_queue_timeout"]),
    ("boot_timeout", &["startup_timeout", "worker_boot_timeout"]),
    ("graceful_timeout", &["shutdown_timeout", "stop_timeout", "worker_reload_mercy", "workers_kill_timeout"]),
    ("keep_alive", &["keepalive", "keep_alive_timeout", "keepalive_timeout", "http_keepalive"]),
    ("max_requests", &["limit_max_requests", "maximum_requests", "worker_max_requests"]),
    ("max_requests_jitter", &["limit_max_requests_jitter", "max_requests_delta"]),
    ("max_memory", &["reload_on_rss", "reload_on_uss", "reload_on_pss", "workers_max_rss", "worker_max_rss"]),
    ("max_memory_hard", &["evil_reload_on_rss", "evil_reload_on_uss", "evil_reload_on_pss"]),
    ("max_lifetime", &["workers_lifetime", "max_worker_lifetime", "worker_lifetime"]),
    ("max_lifetime_jitter", &["max_worker_lifetime_delta"]),
    ("chdir", &["working_dir", "working_directory", "workdir", "cwd", "directory"]),
    ("pythonpath", &["python_path", "pp"]),
    ("env", &["raw_env", "environment", "environ"]),
    ("pid", &["pidfile", "pid_file"]),
    ("daemon", &["d", "daemonize", "daemonise", "background"]),
    ("user", &["u", "uid", "run_as", "runas"]),
    ("group", &["g", "gid"]),
    ("umask", &["m", "file_mask"]),
    ("control_socket", &["master_fifo", "control_path", "ctl_socket"]),
    ("preload", &["preload_app"]),
    ("log_level", &["loglevel", "level"]),
    ("error_logfile", &["errorlog", "error_log", "error_log_file", "log_file", "logfile", "logto", "log"]),
    ("python", &["venv", "virtualenv", "home", "interpreter", "python_executable", "pythonhome"]),
    ("limit_request_body", &["max_body_size", "client_max_body_size", "limit_post", "max_request_body_size"]),
    ("limit_request_line", &["limit_line", "max_request_line"]),
    ("limit_request_fields", &["limit_fields", "max_headers"]),
    (
        "limit_request_head",
        &["max_request_header_size", "max_head_size", "buffer_size", "h11_max_incomplete_event_size"],
    ),
    ("keep_alive_requests", &["keepalive_requests", "max_keepalive_requests"]),
    ("limit_queue", &["queue_limit", "queue_size", "accepted_queue_size"]),
    ("worker_connections", &["connection_limit", "max_connections", "limit_concurrency"]),
    ("tmp_upload_dir", &["tmp_dir", "upload_dir", "temp_dir"]),
    ("client_header_timeout", &["header_timeout", "header_read_timeout", "http1_header_read_timeout"]),
    ("client_body_timeout", &["body_timeout", "body_read_timeout"]),
    ("client_body_min_rate", &["min_rate", "minrate", "body_min_rate"]),
    ("send_timeout", &["write_timeout"]),
    ("lingering_timeout", &["lingering_time", "lingering_close", "linger"]),
    ("forwarded_allow_ips", &["trusted_proxy", "trusted_proxies"]),
    ("secure_scheme_headers", &["secure_proxy_ssl_header"]),
    ("proxy_protocol", &["enable_proxy_protocol", "http_enable_proxy_protocol"]),
    ("proxy_allow_ips", &["proxy_allow_from"]),
    ("warmup", &["warm_up", "warmup_requests", "warmup_paths"]),
    ("reload", &["autoreload", "auto_reload", "py_autoreload", "python_auto_reload", "py_auto_reload"]),
    ("reload_extra_files", &["reload_extra_file", "reload_dirs", "reload_dir"]),
    ("server_header", &["no_server_header", "server_tokens"]),
];

/// Settings of other servers that have none here, and what to do instead.
const ELSEWHERE: &[(&[&str], &str)] = &[
    (
        &["cheaper", "cheaper_initial", "min_workers", "max_workers", "workers_min", "workers_max"],
        "write workers = { min = 2, max = 8 }, or \"2-8\": the number then follows the load, from the least on",
    ),
    (
        &[
            "cheaper_algo",
            "cheaper_busyness_min",
            "cheaper_busyness_penalty",
            "cheaper_busyness_backlog_alert",
            "cheaper_busyness_backlog_multiplier",
            "cheaper_busyness_backlog_nonzero",
        ],
        "leave it out: `scale_target` and `scale_burst` say when the number of workers follows the load",
    ),
    (&["worker_class", "k", "class"], "Tapster has one kind of worker: leave it out; gthread's threads are `threads`"),
    (
        &["gevent", "async", "asyncio"],
        "not supported: slow clients do not occupy a thread here; raise `threads` for an application that waits",
    ),
    (&["enable_threads"], "leave it out: threads that the application starts always run"),
    (
        &["accesslog", "access_log", "access_logfile", "access_log_format", "access_logformat", "disable_logging"],
        "not supported: let the proxy or the application log requests",
    ),
    (
        &["reload_engine", "reload_paths", "reload_include", "reload_tick"],
        "leave it out: `reload` watches the files that are imported, and `reload_extra_files` names others",
    ),
    (&["touch_reload"], "leave it out: HUP, or `tapsterctl reload`, loads settings and code anew"),
    (
        &["certfile", "keyfile", "ca_certs", "cert_reqs", "ciphers", "ssl_version", "ssl", "https"],
        "not supported: let a proxy in front speak TLS",
    ),
    (
        &["logconfig", "log_config", "logconfig_dict", "log_config_json", "logger_class"],
        "not supported: the server logs to `error_logfile`; the application configures its own logging",
    ),
    (
        &["capture_output", "enable_stdio_inheritance"],
        "leave it out: what the application prints goes where tapster's own output goes",
    ),
    (&["control_socket_mode"], "leave it out: the mode is 0600, and only root and the server's own user are answered"),
    (
        &["no_control_socket", "control_socket_disable"],
        "leave it out: there is no control socket unless `control_socket` names one",
    ),
    (&["worker_tmp_dir"], "leave it out: workers are watched through memory, not through files"),
    (&["reuse_port", "sendfile", "no_sendfile", "http_parser"], "leave it out: there is nothing to choose here"),
    (&["ident"], "not supported: the field says `Server: tapster`, or nothing with `server_header = false`"),
    (&["proc_name", "n", "name", "procname"], "not supported"),
    (&["statsd_host", "statsd_prefix", "log_syslog", "log_syslog_to"], "not supported"),
    (
        &[
            "permit_obsolete_folding",
            "strip_header_spaces",
            "permit_unconventional_http_method",
            "permit_unconventional_http_version",
            "casefold_http_method",
        ],
        "not supported: requests are read strictly as RFC 9112 says",
    ),
    (
        &["protocol", "uwsgi_allow_ips", "uwsgi_allow_from", "uwsgi_socket"],
        "not supported: Tapster speaks HTTP alone; with nginx use proxy_pass in place of uwsgi_pass",
    ),
    (
        &["proxy_headers", "trusted_proxy_count", "clear_untrusted_proxy_headers"],
        "name the proxies in `forwarded_allow_ips`, and the headers to be believed in `trusted_proxy_headers`",
    ),
    (
        &["post_fork", "post_worker_init", "worker_exit"],
        "no setting: the application decorates functions with `tapster.post_fork` and `tapster.worker_exit`",
    ),
    (
        &[
            "on_starting",
            "on_reload",
            "on_exit",
            "when_ready",
            "pre_fork",
            "worker_int",
            "worker_abort",
            "pre_exec",
            "pre_request",
            "post_request",
            "child_exit",
            "nworkers_changed",
        ],
        "not supported: there are no server hooks; os.register_at_fork and WSGI middleware do most of their work",
    ),
    (
        &["config", "c", "check_config", "print_config"],
        "that is an option of the command line: --config, --check-config, --print-config",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_names_are_no_settings_and_lead_to_ones_that_exist() {
        let keys: Vec<_> = ITEMS.iter().map(|item| item.key).collect();
        for (key, names) in RENAMED {
            assert!(keys.contains(key), "{key} is no setting");
            assert!(names.iter().all(|name| !keys.contains(name)), "a name for {key} is a setting itself");
        }
        for (names, _) in ELSEWHERE {
            assert!(names.iter().all(|name| !keys.contains(name)), "one of {names:?} is a setting");
        }
    }

    #[test]
    fn near_misses_are_found_and_far_ones_left_alone() {
        let spelled = |item: &Item| item.key.to_owned();
        let table = [
            ("worker", Some("did you mean workers?")),
            ("wokers", Some("did you mean workers?")),
            ("timout", Some("did you mean timeout?")),
            ("graceful", Some("did you mean graceful_timeout?")),
            ("graceful-timeout", Some("here it is called graceful_timeout")),
            ("limit_request_feilds", Some("did you mean limit_request_fields?")),
            ("loglevel", Some("here it is called log_level")),
            ("keepalive", Some("here it is called keep_alive")),
            ("pre_load", Some("did you mean preload?")),
            ("harakiri", Some("here it is called timeout")),
            ("harakiri-graceful-timeout", Some("here it is called timeout_grace")),
            ("thread", Some("did you mean threads?")),
            ("enable_threads", Some("leave it out: threads that the application starts always run")),
            ("worker_class", Some("Tapster has one kind of worker: leave it out; gthread's threads are `threads`")),
            ("colour", None),
            ("database", None),
        ];
        for (name, expected) in table {
            assert_eq!(hint(name, &spelled, &[]).as_deref(), expected, "{name}");
        }
    }
}
