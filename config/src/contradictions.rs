//! Settings that are good each for itself and cannot stand together. Pure; called by `layers.rs` once all are read.

use crate::{LogTarget, Settings};

/// A contradiction: the settings that it is between, and of each what it would have to be, as the rest of a sentence.
/// The first that some source gives is the one to complain about.
pub(crate) type Sides = [(&'static str, String); 2];

/// The bytes of a head besides its first line: the two line ends that close it.
const LINE_ENDS: usize = 4;

/// All contradictions in the settings.
pub(crate) fn of(settings: &Settings) -> Vec<Sides> {
    let (line, head) = (settings.limit_request_line, settings.limit_request_head);
    let mut found = Vec::new();
    if head < line + LINE_ENDS {
        found.push([
            (
                "limit_request_head",
                format!(
                    "must be at least {}, {LINE_ENDS} more than `limit_request_line`, not {head}",
                    line + LINE_ENDS
                ),
            ),
            (
                "limit_request_line",
                format!("must be at most {}, {LINE_ENDS} less than `limit_request_head`, not {line}", head - LINE_ENDS),
            ),
        ]);
    }
    let (soft, hard) = (settings.max_memory, settings.max_memory_hard);
    if hard > 0 && hard < soft {
        let text = |bytes: u64| crate::value::size_text(bytes).unwrap_or_else(|| bytes.to_string());
        found.push([
            ("max_memory_hard", format!("must be at least `max_memory`, {}, or 0, not {}", text(soft), text(hard))),
            ("max_memory", format!("must be at most `max_memory_hard`, {}, not {}", text(hard), text(soft))),
        ]);
    }
    if settings.daemon && settings.error_logfile == LogTarget::Stderr {
        found.push([
            (
                "daemon",
                "needs a file in `error_logfile`: in the background there is no standard error stream that anybody reads"
                    .to_owned(),
            ),
            ("error_logfile", "must be a file where `daemon` is set, since nobody reads the standard error stream then".to_owned()),
        ]);
    }
    found
}
