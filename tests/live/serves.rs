//! Which requirements are shown by a trial of the program as a whole, and not by a check of a shipped suite.
//!
//! The ids are those of the platforms that are to be proven. `tests/suites.rs` holds that none is left over.

/// A trial of the live slice, or a test of the command line, with what it shows.
pub(crate) const SERVES: &[(&str, &[&str])] = &[
    // One command, in order, within the deploy budget, with JUnit; from charts and images that are already here.
    ("main_job_is_green_and_leaves_reports_and_no_cluster", &["F-1", "F-4", "F-7", "A-m4", "A-m6", "A-m7"]),
    ("a_layer_is_selected_by_its_labels_and_replayed_alone", &["A-m3", "A-m10"]),
    ("an_environment_lays_its_values_over_and_says_why_it_leaves_out", &["A-m4", "A-m5"]),
    ("installing_twice_changes_nothing_and_says_so", &["C-5", "D-6"]),
    ("without_an_engine_everything_that_is_missing_is_said_at_once", &["D-1"]),
    ("what_an_environment_requires_is_missed_together_with_the_tools", &["D-1"]),
    ("what_is_logged_has_levels", &["D-2"]),
];

/// The requirements that a trial shows, as they stand beside its name; empty where it shows none by id.
#[allow(dead_code, reason = "the test of the suites reads the table alone")]
pub(crate) fn kind(trial: &str) -> String {
    SERVES.iter().find(|(name, _)| *name == trial).map_or(String::new(), |(_, ids)| ids.join(" "))
}
