//! When a CronJob is due: five fields, or a word for them.

use jiff::civil::DateTime;

/// The times of a CronJob: for each of the five fields, the values that fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Schedule {
    fields: [Vec<i8>; 5],
    /// Whether the day of the month, and the day of the week, are `*`: then the other one decides alone.
    any_day: (bool, bool),
}

/// The bounds of the fields: minute, hour, day, month, day of the week.
const BOUNDS: [(i8, i8); 5] = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 6)];

impl Schedule {
    /// Reads a schedule; `None` where it is not one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = match text.trim() {
            "@hourly" => "0 * * * *",
            "@daily" | "@midnight" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            "@yearly" | "@annually" => "0 0 1 1 *",
            other => other,
        };
        let words: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = words[..] else { return None };
        let mut fields: [Vec<i8>; 5] = Default::default();
        for (index, word) in [minute, hour, day, month, weekday].into_iter().enumerate() {
            fields[index] = field(word, index)?;
        }
        Some(Self { fields, any_day: (day.starts_with(['*', '?']), weekday.starts_with(['*', '?'])) })
    }

    /// Whether a minute is one of its times.
    pub(super) fn meets(&self, time: DateTime) -> bool {
        let [minutes, hours, days, months, weekdays] = &self.fields;
        let by_day = days.contains(&time.day());
        let by_weekday = weekdays.contains(&time.weekday().to_sunday_zero_offset());
        let day = match self.any_day {
            (false, false) => by_day || by_weekday,
            (_, _) => by_day && by_weekday,
        };
        minutes.contains(&time.minute()) && hours.contains(&time.hour()) && months.contains(&time.month()) && day
    }
}

/// The values of one field: `*`, `*/5`, `1-5`, `1,2`, `mon`.
fn field(word: &str, index: usize) -> Option<Vec<i8>> {
    let (least, most) = BOUNDS[index];
    let mut values = Vec::new();
    for part in word.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, step.parse::<usize>().ok().filter(|step| *step > 0)?),
            None => (part, 1),
        };
        let (from, to) = match range.split_once('-') {
            Some((from, to)) => (value(from, index)?, value(to, index)?),
            None if matches!(range, "*" | "?") => (least, most),
            None if part.contains('/') => (value(range, index)?, most),
            None => (value(range, index)?, value(range, index)?),
        };
        // Sunday is 0 and 7.
        let top = if index == 4 { 7 } else { most };
        if from < least || to > top || from > to {
            return None;
        }
        values.extend((from..=to).step_by(step).map(|one| if index == 4 { one % 7 } else { one }));
    }
    Some(values)
}

/// A number, or the name of a month or of a day.
fn value(text: &str, index: usize) -> Option<i8> {
    const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
    let lower = text.to_ascii_lowercase();
    let names: &[&str] = match index {
        3 => &MONTHS,
        4 => &DAYS,
        _ => &[],
    };
    let offset = usize::from(index == 3);
    let named = names.iter().position(|name| *name == lower).and_then(|at| i8::try_from(at + offset).ok());
    named.or_else(|| text.parse().ok())
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn schedules_are_met_at_their_times() {
        let noon = date(2026, 11, 22).at(12, 30, 0, 0); // A Sunday.
        for text in ["* * * * *", "30 12 * * *", "*/15 * * * *", "30 12 22 11 sun", "30 10-14 * * 0,3", "30 12 1 * 7"] {
            assert!(Schedule::parse(text).unwrap().meets(noon), "{text}");
        }
        for text in ["29 * * * *", "@hourly", "30 12 21 * *", "30 12 * * mon-fri"] {
            assert!(!Schedule::parse(text).unwrap().meets(noon), "{text}");
        }
    }

    #[test]
    fn what_is_no_schedule_is_not_taken_for_one() {
        for text in ["", "* * * *", "60 * * * *", "a * * * *", "*/0 * * * *", "5-1 * * * *"] {
            assert_eq!(Schedule::parse(text), None, "{text}");
        }
    }
}
