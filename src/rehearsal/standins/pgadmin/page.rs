//! Its pages, as far as anybody reads them, and its answers to its own scripts.

use std::io;

use hyper::Response;
use hyper::header::{CONTENT_TYPE, LOCATION};
use serde_json::{Value, json};

use super::super::http::Page;
use super::config::Listed;

/// An answer in the making.
pub(super) type Answer = io::Result<Response<Page>>;

fn sent(status: u16, kind: &str, body: &str) -> Answer {
    let response = Response::builder().status(status).header(CONTENT_TYPE, kind);
    response.body(Page::of(body)).map_err(io::Error::other)
}

/// A page of text.
pub(super) fn html(status: u16, body: &str) -> Answer {
    sent(status, "text/html; charset=utf-8", body)
}

/// An answer to a script.
pub(super) fn to_script(body: &Value) -> Answer {
    sent(200, "application/json", &body.to_string())
}

/// An error, as scripts are told.
pub(super) fn error(status: u16, words: &str) -> Answer {
    let body = json!({ "success": 0, "errormsg": words, "info": "", "result": null, "data": null });
    sent(status, "application/json", &body.to_string())
}

/// What does not come from a page of the session, and why.
pub(super) fn unasked(words: &str) -> Answer {
    error(401, &format!("{words} You need to refresh the page."))
}

/// Another page is to be asked for.
pub(super) fn moved(to: &str) -> Answer {
    let body = format!(
        "<!doctype html>\n<html lang=en>\n<title>Redirecting...</title>\n<h1>Redirecting...</h1>\n<p>You should be \
         redirected automatically to the target URL: <a href=\"{to}\">{to}</a>. If not, click the link.\n"
    );
    let response =
        Response::builder().status(302).header(LOCATION, to).header(CONTENT_TYPE, "text/html; charset=utf-8");
    response.body(Page::of(&body)).map_err(io::Error::other)
}

/// There is no such page.
pub(super) fn missing() -> Answer {
    let words = "The requested URL was not found on the server. If you entered the URL manually please check your spelling and \
                 try again.";
    html(
        404,
        &format!("<!doctype html>\n<html lang=en>\n<title>404 Not Found</title>\n<h1>Not Found</h1>\n<p>{words}</p>\n"),
    )
}

/// The login page, with the messages that wait for whoever comes.
pub(super) fn login(token: Option<&str>, messages: &[(&str, String)]) -> Answer {
    let mut arguments = json!({
        "authSources": ["internal"],
        "forgotPassUrl": "/browser/reset_password",
        "langOptions": [{ "label": "English", "value": "en" }],
        "loginBanner": "",
        "loginUrl": "/authenticate/login",
        "userLanguage": "en",
    });
    if let Some(token) = token {
        arguments["csrfToken"] = token.into();
    }
    let script = format!(
        "window.renderSecurityPage('login_user', {},\n                {});",
        spaced(&arguments),
        spaced(&json!({ "messages": messages }))
    );
    html(200, &document(&script))
}

/// The first page of a session.
pub(super) fn browser(version: u32) -> Answer {
    html(200, &document(&format!("require.config({{ urlArgs: 'ver={version}' }});")))
}

/// What the scripts of a session are told first.
pub(super) fn utils(token: &str, version: u32) -> Answer {
    let script = format!(
        "define('pgadmin.browser.utils',\n  ['sources/pgadmin'], function(pgAdmin) {{\n  let pgBrowser = pgAdmin.Browser = \
         pgAdmin.Browser || {{}};\n\n  pgAdmin['csrf_token_header'] = 'X-pgA-CSRFToken';\n  pgAdmin['csrf_token'] = \
         '{token}';\n  pgAdmin['server_mode'] = 'True';\n\n  Object.assign(pgBrowser, {{\n    app_version_int: \
         '{version}',\n  }});\n  return pgBrowser;\n}});\n"
    );
    sent(200, "application/javascript", &script)
}

/// A server as its group lists it.
pub(super) fn listed(id: usize, group: usize, server: &Listed) -> Value {
    json!({
        "id": id,
        "name": server.name,
        "host": server.host,
        "port": server.port,
        "db": server.database,
        "username": server.user,
        "gid": group,
        "group-name": server.group,
        "comment": null,
        "role": null,
        "connected": false,
        "version": null,
        "server_type": "pg",
        "db_res": null,
    })
}

fn document(script: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n    <meta charset=\"utf-8\">\n    <title>pgAdmin 4</title>\n</head>\n\
         <body>\n<div id=\"root\" style=\"height: 100%\"></div>\n<script type=\"application/javascript\">\n    {script}\n\
         </script>\n</body>\n</html>"
    )
}

/// JSON as Python writes it, with a blank behind each colon and comma.
fn spaced(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(spaced).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| format!("{}: {}", Value::from(name.as_str()), spaced(value));
            format!("{{{}}}", fields.iter().map(field).collect::<Vec<_>>().join(", "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}
