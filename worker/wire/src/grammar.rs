//! The character classes of RFC 9110 section 5.6 and RFC 3986, as tables and branch-free loops.
//!
//! Called by everything in this crate that reads or writes protocol text; knows no protocol itself.

/// RFC 9110 section 5.6.2: the characters of tokens, so of methods, field names and chunk extensions.
static TOKEN: [bool; 256] = alphanumeric_and(b"!#$%&'*+-.^_`|~");

/// RFC 3986 section 3.2.2: `reg-name` without percent-encoding, that is *unreserved* and *sub-delims*.
static REG_NAME: [bool; 256] = alphanumeric_and(b"-._~!$&'()*+,;=");

const fn alphanumeric_and(others: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut at = 0;
    while at < others.len() {
        table[others[at] as usize] = true;
        at += 1;
    }
    table
}

#[inline]
pub(crate) fn is_token_byte(byte: u8) -> bool {
    TOKEN[byte as usize]
}

#[inline]
pub(crate) fn is_reg_name_byte(byte: u8) -> bool {
    REG_NAME[byte as usize]
}

/// A non-empty token.
#[inline]
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is_token_byte(byte))
}

/// Not allowed in a field value (RFC 9110 section 5.5): controls other than tab. Bytes above 0x7f are `obs-text`.
#[inline]
pub(crate) fn is_control(byte: u8) -> bool {
    (byte < 0x20) & (byte != b'\t') | (byte == 0x7f)
}

/// Written without an early exit, so that it becomes vector code.
#[inline]
pub(crate) fn has_control(bytes: &[u8]) -> bool {
    bytes.iter().fold(false, |found, &byte| found | is_control(byte))
}

/// RFC 9112 section 3.2 and RFC 3986 section 2: a target is printable ASCII, and a fragment is not part of it. Assumes
/// that controls and spaces are excluded already, as the tokenizer does. No early exit, as above.
#[inline]
pub(crate) fn has_foreign_target_byte(target: &[u8]) -> bool {
    target.iter().fold(false, |found, &byte| found | !is_target_byte(byte))
}

#[inline]
pub(crate) fn is_target_byte(byte: u8) -> bool {
    (byte > b' ') & (byte < 0x7f) & (byte != b'#')
}

/// `OWS` (RFC 9110 section 5.6.3).
#[inline]
pub(crate) fn is_space(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// Without the whitespace around it.
pub(crate) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes
        && is_space(*first)
    {
        bytes = rest;
    }
    while let [rest @ .., last] = bytes
        && is_space(*last)
    {
        bytes = rest;
    }
    bytes
}

/// RFC 9110 section 8.6: `1*DIGIT`, and nothing around it; `None` also where it overflows.
pub(crate) fn decimal(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() {
        return None;
    }
    bytes.iter().try_fold(0u64, |number, &byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// One hexadecimal digit's value.
#[inline]
pub(crate) fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}
