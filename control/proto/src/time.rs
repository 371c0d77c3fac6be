//! The three time columns of a process listing.

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// STIME: `HH:MM` for today, `MonDD` for this year, else the year. Both in seconds since 1970 of the same clock
/// (shifted by the zone's offset where local time is wanted).
pub fn start_time(start: i64, now: i64) -> String {
    let (year, month, day) = civil(start.div_euclid(86_400));
    if start.div_euclid(86_400) == now.div_euclid(86_400) {
        let minutes = start.rem_euclid(86_400) / 60;
        return format!("{:02}:{:02}", minutes / 60, minutes % 60);
    }
    if year == civil(now.div_euclid(86_400)).0 {
        let name = usize::try_from(month - 1).ok().and_then(|index| MONTHS.get(index)).unwrap_or(&"???");
        return format!("{name}{day:02}");
    }
    year.to_string()
}

/// TIME: CPU time as `HH:MM:SS`, with days in front from the first on.
pub fn cpu_time(nanoseconds: u64) -> String {
    let seconds = nanoseconds / 1_000_000_000;
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let clock = format!("{:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60);
    if days == 0 { clock } else { format!("{days}-{clock}") }
}

/// C: CPU time over lifetime in per cent, 99 at most.
pub fn cpu_share(cpu_ns: u64, lifetime_ns: u64) -> u32 {
    if lifetime_ns == 0 {
        return 0;
    }
    let share = u128::from(cpu_ns) * 100 / u128::from(lifetime_ns);
    u32::try_from(share.min(99)).unwrap_or(99)
}

/// (year, month 1–12, day 1–31) of a day counted from 1970-01-01, in the Gregorian calendar.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_times() {
        let now = 1_709_210_096; // 2024-02-29 12:34:56
        assert_eq!(start_time(now - 60, now), "12:33");
        assert_eq!(start_time(now - 86_400, now), "Feb28");
        assert_eq!(start_time(now - 86_400 * 59, now), "Jan01");
        assert_eq!(start_time(now - 86_400 * 60, now), "2023");
        assert_eq!(start_time(0, now), "1970");
    }

    #[test]
    fn cpu_columns() {
        assert_eq!(cpu_time(3_725_900_000_000), "01:02:05");
        assert_eq!(cpu_time(90_061_000_000_000), "1-01:01:01");
        assert_eq!((cpu_share(1, 0), cpu_share(50, 100), cpu_share(300, 100)), (0, 50, 99));
        assert_eq!(cpu_share(u64::MAX, u64::MAX), 99);
    }
}
