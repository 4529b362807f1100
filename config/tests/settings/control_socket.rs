//! `control_socket` as the server reads it, and as `tapsterctl` finds it.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::world::World;
use tapster_config::{ControlInvocation, load, load_control};

fn found(world: &World) -> PathBuf {
    match load_control(&world.sources) {
        Ok(ControlInvocation::Ask(request)) => request.socket,
        other => panic!("{other:?}"),
    }
}

fn refused(world: &World) -> String {
    load(&world.sources).unwrap_err().to_string()
}

#[test]
fn a_relative_path_starts_from_chdir_and_both_programs_find_the_same() {
    let world = World::new().named_file("sub/x", b"").file("chdir = 'sub'\ncontrol_socket = 'c.sock'\nwsgi_app = 'a'");
    let world = world.args(&[]);
    assert_eq!(world.settings().control_socket, Some(world.path("sub/c.sock")));
    let world = world.args(&["status"]);
    assert_eq!(found(&world), world.path("sub/c.sock"));
    let world = world.variable("TAPSTER_CONTROL_SOCKET", "/run/v.sock");
    assert_eq!(found(&world), PathBuf::from("/run/v.sock"), "the environment is stronger than the file");
    let world = world.args(&["--socket", "flag.sock", "status"]);
    assert_eq!(found(&world), world.path("flag.sock"), "the flag is strongest, and starts from the working directory");
}

#[test]
fn another_file_can_be_named() {
    let world = World::new().named_file("other.toml", b"control_socket = '/run/o.sock'");
    assert_eq!(found(&world.args(&["status", "--config", "other.toml"])), PathBuf::from("/run/o.sock"));
    let world =
        World::new().named_file("v.toml", b"control_socket = '/run/v.sock'").variable("TAPSTER_CONFIG", "v.toml");
    assert_eq!(found(&world.args(&["status"])), PathBuf::from("/run/v.sock"));
    let errors = load_control(&World::new().args(&["-c", "no.toml", "status"]).sources).unwrap_err();
    assert!(errors.to_string().contains("no.toml cannot be read"), "{errors}");
}

#[test]
fn other_settings_may_be_wrong_but_not_those_that_the_socket_hangs_on() {
    let wrong = "workers = 'many'\nwrokers = 3\ncontrol_socket = '/run/c.sock'\nchdir = 5";
    assert_eq!(found(&World::new().file(wrong).args(&["stop"])), PathBuf::from("/run/c.sock"));
    for (file, says) in [
        ("control_socket = 5", "tapster.toml:1:18"),
        ("control_socket = 'c.sock'\nchdir = 5", "tapster.toml:2:9"),
        ("control_socket = = '/run/c.sock'", "not TOML"),
    ] {
        let errors = load_control(&World::new().file(file).args(&["stop"]).sources).unwrap_err().to_string();
        assert!(errors.contains(says), "{errors}");
    }
}

#[test]
fn a_server_without_one_is_none_that_can_be_controlled() {
    assert_eq!(World::new().settings().control_socket, None);
    let errors = load_control(&World::new().args(&["status"]).sources).unwrap_err();
    assert!(errors.is_usage() && errors.to_string().contains("tapster.toml"), "{errors}");
}

#[test]
fn a_place_where_no_socket_can_be_is_refused_with_the_reason() {
    let long = "x".repeat(110);
    let cases = [
        ("control_socket = '/no/such/dir/c.sock'".to_owned(), "/no/such/dir, which does not exist"),
        ("control_socket = 'tapster.toml/c.sock'".to_owned(), "which is not a directory"),
        ("control_socket = 'tapster.toml'".to_owned(), "is not a socket"),
        (format!("control_socket = '/{long}'"), "has 111 bytes: the system allows a socket 107"),
        ("control_socket = 'unix:/run/c.sock'".to_owned(), "write it without unix:"),
        ("control_socket = ''".to_owned(), "must be the path of a Unix socket"),
    ];
    for (file, says) in cases {
        let error = refused(&World::new().file(&file));
        assert!(error.contains(says) && error.contains("control_socket"), "{file}: {error}");
    }
}

#[test]
fn a_directory_that_may_not_be_written_to_is_refused() {
    let world = World::new().named_file("sub/x", b"").file("control_socket = 'sub/c.sock'");
    std::fs::set_permissions(world.path("sub"), PermissionsExt::from_mode(0o555)).unwrap();
    if nix::unistd::geteuid().is_root() {
        assert!(world.settings().control_socket.is_some(), "root may");
    } else {
        assert!(refused(&world).contains("may not write there"));
    }
}
