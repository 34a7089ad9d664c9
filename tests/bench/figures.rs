//! Figures as a table, and the goal beside them.

/// Prints the least, the median and the largest of each row.
pub(crate) fn table(title: &str, rows: &[(&str, &[f64])]) {
    println!("\n{title:<56} {:>9} {:>9} {:>9} {:>4}", "min", "median", "max", "n");
    for (name, figures) in rows {
        let mut sorted = figures.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (least, most) = (sorted.first().unwrap_or(&f64::NAN), sorted.last().unwrap_or(&f64::NAN));
        println!("  {name:<54} {least:>9.1} {:>9.1} {most:>9.1} {:>4}", median(figures), sorted.len());
    }
}

/// Prints whether a promise is kept.
pub(crate) fn goal(promise: &str, kept: bool, figure: &str) {
    println!("  {} {promise}: {figure}", if kept { "KEPT  " } else { "BROKEN" });
}

/// The upper one of the two in the middle where there are two.
pub(crate) fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The largest.
pub(crate) fn largest(figures: &[f64]) -> f64 {
    figures.iter().copied().fold(f64::NAN, f64::max)
}
