//! What is read of pgAdmin's pages: they are made for a browser, and say what they know as arguments of their scripts.

use serde::Deserialize;
use serde_json::{Deserializer, Value};

/// A group of servers.
#[derive(Debug, PartialEq, Deserialize)]
pub(super) struct Group {
    pub(super) id: u64,
    pub(super) name: String,
}

/// A server of a group.
#[derive(Debug, PartialEq, Deserialize)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) host: Option<String>,
}

/// Whether it is the login page (`login_user.html`).
pub(super) fn is_login(page: &str) -> bool {
    page.contains("renderSecurityPage('login_user'")
}

/// The CSRF token of the login page.
pub(super) fn login_token(page: &str) -> Option<&str> {
    between(page, "\"csrfToken\": \"", "\"")
}

/// What the login page tells whoever comes to it; `None` where it is none.
pub(super) fn messages(page: &str) -> Option<Vec<String>> {
    let (_, rest) = page.split_once("\"messages\": ").filter(|_| is_login(page))?;
    // Each with the kind that it is of.
    let messages = Deserializer::from_str(rest).into_iter::<Vec<(String, String)>>().next()?.ok()?;
    Some(messages.into_iter().map(|(_, message)| message).collect())
}

/// The CSRF token within a session.
pub(super) fn inner_token(page: &str) -> Option<&str> {
    between(page, "pgAdmin['csrf_token'] = '", "'")
}

/// The version that a page within a session shows, from a number such as 91800 (`APP_VERSION_INT`).
pub(super) fn version(page: &str) -> Option<String> {
    let number: u32 = between(page, "app_version_int: '", "'")?.parse().ok()?;
    let (release, revision, suffix) = (number / 10_000, number / 100 % 100, number % 100);
    let suffix = if suffix == 0 { String::new() } else { format!(".{suffix}") };
    Some(format!("{release}.{revision}{suffix}"))
}

/// What went wrong, as pgAdmin tells its own scripts.
pub(super) fn error(body: &str) -> Option<String> {
    let told: Value = serde_json::from_str(body).ok()?;
    let words = told["errormsg"].as_str()?.lines().next()?;
    Some(words.to_owned())
}

fn between<'p>(page: &'p str, before: &str, after: &str) -> Option<&'p str> {
    let (_, rest) = page.split_once(before)?;
    let (found, _) = rest.split_once(after)?;
    (!found.is_empty()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGIN: &str = r#"<html>
        window.renderSecurityPage('login_user', {"authSources": ["internal"], "csrfToken": "IjFm.awx.0B-R_5", "userLanguage": "en"},
            {"messages": [["Warning", "Incorrect username or password."], ["error", "You must \u0026 sign in."]]});
        }, function() {"#;

    const UTILS: &str = "
  pgAdmin['csrf_token_header'] = 'X-pgA-CSRFToken';
  pgAdmin['csrf_token'] = 'Ijp.awy.xj_v';
  pgAdmin['server_mode'] = 'True';
    app_version_int: '91800',
    pg_libpq_version: 0,";

    #[test]
    fn what_a_login_page_says_is_read_from_its_script() {
        assert!(is_login(LOGIN) && !is_login(&LOGIN.replace("login_user", "reset_password")));
        assert_eq!(login_token(LOGIN), Some("IjFm.awx.0B-R_5"));
        assert_eq!(login_token(&LOGIN.replace("IjFm.awx.0B-R_5", "")), None);
        assert_eq!(messages(LOGIN).unwrap(), ["Incorrect username or password.", "You must & sign in."]);
        let quiet = "renderSecurityPage('login_user', {}, {\"messages\": []});";
        assert_eq!(messages(quiet), Some(Vec::new()));
        for other in ["", "{\"messages\": [[\"error\", \"x\"]]}", "renderSecurityPage('login_user', {\"messages\": x"] {
            assert_eq!(messages(other), None, "{other}");
        }
    }

    #[test]
    fn what_a_page_of_a_session_says_is_read_from_its_script() {
        assert_eq!(inner_token(UTILS), Some("Ijp.awy.xj_v"));
        assert_eq!(version(UTILS).as_deref(), Some("9.18"));
        for (number, said) in [("40300", Some("4.3")), ("100205", Some("10.2.5")), ("", None), ("x", None)] {
            assert_eq!(version(&UTILS.replace("91800", number)).as_deref(), said, "{number}");
        }
    }

    #[test]
    fn an_error_is_its_first_line() {
        let told =
            r#"{"success":0,"errormsg":"(sqlite3.OperationalError) no such table: user\n[SQL: SELECT 1]","data":null}"#;
        assert_eq!(error(told).as_deref(), Some("(sqlite3.OperationalError) no such table: user"));
        for other in ["", "[]", "{}", r#"{"errormsg":""}"#] {
            assert_eq!(error(other), None, "{other}");
        }
    }
}
