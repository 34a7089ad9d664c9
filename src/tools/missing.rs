//! What a run needs and does not have.

/// One thing that is missing, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// What, and what was found in its place.
    pub what: String,
    /// What to do; an imperative sentence.
    pub remedy: String,
}

impl Missing {
    /// Something missing.
    pub fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: remedy.into() }
    }

    /// The one line above the list: how much is missing, and what first.
    #[must_use]
    pub fn headline(list: &[Self]) -> String {
        match list {
            [] => "nothing is missing".to_owned(),
            [only] => only.what.clone(),
            [first, ..] => format!("{} things are missing, first: {}", list.len(), first.what),
        }
    }

    /// The list, two lines each: what, and the remedy indented under it.
    pub fn lines(list: &[Self]) -> impl Iterator<Item = String> {
        list.iter().flat_map(|one| [format!("missing: {}", one.what), format!("  remedy: {}", one.remedy)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_missing_is_said_at_once_each_with_its_remedy() {
        let list = [Missing::new("no engine", "start docker"), Missing::new("no helm", "install helm")];
        assert_eq!(Missing::headline(&list), "2 things are missing, first: no engine");
        assert_eq!(
            Missing::lines(&list).collect::<Vec<_>>(),
            ["missing: no engine", "  remedy: start docker", "missing: no helm", "  remedy: install helm"]
        );
    }
}
