//! Wall-clock time as milliseconds since 1970, and as RFC 3339 text in UTC.

/// Days since 1970 of a date (proleptic Gregorian; Howard Hinnant's `days_from_civil`).
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year - era * 400;
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// A time as `2026-11-30T13:36:06.123Z`. `ms`: since 1970, in UTC.
#[must_use]
pub fn rfc3339(ms: i64) -> String {
    let (day, of_day) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute) = (of_day / 3_600_000, of_day / 60_000 % 60);
    let (second, milli) = (of_day / 1_000 % 60, of_day % 1_000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// Milliseconds since 1970 of `2026-11-30`, `2026-11-30T13:36`, `2026-11-30T13:36:06.123Z` (UTC), or of plain milliseconds.
#[must_use]
pub fn parse_instant(text: &str) -> Option<i64> {
    if text.len() > 4 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok();
    }
    let (date, time) = text.split_once(['T', ' ']).unwrap_or((text, ""));
    let mut parts = date.split('-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    if parts.next().is_some()
        || !(1..=9_999).contains(&year)
        || !(1..=12).contains(&month)
        || !(1..=31).contains(&day)
    {
        return None;
    }
    let mut ms = days(year, month, day) * 86_400_000;
    let time = time.trim_end_matches('Z');
    let (clock, fraction) = time.split_once('.').unwrap_or((time, ""));
    for (part, unit) in clock.split(':').zip([3_600_000, 60_000, 1_000]) {
        if !part.is_empty() {
            ms += part.parse::<i64>().ok().filter(|part| (0..60).contains(part))? * unit;
        }
    }
    if !fraction.is_empty() {
        let three: String = fraction.chars().chain("000".chars()).take(3).collect();
        ms += three.parse::<i64>().ok()?;
    }
    Some(ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_and_read() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_796_045_766_123, "2026-11-30T13:36:06.123Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(rfc3339(ms), text);
            assert_eq!(parse_instant(text), Some(ms));
        }
        assert_eq!(parse_instant("2026-11-30"), Some(1_795_996_800_000));
        assert_eq!(parse_instant("2026-11-30T13:36"), Some(1_796_045_760_000));
        assert_eq!(parse_instant("1796045766123"), Some(1_796_045_766_123));
        for bad in ["", "soon", "2026-13-01", "2026-11", "2026-11-30Tnoon"] {
            assert_eq!(parse_instant(bad), None, "{bad}");
        }
    }
}
