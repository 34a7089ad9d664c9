//! What differs from run to run, replaced by what it is.

use regex::Regex;

/// Replaces what differs from run to run.
pub(crate) struct Words {
    rules: Vec<(Regex, &'static str)>,
}

impl Words {
    /// For a scenario in this namespace.
    pub(crate) fn new(namespace: &str) -> Self {
        let letters = "[bcdfghjklmnpqrstvwxz2456789]";
        let rules = [
            (regex::escape(namespace), "<namespace>"),
            ("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}".to_owned(), "<uid>"),
            (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z".to_owned(), "<time>"),
            (r"\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b".to_owned(), "<ip>"),
            ("\\b(seaworthy-[0-9a-f]{8}|rehearsal)-control-plane".to_owned(), "<node>"),
            (format!("-{letters}{{8,10}}-{letters}{{5}}\\b"), "-<hash>-<id>"),
            (format!("-{letters}*[2456789]{letters}*\\b"), "-<id>"),
        ];
        Self { rules: rules.into_iter().map(|(rule, is)| (Regex::new(&rule).unwrap(), is)).collect() }
    }

    /// A line without it.
    pub(crate) fn plain(&self, line: &str) -> String {
        let mut line = line.replace('\n', "\\n");
        for (rule, is) in &self.rules {
            line = rule.replace_all(&line, *is).into_owned();
        }
        line.trim_end().to_owned()
    }
}
