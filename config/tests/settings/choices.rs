//! Settings that are one word of a few, and the switch that is on by itself.

use crate::world::World;
use tapster_config::{HeaderMap, HopByHop, Invocation, ProxyProtocol, load};

#[test]
fn a_word_is_read_from_every_source() {
    let world = World::new();
    let settings = world.settings();
    assert_eq!(settings.proxy_protocol, ProxyProtocol::Off);
    assert_eq!((settings.header_map, settings.hop_by_hop_headers), (HeaderMap::Drop, HopByHop::Refuse));
    let world = world.file("proxy_protocol = 'v1'\nheader_map = 'Refuse'\nhop_by_hop_headers = 'drop'");
    let settings = world.settings();
    assert_eq!(settings.proxy_protocol, ProxyProtocol::V1);
    assert_eq!((settings.header_map, settings.hop_by_hop_headers), (HeaderMap::Refuse, HopByHop::Drop));
    let world = world.variable("TAPSTER_PROXY_PROTOCOL", "V2").variable("TAPSTER_HEADER_MAP", " dangerous ");
    let settings = world.settings();
    assert_eq!((settings.proxy_protocol, settings.header_map), (ProxyProtocol::V2, HeaderMap::Dangerous));
    let world = world.args(&["--proxy-protocol", "auto", "--header-map=drop", "--hop-by-hop-headers=refuse", "a:b"]);
    let settings = world.settings();
    assert_eq!(settings.proxy_protocol, ProxyProtocol::Auto);
    assert_eq!((settings.header_map, settings.hop_by_hop_headers), (HeaderMap::Drop, HopByHop::Refuse));
}

#[test]
fn a_word_that_does_not_exist_is_refused_with_the_near_one() {
    let table = [
        (
            "proxy_protocol = true",
            "tapster.toml:1:18: `proxy_protocol` must be off, v1, v2 or auto, not true\n  1 | proxy_protocol = true\n    |                  ^^^^",
        ),
        (
            "header_map = 'dangerus'",
            "tapster.toml:1:14: `header_map` must be drop, refuse or dangerous, not \"dangerus\"\n  1 | header_map = 'dangerus'\n    |              ^^^^^^^^^^\n  hint: did you mean \"dangerous\"?",
        ),
        (
            "hop_by_hop_headers = ''",
            "tapster.toml:1:22: `hop_by_hop_headers` must be refuse or drop, not \"\"\n  1 | hop_by_hop_headers = ''\n    |                      ^^",
        ),
    ];
    for (file, expected) in table {
        assert_eq!(World::new().file(file).complaint(), expected);
    }
    let world = World::new().args(&["--header-map", "allow", "a:b"]).variable("TAPSTER_PROXY_PROTOCOL", "v3");
    assert_eq!(
        world.complaint(),
        "TAPSTER_PROXY_PROTOCOL must be off, v1, v2 or auto, not \"v3\"\n\
         --header-map must be drop, refuse or dangerous, not \"allow\""
    );
}

#[test]
fn a_switch_that_is_on_can_be_switched_off_everywhere() {
    let is_on = |world: &World| world.settings().server_header;
    assert!(is_on(&World::new()));
    assert!(!is_on(&World::new().file("server_header = false")));
    assert!(!is_on(&World::new().variable("TAPSTER_SERVER_HEADER", "false")));
    assert!(!is_on(&World::new().args(&["--no-server-header", "a:b"])));
    let off = World::new().file("server_header = false").variable("TAPSTER_SERVER_HEADER", "0");
    assert!(is_on(&off.args(&["--server-header", "a:b"])));
    let Ok(Invocation::Help(help)) = load(&World::new().args(&["--help"]).sources) else { panic!("no help") };
    let lines: Vec<_> = help.lines().skip_while(|line| !line.contains("--no-server-header")).take(3).collect();
    assert!(lines.concat().contains("--server-header, --no-server-header"), "{lines:?}");
    assert!(lines.concat().contains("[default: true]"), "{lines:?}");
}
