//! Addresses and networks that are trusted: `forwarded_allow_ips` and `proxy_allow_ips`.

use crate::world::World;
use tapster_config::AllowedIps;

fn networks(texts: &[&str]) -> AllowedIps {
    AllowedIps::Networks(texts.iter().map(|text| text.parse().unwrap()).collect())
}

fn complaint(file: &str) -> String {
    let errors = World::new().file(file).errors();
    assert_eq!((errors.count(), errors.exit_code()), (1, 1), "{errors}");
    errors.to_string()
}

#[test]
fn by_default_this_machine_alone_is_trusted() {
    let settings = World::new().settings();
    let loopback = networks(&["127.0.0.1/32", "::1/128"]);
    assert_eq!((&settings.forwarded_allow_ips, &settings.proxy_allow_ips), (&loopback, &loopback));
}

#[test]
fn every_way_to_write_them_in_the_file() {
    let table = [
        ("'*'", AllowedIps::All),
        ("['*']", AllowedIps::All),
        ("' * '", AllowedIps::All),
        ("[]", networks(&[])),
        ("''", networks(&[])),
        ("'10.0.0.1'", networks(&["10.0.0.1/32"])),
        ("'10.0.0.1, fd00::/8 ,192.168.0.0/16'", networks(&["10.0.0.1/32", "fd00::/8", "192.168.0.0/16"])),
        ("['10.0.0.1', ' FD00::/8']", networks(&["10.0.0.1/32", "fd00::/8"])),
        ("['0.0.0.0/0']", networks(&["0.0.0.0/0"])),
    ];
    for (value, expected) in table {
        let settings =
            World::new().file(&format!("forwarded_allow_ips = {value}\nproxy_allow_ips = {value}")).settings();
        assert_eq!((&settings.forwarded_allow_ips, &settings.proxy_allow_ips), (&expected, &expected), "{value}");
    }
}

#[test]
fn a_stronger_source_replaces_a_weaker_one() {
    let trusted = |world: &World| world.settings().forwarded_allow_ips;
    let world = World::new().file("forwarded_allow_ips = '10.0.0.1'");
    assert_eq!(trusted(&world), networks(&["10.0.0.1/32"]));
    let world = world.variable("FORWARDED_ALLOW_IPS", "*");
    assert_eq!(trusted(&world), AllowedIps::All);
    let world = world.variable("TAPSTER_FORWARDED_ALLOW_IPS", "10.0.0.3,10.0.1.0/24");
    assert_eq!(trusted(&world), networks(&["10.0.0.3/32", "10.0.1.0/24"]));
    let world = world.args(&["--forwarded-allow-ips", "10.0.0.4,::1", "--forwarded-allow-ips=::2", "site:app"]);
    assert_eq!(trusted(&world), networks(&["10.0.0.4/32", "::1/128", "::2/128"]));
    let world = world.args(&["--forwarded-allow-ips=", "site:app"]);
    assert_eq!(trusted(&world), networks(&[]));
    let world = world.args(&["--forwarded-allow-ips", "*", "site:app"]);
    assert_eq!(trusted(&world), AllowedIps::All);
}

#[test]
fn the_flag_has_the_name_that_gunicorn_gives_it_as_well() {
    for flag in ["--proxy-allow-from", "--proxy-allow-ips"] {
        let settings = World::new().args(&[flag, "10.0.0.4", "site:app"]).settings();
        assert_eq!(settings.proxy_allow_ips, networks(&["10.0.0.4/32"]), "{flag}");
    }
    let complaint = complaint("proxy_allow_from = '10.0.0.4'");
    assert!(complaint.ends_with("hint: here it is called `proxy_allow_ips`"), "{complaint}");
}

#[test]
fn what_is_no_network_is_refused_at_its_place() {
    let expected = "must hold IP addresses and networks (10.0.0.0/8), not";
    let table = [
        (
            "['10.0.0.1/8']",
            format!("1:24: `forwarded_allow_ips` {expected} \"10.0.0.1/8\": it has bits beyond the network's; for the network write \"10.0.0.0/8\""),
        ),
        (
            "['::1', 'localhost']",
            format!("1:31: `forwarded_allow_ips` {expected} \"localhost\": it is not an IP address"),
        ),
        (
            "'10.0.0.0/255.0.0.0'",
            format!("1:23: `forwarded_allow_ips` {expected} \"10.0.0.0/255.0.0.0\": write \"10.0.0.0/8\""),
        ),
        (
            "'10.0.0.1 10.0.0.2'",
            format!("1:23: `forwarded_allow_ips` {expected} \"10.0.0.1 10.0.0.2\": it is not an IP address"),
        ),
        ("['']", format!("1:24: `forwarded_allow_ips` {expected} \"\": it is not an IP address")),
        ("['10.0.0.1', '10.0.0.1/32']", "1:36: `forwarded_allow_ips` names 10.0.0.1 twice".to_owned()),
        ("['::1', '*']", "1:31: `forwarded_allow_ips` holds \"*\" beside others".to_owned()),
        ("[1]", "1:24: `forwarded_allow_ips` must be a list of texts, not of 1".to_owned()),
        (
            "true",
            "1:23: `forwarded_allow_ips` must be an IP address, a network (10.0.0.0/8) or a list of them, or \"*\", not true"
                .to_owned(),
        ),
    ];
    for (value, expected) in table {
        let complaint = complaint(&format!("forwarded_allow_ips = {value}"));
        assert_eq!(complaint.lines().next(), Some(format!("tapster.toml:{expected}").as_str()));
    }
    assert!(complaint("proxy_allow_ips = '::1,*'").ends_with("\n  hint: \"*\" alone trusts every address"));
}

#[test]
fn outside_of_the_file_the_source_is_named() {
    let reason = "must hold IP addresses and networks (10.0.0.0/8), not \"x\": it is not an IP address";
    for variable in ["FORWARDED_ALLOW_IPS", "TAPSTER_FORWARDED_ALLOW_IPS", "TAPSTER_PROXY_ALLOW_IPS"] {
        assert_eq!(World::new().variable(variable, "::1,x").complaint(), format!("{variable} {reason}"));
    }
    let world = World::new().args(&["--proxy-allow-from", "x", "site:app"]);
    assert_eq!(world.complaint(), format!("--proxy-allow-ips {reason}"));
    assert!(world.errors().is_usage());
}
