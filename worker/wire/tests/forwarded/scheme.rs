//! The scheme headers, and X-Forwarded-Proto.

use super::*;

#[test]
fn scheme_headers_say_https_by_their_exact_value() {
    let trust = trusted(NONE, proxies());
    for (name, value, expected) in [
        ("X-Forwarded-Proto", "https", HTTPS),
        ("x-forwarded-proto", "https", HTTPS),
        ("X-Forwarded-Proto", "HTTPS", HTTP),
        ("X-Forwarded-Proto", "http", HTTP),
        ("X-Forwarded-Proto", "https, https", HTTP),
        ("X-Forwarded-Proto", "", HTTP),
        ("X-Forwarded-Proto", "any", HTTP),
        ("X-Forwarded-Protocol", "ssl", HTTPS),
        ("X-Forwarded-Protocol", "https", HTTP),
        ("X-FORWARDED-SSL", "on", HTTPS),
        ("X-FORWARDED-SSL", "On", HTTP),
    ] {
        says(&trust, &[(name, value)], scheme(expected));
    }
    says(&trust, &[("X-Forwarded-Proto", "https"), ("X-Forwarded-Ssl", "on")], scheme(HTTPS));
    says(&trust, &[("X-Forwarded-Proto", "a"), ("X-Forwarded-Proto", "b")], scheme(HTTP));
    let long = Trust::new(vec![("Y".repeat(70), "1".to_owned())], NONE, proxies());
    says(&long, &[("y".repeat(70).as_str(), "1"), ("y".repeat(71).as_str(), "0")], scheme(HTTPS));
}

#[test]
fn scheme_headers_that_disagree_are_refused() {
    let trust = trusted(NONE, proxies());
    for lines in [
        [("X-Forwarded-Proto", "https"), ("X-Forwarded-Ssl", "off")],
        [("X-Forwarded-Ssl", "off"), ("X-Forwarded-Proto", "https")],
        [("X-Forwarded-Proto", "https"), ("X-Forwarded-Proto", "http")],
    ] {
        refuses(&trust, &lines, Reason::SchemeContradiction);
    }
}

#[test]
fn a_trusted_x_forwarded_proto_is_a_list_of_schemes_whose_last_counts() {
    let trust = trusted(TrustedHeaders { x_forwarded_proto: true, ..NONE }, proxies());
    for (value, expected) in [
        ("https", HTTPS),
        ("HTTPS", HTTPS),
        ("wss", HTTPS),
        ("http", HTTP),
        ("Ws", HTTP),
        ("http, https", HTTPS),
        ("garbage ,\t http", HTTP),
        (",https", HTTPS),
    ] {
        says(&trust, &[("X-Forwarded-Proto", value)], scheme(expected));
    }
    for value in ["", "https,", "https, ", "httpss", "on", "ftp", "https;", "\"https\""] {
        refuses(&trust, &[("X-Forwarded-Proto", value)], Reason::ForwardedMalformed);
    }
    let repeated = [("X-Forwarded-Proto", "http"), ("A", "b"), ("x-forwarded-proto", "https")];
    says(&trust, &repeated, scheme(HTTPS));
    // Its own reading replaces that as a scheme header, but other scheme headers still have a say.
    says(&trust, &[("X-Forwarded-Proto", "HTTPS"), ("X-Forwarded-Ssl", "on")], scheme(HTTPS));
    for lines in [
        [("X-Forwarded-Proto", "http"), ("X-Forwarded-Ssl", "on")],
        [("X-Forwarded-Protocol", "no"), ("X-Forwarded-Proto", "https")],
    ] {
        refuses(&trust, &lines, Reason::SchemeContradiction);
    }
}
