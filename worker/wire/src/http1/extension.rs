//! Chunk extensions (RFC 9112 section 7.1.1): `*( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )`.
//!
//! Checks the grammar byte by byte, so that a proxy in front can't see a line end where we see none; keeps nothing.
//! Lengths are limited by its caller, `chunked`.

use crate::grammar::{is_control, is_space, is_token_byte};

/// Where in the grammar the last byte was.
#[derive(Clone, Copy, Debug)]
pub(super) enum Extension {
    /// In whitespace that must be followed by a semicolon.
    BeforeSemicolon,
    /// Behind the semicolon, before the name's first byte.
    BeforeName,
    Name,
    /// In whitespace behind the name.
    AfterName,
    /// Behind the equals sign, before the value's first byte.
    BeforeValue,
    Token,
    Quoted,
    /// Behind a backslash in a quoted string.
    Escaped,
    /// Behind the closing quote.
    AfterQuoted,
}

/// Where one byte more leads.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// The byte is part of the extensions.
    Within(Extension),
    /// The byte is the carriage return that ends them.
    LineEnd,
}

impl Extension {
    /// The beginning, at a byte that follows the size; `None` if none can begin so.
    pub(super) fn first(byte: u8) -> Option<Self> {
        match byte {
            b';' => Some(Self::BeforeName),
            _ if is_space(byte) => Some(Self::BeforeSemicolon),
            _ => None,
        }
    }

    /// The next state; `None` if the grammar has none.
    pub(super) fn step(self, byte: u8) -> Option<Step> {
        let next = match (self, byte) {
            (Self::Name | Self::Token | Self::AfterQuoted, b'\r') => return Some(Step::LineEnd),
            (Self::Quoted, b'"') => Self::AfterQuoted,
            (Self::Quoted, b'\\') => Self::Escaped,
            (Self::Quoted | Self::Escaped, _) if !is_control(byte) => Self::Quoted,
            (Self::BeforeName | Self::Name, _) if is_token_byte(byte) => Self::Name,
            (Self::BeforeValue | Self::Token, _) if is_token_byte(byte) => Self::Token,
            (Self::BeforeValue, b'"') => Self::Quoted,
            (Self::Name | Self::AfterName, b'=') => Self::BeforeValue,
            (Self::BeforeSemicolon | Self::Name | Self::AfterName | Self::Token | Self::AfterQuoted, b';') => {
                Self::BeforeName
            }
            (Self::BeforeSemicolon | Self::BeforeName | Self::AfterName | Self::BeforeValue, _) if is_space(byte) => {
                self
            }
            (Self::Name, _) if is_space(byte) => Self::AfterName,
            (Self::Token | Self::AfterQuoted, _) if is_space(byte) => Self::BeforeSemicolon,
            _ => return None,
        };
        Some(Step::Within(next))
    }
}
