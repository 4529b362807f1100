//! The Date field's value: RFC 9110 section 5.6.7.

use tapster_wire::DateCache;

#[test]
fn dates_follow_the_second_they_are_asked_for() {
    let mut dates = DateCache::new();
    for (second, text) in [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (784_111_776, "Sun, 06 Nov 1994 08:49:36 GMT"),
        (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
        (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
        (u64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
    ] {
        assert_eq!(dates.at(second), text.as_bytes(), "for {second}");
    }
}
