//! Where the client went, as proxies write it: host, port and prefix.
//!
//! Each function checks one value, and changes nothing in it but its end. Called by the rest of [`forwarded`](super).

use std::borrow::Cow;

use crate::grammar::{decimal, is_reg_name_byte};
use crate::target::{decode_path, is_host};

/// RFC 9110 section 7.2, as for Host; but an empty one says nothing, and a proxy that knows none sends none.
pub(super) fn host(text: &[u8]) -> Option<&[u8]> {
    (!text.is_empty() && is_host(text)).then_some(text)
}

pub(super) fn port(text: &[u8]) -> Option<u16> {
    decimal(text).and_then(|number| u16::try_from(number).ok()).filter(|&number| number != 0)
}

/// A path as in RFC 3986 section 3.3 that stays where it is when it stands in a link: "//" at its beginning would name
/// another host there, and ".." another application. Both are looked for in what the application will see, decoded. There
/// a control character, tabs too, or a backslash is refused: browsers leave out the one, and read the other as a slash.
pub(super) fn prefix(text: &[u8]) -> Option<&[u8]> {
    if !text.starts_with(b"/")
        || !text.iter().all(|&byte| is_reg_name_byte(byte) || matches!(byte, b'/' | b':' | b'@' | b'%'))
    {
        return None;
    }
    let escapes = text.iter().filter(|&&byte| byte == b'%').count();
    let mut decoded = Cow::Borrowed(text);
    if escapes > 0 {
        decoded = Cow::Owned(Vec::new());
        decode_path(text, decoded.to_mut());
    }
    // Each whole escape is two bytes shorter when it is decoded.
    let stays = text.len() - decoded.len() == 2 * escapes
        && !decoded.iter().any(|&byte| byte.is_ascii_control() || byte == b'\\')
        && !decoded.starts_with(b"//")
        && !decoded.split(|&byte| byte == b'/').any(|segment| segment == b"..");
    let end = text.iter().rposition(|&byte| byte != b'/').map_or(0, |last| last + 1);
    stays.then(|| &text[..end])
}
