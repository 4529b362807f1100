//! Version 1: a line.

use super::*;

#[test]
fn lines_give_the_addresses() {
    accepted(b"PROXY TCP4 192.0.2.1 198.51.100.2 4660 443\r\n", "TCP4", INET);
    accepted(
        b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
        "TCP4",
        Some(("255.255.255.255:65535", "255.255.255.255:65535")),
    );
    accepted(b"PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", "TCP4", Some(("0.0.0.0:0", "0.0.0.0:0")));
    accepted(b"PROXY TCP6 2001:DB8::1 ::1 1 2\r\n", "TCP6", Some(("[2001:db8::1]:1", "[::1]:2")));
    accepted(b"PROXY TCP6 ::ffff:192.0.2.1 :: 1 2\r\n", "TCP6", Some(("[::ffff:192.0.2.1]:1", "[::]:2")));
    let longest = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    let socket = format!("[{longest}]:65535");
    accepted(
        format!("PROXY TCP6 {longest} {longest} 65535 65535\r\n").as_bytes(),
        "TCP6",
        Some((socket.as_str(), socket.as_str())),
    );
}

#[test]
fn unknown_lines_leave_the_connections_addresses() {
    accepted(b"PROXY UNKNOWN\r\n", "UNKNOWN", None);
    accepted(b"PROXY UNKNOWN \r\n", "UNKNOWN", None);
    accepted(b"PROXY UNKNOWN 192.0.2.1 x \0\xff  \r\n", "UNKNOWN", None);
    let longest = format!("PROXY UNKNOWN {}\r\n", "x".repeat(107 - 16));
    assert_eq!(longest.len(), 107);
    accepted(longest.as_bytes(), "UNKNOWN", None);
}

#[test]
fn malformed_lines_are_refused() {
    for line in [
        "PROXYX",
        "PROXY\r\n",
        "PROXY \r\n",
        "PROXY  TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
        "PROXY\tTCP4 1.2.3.4 5.6.7.8 1 2\r\n",
        "PROXY tcp4 1.2.3.4 5.6.7.8 1 2\r\n",
        "PROXY TCP5 1.2.3.4 5.6.7.8 1 2\r\n",
        "PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n",
        "PROXY TCP4\r\n",
        "PROXY TCP4 \r\n",
        "PROXY TCP4 1.2.3.4\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 \r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n",
        "PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n",
        "PROXY TCP4 1.2.3.4  5.6.7.8 1 2\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1  2\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 00\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 -1 2\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 65536\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 99999999999999999999\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 x 2\r\n",
        "PROXY TCP4 1.2.3.04 5.6.7.8 1 2\r\n",
        "PROXY TCP4 1.2.3.256 5.6.7.8 1 2\r\n",
        "PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n",
        "PROXY TCP4 0x1.2.3.4 5.6.7.8 1 2\r\n",
        "PROXY TCP4 ::1 ::2 1 2\r\n",
        "PROXY TCP4 1.2.3.4 ::2 1 2\r\n",
        "PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n",
        "PROXY TCP6 ::1 5.6.7.8 1 2\r\n",
        "PROXY TCP6 [::1] [::2] 1 2\r\n",
        "PROXY TCP6 ::1%1 ::2 1 2\r\n",
        "PROXY TCP6 ::00001 ::2 1 2\r\n",
        "PROXY TCP6 ::1:: ::2 1 2\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\rGET",
        "PROXY TCP4 1.2.3.4\n5.6.7.8 1 2\r\n",
        "PROXY UNKNOWN\n",
        "PROXY UNKNOWN\rX",
        "PROXY UNKNOWN a\nb\r\n",
        "PROXY UNKNOWN a\rb\r\n",
        "PROXY UNKNOWNX\r\n",
        "PROXY UNKNOWX",
    ] {
        refused(line.as_bytes(), ProxyMode::V1, Reason::ProxyMalformed);
        refused(line.as_bytes(), ProxyMode::Auto, Reason::ProxyMalformed);
    }
    refused(b"PROXY TCP4 1.2.3.4 5.6.7.8 1 \xff\r\n", ProxyMode::V1, Reason::ProxyMalformed);
}

#[test]
fn a_line_has_at_most_107_bytes() {
    let line = |bytes: usize| format!("PROXY UNKNOWN {}", "x".repeat(bytes - 14)).into_bytes();
    assert_eq!(verdict(&line(106), ProxyMode::V1), Ok(Progress::NeedMore));
    refused(&line(107), ProxyMode::V1, Reason::ProxyMalformed);
    refused(&[&line(106)[..], b"\r"].concat(), ProxyMode::V1, Reason::ProxyMalformed);
    refused(&[&line(106)[..], b"\r\n"].concat(), ProxyMode::V1, Reason::ProxyMalformed);
    assert_eq!(verdict(&[&line(105)[..], b"\r"].concat(), ProxyMode::V1), Ok(Progress::NeedMore));
    assert!(matches!(verdict(&[&line(105)[..], b"\r\n"].concat(), ProxyMode::V1), Ok(Progress::Ready(_))));
}
