//! Which field names may hold an underscore.
//!
//! To WSGI `X_User` and `X-User` are one name, `HTTP_X_USER`, so that a client could speak in the name of the proxy that
//! sets the other. Called by the parser for each such name; judges nothing else.

use crate::reject::Reason;

/// What becomes of a field whose name holds an underscore: gunicorn's setting `header_map`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HeaderMap {
    /// It is left out, and counted.
    #[default]
    Drop,
    /// It is refused with 400.
    Refuse,
    /// It is taken for the name with hyphens.
    Dangerous,
}

/// What a client may do with underscores.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldNames {
    header_map: HeaderMap,
    exempt: Vec<Box<[u8]>>,
    all_exempt: bool,
}

impl FieldNames {
    /// For clients that nobody vouches for.
    #[must_use]
    pub fn new(header_map: HeaderMap) -> Self {
        Self { header_map, ..Self::default() }
    }

    /// For trusted proxies, which may use these names, compared without regard to case; `*` stands for all.
    #[must_use]
    pub fn with_exempt<'n>(header_map: HeaderMap, names: impl IntoIterator<Item = &'n str>) -> Self {
        let exempt: Vec<Box<[u8]>> = names.into_iter().map(|name| name.as_bytes().into()).collect();
        Self { header_map, all_exempt: exempt.iter().any(|name| **name == *b"*"), exempt }
    }

    /// Whether a field of this name, which holds an underscore, is kept.
    #[cold]
    pub(crate) fn admit(&self, name: &[u8]) -> Result<bool, Reason> {
        if self.all_exempt || self.exempt.iter().any(|exempt| name.eq_ignore_ascii_case(exempt)) {
            return Ok(true);
        }
        match self.header_map {
            HeaderMap::Drop => Ok(false),
            HeaderMap::Refuse => Err(Reason::FieldNameUnderscore),
            HeaderMap::Dangerous => Ok(true),
        }
    }

    /// Whether a `SCRIPT_NAME` field says where the application is mounted: only a proxy's own does.
    #[cold]
    pub(crate) fn trusts_script_name(&self) -> bool {
        self.all_exempt || self.exempt.iter().any(|exempt| exempt.eq_ignore_ascii_case(SCRIPT_NAME))
    }
}

/// The field by which a proxy tells the application's mount point, as gunicorn knows it.
pub(crate) const SCRIPT_NAME: &[u8] = b"script_name";
