//! What it refuses, in its words (Neo4j 5.26, "Neo4j Status Codes").

/// An error: its code, its words over HTTP and, where they differ, over Bolt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Error {
    pub(super) code: &'static str,
    pub(super) words: String,
    pub(super) over_bolt: Option<&'static str>,
    /// The status that it has over HTTP; most are told with 200.
    pub(super) status: u16,
}

impl Error {
    fn new(status: u16, code: &'static str, words: impl Into<String>) -> Self {
        Self { code, words: words.into(), over_bolt: None, status }
    }

    pub(super) fn nobody() -> Self {
        Self::new(401, "Neo.ClientError.Security.Unauthorized", "No authentication header supplied.")
    }

    pub(super) fn unauthorized() -> Self {
        let over_bolt = Some("The client is unauthorized due to authentication failure.");
        let error = Self::new(401, "Neo.ClientError.Security.Unauthorized", "Invalid credential.");
        Self { over_bolt, ..error }
    }

    pub(super) fn locked() -> Self {
        let words = "Too many failed authentication requests. Please wait 5 seconds and try again.";
        let over_bolt = Some("The client has provided incorrect authentication details too many times in a row.");
        Self { over_bolt, ..Self::new(429, "Neo.ClientError.Security.AuthenticationRateLimit", words) }
    }

    pub(super) fn expired(database: &str) -> Self {
        let words = format!(
            "ACCESS on database '{database}' is not allowed.\n\nThe credentials you provided were valid, but must be changed \
             before you can use this instance."
        );
        Self::new(200, "Neo.ClientError.Security.CredentialsExpired", words)
    }

    pub(super) fn forbidden() -> Self {
        Self::new(200, "Neo.ClientError.Security.Forbidden", "Delete node operation is not allowed for user 'app'.")
    }

    pub(super) fn no_database(name: &str) -> Self {
        let words = format!("The database requested does not exists. Requested database name: '{name}'.");
        Self::new(404, "Neo.ClientError.Database.DatabaseNotFound", words)
    }

    pub(super) fn unavailable(name: &str) -> Self {
        let words = format!("Requested database is not available. Requested database name: '{name}'.");
        let over_bolt = Some(
            "The database is not currently available to serve your request, refer to the database logs for more details. \
             Retrying your request at a later time may succeed.",
        );
        Self { over_bolt, ..Self::new(404, "Neo.TransientError.General.DatabaseUnavailable", words) }
    }

    pub(super) fn read_only() -> Self {
        let words = "No write operations are allowed on this database. The database is in read-only mode on this Neo4j \
                     instance.";
        Self::new(200, "Neo.ClientError.General.WriteOnReadOnlyAccessDatabase", words)
    }

    pub(super) fn access_mode(database: &str) -> Self {
        let words = format!("Writing in read access mode not allowed. Attempted write to {database}");
        Self::new(200, "Neo.ClientError.Statement.AccessMode", words)
    }

    pub(super) fn syntax(word: &str) -> Self {
        Self::new(200, "Neo.ClientError.Statement.SyntaxError", format!("Invalid input '{word}'"))
    }

    pub(super) fn missing(parameter: &str) -> Self {
        Self::new(200, "Neo.ClientError.Statement.ParameterMissing", format!("Expected parameter(s): {parameter}"))
    }

    pub(super) fn invalid(status: u16, words: impl Into<String>) -> Self {
        Self::new(status, "Neo.ClientError.Request.Invalid", words)
    }

    /// Its words over Bolt.
    pub(super) fn bolt_words(&self, database: &str) -> String {
        match (self.code, self.over_bolt) {
            ("Neo.ClientError.Database.DatabaseNotFound", _) => format!("Graph not found: {database}"),
            (_, Some(words)) => words.to_owned(),
            (_, None) => self.words.clone(),
        }
    }
}
