//! When something happened, by the server's clock.
//!
//! A client's clock may be wrong by minutes or years. What is right is the distance between two
//! of its readings, so the error is measured when the call arrives (received − sentAt) and added.

use engine::time::{Timestamp, Zone, parse_moment_or_day};
use serde_json::Value as Json;

use crate::http::error::{ApiError, Code};

/// The clock of one call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallClock {
    /// When the server received the call.
    pub(crate) received: Timestamp,
    /// When the client sent it, by the client's clock.
    pub(crate) sent: Option<Timestamp>,
}

impl CallClock {
    /// The moment a client calls `stamp`, never after the receipt. No stamp: the receipt.
    pub(crate) fn correct(self, stamp: Option<Timestamp>) -> Timestamp {
        let Some(stamp) = stamp else { return self.received };
        let skew = self.sent.map_or(0, |sent| self.received.0.saturating_sub(sent.0));
        stamp.plus_ms(skew).min(self.received)
    }
}

/// A time in a body. Absent, `null` and the empty text are no time.
pub(crate) fn read_time(json: Option<&Json>, pointer: &str) -> Result<Option<Timestamp>, ApiError> {
    let text = match json {
        None | Some(Json::Null) => return Ok(None),
        Some(Json::String(text)) if text.trim().is_empty() => return Ok(None),
        Some(Json::String(text)) => text.as_str(),
        Some(Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_)) => "",
    };
    match parse_moment_or_day(text.trim(), &Zone::utc()) {
        Some(at) => Ok(Some(at)),
        None => Err(ApiError::at(
            Code::InvalidTimestamp,
            pointer,
            "a time is written as RFC 3339 with a zone, such as 2026-03-01T12:30:00.000Z",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_clock_is_put_right() {
        // The client's clock is ten minutes slow; the event was two minutes before it was sent.
        let minute = 60_000;
        let clock =
            CallClock { received: Timestamp(100 * minute), sent: Some(Timestamp(90 * minute)) };
        assert_eq!(clock.correct(Some(Timestamp(88 * minute))), Timestamp(98 * minute));
        assert_eq!(clock.correct(Some(Timestamp(95 * minute))), Timestamp(100 * minute));
        assert_eq!(clock.correct(None), Timestamp(100 * minute));
        let unknown = CallClock { sent: None, ..clock };
        assert_eq!(unknown.correct(Some(Timestamp(88 * minute))), Timestamp(88 * minute));
    }

    #[test]
    fn times_are_read_or_refused() {
        assert_eq!(read_time(None, "/timestamp").unwrap(), None);
        assert_eq!(read_time(Some(&Json::from("")), "/timestamp").unwrap(), None);
        let day = read_time(Some(&Json::from("1970-01-02")), "/timestamp").unwrap();
        assert_eq!(day, Some(Timestamp(86_400_000)));
        let error = read_time(Some(&Json::from("yesterday")), "/timestamp").unwrap_err();
        assert_eq!(error.code, Code::InvalidTimestamp);
        assert_eq!(error.problems[0].pointer, "/timestamp");
    }
}
