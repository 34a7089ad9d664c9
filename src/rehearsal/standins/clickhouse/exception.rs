//! What a server says where it does not do what it is asked, by the codes of `src/Common/ErrorCodes.cpp`.

/// The code of what befalls a server with its Keeper, which is an exception of a kind of its own.
const KEEPER: u16 = 999;

/// An exception.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Exception {
    /// Its code.
    pub(super) code: u16,
    /// The code's name.
    pub(super) name: &'static str,
    /// Its words.
    pub(super) words: String,
}

impl Exception {
    pub(super) fn new(code: u16, name: &'static str, words: impl Into<String>) -> Self {
        Self { code, name, words: words.into() }
    }

    pub(super) fn login(user: &str) -> Self {
        let why = "Authentication failed: password is incorrect, or there is no user with such name";
        Self::new(516, "AUTHENTICATION_FAILED", format!("{user}: {why}"))
    }

    pub(super) fn no_database(name: &str) -> Self {
        Self::new(81, "UNKNOWN_DATABASE", format!("Database {name} does not exist"))
    }

    pub(super) fn no_table(database: &str, table: &str) -> Self {
        Self::new(60, "UNKNOWN_TABLE", format!("Table {database}.{table} does not exist"))
    }

    pub(super) fn read_only(user: &str) -> Self {
        Self::new(164, "READONLY", format!("{user}: Cannot execute query in readonly mode"))
    }

    pub(super) fn no_grant(user: &str, grant: &str) -> Self {
        let needs = "Not enough privileges. To execute this query, it's necessary to have the grant";
        Self::new(497, "ACCESS_DENIED", format!("{user}: {needs} {grant}"))
    }

    pub(super) fn too_many_queries() -> Self {
        let words = "Too many simultaneous queries. Maximum: 100";
        Self::new(202, "TOO_MANY_SIMULTANEOUS_QUERIES", words)
    }

    pub(super) fn no_memory() -> Self {
        let words = "Memory limit (total) exceeded: would use 1.80 GiB (attempt to allocate chunk of 1048576 bytes), maximum: 1.80 GiB";
        Self::new(241, "MEMORY_LIMIT_EXCEEDED", words)
    }

    pub(super) fn no_space() -> Self {
        Self::new(243, "NOT_ENOUGH_SPACE", "Cannot reserve 1.00 MiB, not enough space")
    }

    /// Something that befell a server with its Keeper.
    pub(super) fn keeper(words: impl Into<String>) -> Self {
        Self::new(KEEPER, "KEEPER_EXCEPTION", words)
    }

    pub(super) fn no_keeper(nodes: &[String]) -> Self {
        let nodes = nodes.join(", ");
        Self::keeper(format!("All connection tries failed while connecting to ZooKeeper. nodes: {nodes}"))
    }

    pub(super) fn table_is_read_only(words: &str) -> Self {
        Self::new(242, "TABLE_IS_READ_ONLY", words)
    }

    pub(super) fn no_macro(name: &str, text: &str) -> Self {
        let words = format!("No macro '{name}' in config while processing substitutions in '{text}'");
        Self::new(139, "NO_ELEMENTS_IN_CONFIG", words)
    }

    pub(super) fn syntax(words: impl Into<String>) -> Self {
        Self::new(62, "SYNTAX_ERROR", words)
    }

    /// The status that it is sent with (`src/Server/HTTP/exceptionCodeToHTTPStatus.cpp`).
    pub(super) const fn status(&self) -> u16 {
        match self.code {
            62 => 400,
            497 | 516 => 403,
            46 | 47 | 50 | 56 | 60 | 73 | 81 | 115 => 404,
            _ => 500,
        }
    }

    /// As it is sent.
    pub(super) fn text(&self, version: &str) -> String {
        let Self { code, name, words } = self;
        let stop = if words.ends_with('.') { "" } else { "." };
        let kind = if *code == KEEPER { "Coordination" } else { "DB" };
        format!("Code: {code}. {kind}::Exception: {words}{stop} ({name}) (version {version} (official build))\n")
    }
}
