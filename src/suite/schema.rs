//! JSON Schema (2020-12) of the files, for editors that complete and check while one writes.
//!
//! Never: the judge. What a schema cannot say (references, budgets, files) only [`super::read`] finds.

use serde_json::Value;

use super::document::SuiteDocument;
use super::overlay::EnvironmentDocument;

/// The schema of suite files.
#[must_use]
pub fn suite_schema() -> Value {
    schemars::schema_for!(SuiteDocument).to_value()
}

/// The schema of environment files.
#[must_use]
pub fn environment_schema() -> Value {
    schemars::schema_for!(EnvironmentDocument).to_value()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUITE: &str = include_str!("valid.yaml");
    const ENVIRONMENT: &str = include_str!("valid-environment.yaml");

    /// What an editor would underline.
    fn errors(schema: &Value, text: &str) -> Vec<String> {
        let instance: Value = serde_saphyr::from_str(text).unwrap();
        let validator = jsonschema::validator_for(schema).unwrap();
        validator.iter_errors(&instance).map(|error| error.to_string()).collect()
    }

    #[test]
    fn what_is_valid_passes_its_schema() {
        assert_eq!(errors(&suite_schema(), SUITE), Vec::<String>::new());
        assert_eq!(errors(&environment_schema(), ENVIRONMENT), Vec::<String>::new());
    }

    #[test]
    fn what_a_schema_can_see_is_refused_by_it() {
        for (right, wrong) in [
            ("version: 1\n", ""),
            ("version: 1\n", "version: 2\n"),
            ("title: Redis and", "titel: Redis and"),
            ("suite: data-plane", "suite: Data"),
            ("needs: [nodes, definitions]", "needs: nodes"),
            ("within: 30s", "within: 30"),
            ("within: 30s", "within: soon"),
            ("requirements: [A-10]", "requirements: []"),
            ("        requirements: [A-10]\n", ""),
            ("probe: { dns:", "probe: { dsn:"),
            ("{ name: kubernetes.default }", "{ nmae: kubernetes.default }"),
            ("namespace: data\n    needs", "namespace: [data]\n    needs"),
            ("  redis:\n", "  Redis:\n"),
            ("oci://registry", "registry"),
        ] {
            assert!(SUITE.contains(right), "{right}");
            let text = SUITE.replacen(right, wrong, 1);
            assert!(!errors(&suite_schema(), &text).is_empty(), "{wrong}");
        }
    }

    #[test]
    fn an_environment_that_a_schema_can_see_is_wrong_is_refused_by_it() {
        for (right, wrong) in [
            ("preload: true", "preload: ja"),
            ("budget: 4m", "budget: 4"),
            ("environment: lab", "environment: ''"),
            ("off: no", "of: no"),
        ] {
            assert!(ENVIRONMENT.contains(right), "{right}");
            let text = ENVIRONMENT.replacen(right, wrong, 1);
            assert!(!errors(&environment_schema(), &text).is_empty(), "{wrong}");
        }
    }
}
