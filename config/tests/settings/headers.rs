//! Settings that name headers: `secure_scheme_headers`, `forwarder_headers` and `trusted_proxy_headers`.

use crate::world::World;
use tapster_config::ForwardedHeader;

fn complaint(file: &str) -> String {
    let errors = World::new().file(file).errors();
    assert_eq!((errors.count(), errors.exit_code()), (1, 1), "{errors}");
    errors.to_string()
}

fn first_line(file: &str) -> String {
    complaint(file).lines().next().unwrap().to_owned()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn scheme_headers_are_gunicorns_unless_they_are_given() {
    let given = |world: &World| world.settings().secure_scheme_headers;
    let world = World::new();
    let gunicorns = [("X-FORWARDED-PROTO", "https"), ("X-FORWARDED-PROTOCOL", "ssl"), ("X-FORWARDED-SSL", "on")];
    assert_eq!(given(&world), pairs(&gunicorns));
    let world = world.file("[secure_scheme_headers]\nX-Scheme = 'https, ssl'\nCloudFront-Forwarded-Proto = 'https'");
    assert_eq!(given(&world), pairs(&[("CloudFront-Forwarded-Proto", "https"), ("X-Scheme", "https, ssl")]));
    let world = world.variable("TAPSTER_SECURE_SCHEME_HEADERS", "X-B=on, X-A = a=b");
    assert_eq!(given(&world), pairs(&[("X-A", "a=b"), ("X-B", "on")]));
    let world = world.args(&["--secure-scheme-headers", "X-C=on", "--secure-scheme-headers=x-d=1,2", "site:app"]);
    assert_eq!(given(&world), pairs(&[("X-C", "on"), ("x-d", "1,2")]));
    assert_eq!(given(&World::new().file("secure_scheme_headers = {}")), []);
}

#[test]
fn scheme_headers_that_cannot_be_are_refused() {
    let table = [
        ("{ 'X Y' = 'on' }", "1:27: `secure_scheme_headers` holds \"X Y\", which cannot be a header's name"),
        ("{ '' = 'on' }", "1:27: `secure_scheme_headers` holds \"\", which cannot be a header's name"),
        ("{ 'X-É' = 'on' }", "1:27: `secure_scheme_headers` holds \"X-É\", which cannot be a header's name"),
        ("{ 'X:' = 'on' }", "1:27: `secure_scheme_headers` holds \"X:\", which cannot be a header's name"),
        (
            "{ HTTP_X_SSL = 'on' }",
            "1:27: `secure_scheme_headers` holds \"HTTP_X_SSL\", which is no header's name but WSGI's for it",
        ),
        (
            "{ X-A = 'ön' }",
            "1:27: `secure_scheme_headers` holds \"ön\" for X-A; a value is plain ASCII, with no space around it",
        ),
        ("{ X-A = '' }", "1:27: `secure_scheme_headers` holds no value for X-A: give the one that says \"HTTPS\""),
        (
            "{ X-A = 'on ' }",
            "1:27: `secure_scheme_headers` holds \"on \" for X-A; a value is plain ASCII, with no space around it",
        ),
        (
            "{ X-A = \"a\\nb\" }",
            "1:27: `secure_scheme_headers` holds \"a\\nb\" for X-A; a value is plain ASCII, with no space around it",
        ),
        ("{ X-A = '1', x-a = '2' }", "1:38: `secure_scheme_headers` names X-A and x-a, which are the same header"),
        ("{ X-A = 1 }", "1:33: `secure_scheme_headers` must hold texts, but X-A is 1"),
        ("{ X-A = true }", "1:33: `secure_scheme_headers` must hold texts, but X-A is true"),
        ("'X-A: on'", "1:25: `secure_scheme_headers` must be NAME=VALUE, not \"X-A: on\""),
        ("true", "1:25: `secure_scheme_headers` must be a table of header names and values, or NAME=VALUE, not true"),
        ("'X-A=1,X-A=1'", "1:25: `secure_scheme_headers` names X-A twice"),
    ];
    for (value, expected) in table {
        assert_eq!(first_line(&format!("secure_scheme_headers = {value}")), format!("tapster.toml:{expected}"));
    }
    let complaint = complaint("secure_scheme_headers = { HTTP_X_FORWARDED_PROTO = 'https' }");
    assert!(complaint.ends_with("\n  hint: write the name that is sent, as in X-FORWARDED-PROTO"), "{complaint}");
    let world = World::new().variable("TAPSTER_SECURE_SCHEME_HEADERS", "X-A=on,ssl");
    assert!(
        world.complaint().starts_with("TAPSTER_SECURE_SCHEME_HEADERS must be NAME=VALUE, not \"ssl\"\n  hint: commas")
    );
}

#[test]
fn forwarder_headers_are_kept_in_capitals() {
    let given = |world: &World| world.settings().forwarder_headers;
    let world = World::new();
    assert_eq!(given(&world), ["SCRIPT_NAME", "PATH_INFO"]);
    let world = world.file("forwarder_headers = ['remote_user', 'x-Real-ip']");
    assert_eq!(given(&world), ["REMOTE_USER", "X-REAL-IP"]);
    let world = world.variable("TAPSTER_FORWARDER_HEADERS", "*, Script_Name");
    assert_eq!(given(&world), ["*", "SCRIPT_NAME"]);
    let world = world.args(&["--forwarder-headers", "a_b,c_d", "--forwarder-headers=E_F", "site:app"]);
    assert_eq!(given(&world), ["A_B", "C_D", "E_F"]);
    assert!(given(&world.args(&["--forwarder-headers=", "site:app"])).is_empty());
    assert!(given(&World::new().file("forwarder_headers = []")).is_empty());
}

#[test]
fn forwarder_headers_that_cannot_be_are_refused() {
    let table = [
        ("['A B']", "1:22: `forwarder_headers` holds \"A B\", which cannot be a header's name"),
        ("['']", "1:22: `forwarder_headers` holds \"\", which cannot be a header's name"),
        ("['A_B', 'a_b']", "1:29: `forwarder_headers` names A_B twice"),
        ("[true]", "1:22: `forwarder_headers` must be a list of texts, not of true"),
        ("1", "1:21: `forwarder_headers` must be the name of a header or a list of them, or \"*\", not 1"),
    ];
    for (value, expected) in table {
        assert_eq!(first_line(&format!("forwarder_headers = {value}")), format!("tapster.toml:{expected}"));
    }
}

#[test]
fn trusted_proxy_headers_are_chosen_from_a_few() {
    use ForwardedHeader::{
        Forwarded, XForwardedFor, XForwardedHost, XForwardedPort, XForwardedPrefix, XForwardedProto,
    };
    let given = |world: &World| world.settings().trusted_proxy_headers;
    let world = World::new();
    assert!(given(&world).is_empty());
    let world = world.file("trusted_proxy_headers = ['X-Forwarded-For', 'x-forwarded-proto', 'X-FORWARDED-HOST']");
    assert_eq!(given(&world), [XForwardedFor, XForwardedProto, XForwardedHost]);
    let world = world.variable("TAPSTER_TRUSTED_PROXY_HEADERS", "Forwarded, x-forwarded-port");
    assert_eq!(given(&world), [Forwarded, XForwardedPort]);
    let world = world.args(&["--trusted-proxy-headers", "x-forwarded-prefix", "site:app"]);
    assert_eq!(given(&world), [XForwardedPrefix]);
    assert!(given(&world.args(&["--trusted-proxy-headers", "", "site:app"])).is_empty());
}

#[test]
fn trusted_proxy_headers_that_do_not_exist_are_refused_with_the_near_one() {
    let all = "x-forwarded-for, x-forwarded-proto, x-forwarded-host, x-forwarded-port, x-forwarded-prefix or forwarded";
    let table = [
        ("['x-real-ip']", format!("1:26: `trusted_proxy_headers` must hold {all}, not \"x-real-ip\"")),
        ("'*'", format!("1:25: `trusted_proxy_headers` must hold {all}, not \"*\"")),
        ("['forwarded', 'Forwarded']", "1:39: `trusted_proxy_headers` names forwarded twice".to_owned()),
        ("true", format!("1:25: `trusted_proxy_headers` must be a list of {all}, not true")),
    ];
    for (value, expected) in table {
        assert_eq!(first_line(&format!("trusted_proxy_headers = {value}")), format!("tapster.toml:{expected}"));
    }
    let complaint = complaint("trusted_proxy_headers = 'X-Forwarded_For'");
    assert!(complaint.ends_with("\n  hint: did you mean \"x-forwarded-for\"?"), "{complaint}");
}
