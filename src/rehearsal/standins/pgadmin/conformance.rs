//! What is true of a pgAdmin and must be true of its stand-in, as a client sees it.

use crate::rehearsal::standins::conformance::{Connection, Login, http_exchange};

/// A visitor of a pgAdmin, with the cookie and the CSRF token of the session.
#[derive(Clone, Default)]
pub(crate) struct Visitor {
    pub(crate) agent: &'static str,
    pub(crate) cookie: String,
    pub(crate) token: String,
}

/// What a visitor gets: the status, where it leads, and all of it.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) to: String,
    pub(crate) all: String,
}

impl Visitor {
    /// One request; what the answer says of the session is kept.
    pub(crate) async fn ask(&mut self, mut stream: Connection, method: &str, path: &str, form: &str) -> Got {
        let fields = [("User-Agent", self.agent), ("Cookie", &self.cookie), ("X-pgA-CSRFToken", &self.token)];
        let written = fields.iter().filter(|(_, value)| !value.is_empty());
        let fields: String = written.map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: pgadmin\r\nConnection: close\r\nContent-Type: \
             application/x-www-form-urlencoded\r\nContent-Length: {}\r\n{fields}\r\n{form}",
            form.len()
        );
        let all = http_exchange(&mut stream, &request).await;
        let lines = || all.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.split_once(": "));
        let field = |wanted: &str| {
            let mut found = lines().filter(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value);
            found.next().unwrap_or_default().to_owned()
        };
        let cookie = field("Set-Cookie");
        if let Some((cookie, _)) = cookie.split_once(';') {
            cookie.clone_into(&mut self.cookie);
        }
        for before in ["\"csrfToken\": \"", "pgAdmin['csrf_token'] = '"] {
            if let Some((_, rest)) = all.split_once(before) {
                self.token = rest.split(['"', '\'']).next().unwrap_or_default().to_owned();
            }
        }
        let status = all.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Got { status, to: field("Location"), all }
    }

    /// Tries to log in from the login page, and comes back to it where that leads there: what it says then.
    pub(crate) async fn log_in(
        &mut self,
        connect: &impl AsyncFn() -> Connection,
        login: Login<'_>,
    ) -> Result<(), String> {
        let page = self.ask(connect().await, "GET", "/login", "").await;
        assert!(page.status == 200 && page.all.contains("renderSecurityPage('login_user'"), "{}", page.all);
        self.try_with(connect, login, &self.token.clone()).await
    }

    /// The same with another token than the page's.
    pub(crate) async fn try_with(
        &mut self,
        connect: &impl AsyncFn() -> Connection,
        login: Login<'_>,
        token: &str,
    ) -> Result<(), String> {
        let form = format!("csrf_token={token}&email={}&password={}&internal_button=Login", login.user, login.password);
        let got = self.ask(connect().await, "POST", "/authenticate/login", &form).await;
        assert_eq!(got.status, 302, "{}", got.all);
        if got.to == "/browser/" {
            return Ok(());
        }
        assert_eq!(got.to, "/login");
        let page = self.ask(connect().await, "GET", "/login", "").await;
        let (_, messages) = page.all.split_once("\"messages\": ").unwrap_or_default();
        Err(messages.split("});").next().unwrap_or_default().to_owned())
    }
}

/// A pgAdmin 9 lets its user in through its login page alone, and keeps out who is not: each in its own words.
pub(crate) async fn guards_itself(connect: impl AsyncFn() -> Connection, login: Login<'_>) {
    let mut visitor = Visitor { agent: "conformance", ..Visitor::default() };
    let ping = visitor.ask(connect().await, "GET", "/misc/ping", "").await;
    assert!(ping.status == 200 && ping.all.ends_with("\r\n\r\nPING"), "{}", ping.all);
    for (path, to) in [
        ("/", "/login?next=/"),
        ("/browser/", "/login?next=/browser/"),
        ("/browser/js/utils.js", "/login?next=/browser/js/utils.js"),
        ("/authenticate/login", "/login"),
    ] {
        let mut stranger = Visitor::default();
        let got = stranger.ask(connect().await, "GET", path, "").await;
        assert_eq!((got.status, got.to.as_str()), (302, to), "{path}");
    }
    let one = |words: &str| Err(format!("[[\"Warning\", \"{words}\"]]"));
    let stranger = Login { user: "nobody%40example.com", password: "guessed", ..login };
    assert_eq!(visitor.log_in(&connect, stranger).await, one("Incorrect username or password."));
    for user in ["nobody", "nobody%40example.local"] {
        assert_eq!(visitor.log_in(&connect, Login { user, ..stranger }).await, one("Email/Username is not valid"));
    }
    assert_eq!(visitor.try_with(&connect, login, "nonsense").await, one("The CSRF token is invalid."));
    assert_eq!(visitor.try_with(&connect, login, "").await, one("The CSRF token is missing."));
    assert_eq!(Visitor::default().try_with(&connect, login, "nonsense").await, one("The CSRF token is invalid."));

    let wrong = Login { password: "wrong", ..login };
    for left in ["2 more attempts", "1 more attempt"] {
        let said = one(&format!("Incorrect username or password.{left} remaining."));
        assert_eq!(visitor.log_in(&connect, wrong).await, said);
    }
    // The right one takes them back.
    assert_eq!(visitor.log_in(&connect, login).await, Ok(()));
    let inside = visitor.ask(connect().await, "GET", "/browser/js/utils.js", "").await;
    assert!(inside.status == 200 && inside.all.contains("    app_version_int: '9"), "{}", inside.all);
    // Whoever comes in other words than the session began in has lost it.
    let mut thief = Visitor { agent: "another", ..visitor.clone() };
    let got = thief.ask(connect().await, "GET", "/browser/js/utils.js", "").await;
    assert_eq!((got.status, got.to.as_str()), (302, "/browser/"));
}

/// A pgAdmin 9 lists the servers that it was told of for whoever is in, and for nobody after the logout.
pub(crate) async fn lists_servers(connect: impl AsyncFn() -> Connection, login: Login<'_>) {
    let (groups, servers) = ("/browser/server_group/obj/", "/browser/server/obj/1/");
    let mut visitor = Visitor { agent: "conformance", ..Visitor::default() };
    let said = |words: &str| {
        format!(
            "{{\"success\":0,\"errormsg\":\"{words} You need to refresh the page.\",\"info\":\"\",\"result\":null,\"data\":null}}"
        )
    };
    let got = visitor.ask(connect().await, "GET", groups, "").await;
    assert!(got.status == 401 && got.all.ends_with(&said("The CSRF token is missing.")), "{}", got.all);
    let mut early = Visitor { token: "nonsense".to_owned(), ..Visitor::default() };
    let got = early.ask(connect().await, "GET", groups, "").await;
    assert!(got.status == 401 && got.all.ends_with(&said("The CSRF session token is missing.")), "{}", got.all);
    visitor.ask(connect().await, "GET", "/login", "").await;
    let got = visitor.ask(connect().await, "GET", groups, "").await;
    assert_eq!((got.status, got.to), (302, format!("/login?next={groups}")));

    assert_eq!(visitor.log_in(&connect, login).await, Ok(()));
    // Who is in is led away from the login page.
    let again = visitor.clone().ask(connect().await, "GET", "/login", "").await;
    assert_eq!((again.status, again.to.as_str()), (302, "/"), "{}", again.all);
    let got = visitor.ask(connect().await, "GET", groups, "").await;
    assert!(got.all.ends_with("[{\"id\":2,\"name\":\"More\"},{\"id\":1,\"name\":\"Servers\"}]"), "{}", got.all);
    let got = visitor.ask(connect().await, "GET", servers, "").await;
    let one = "[{\"id\":1,\"name\":\"postgres\",\"host\":\"127.0.0.1\",\"port\":5432,\"db\":\"app\",\"username\":\"app\",\"gid\":1,\
               \"group-name\":\"Servers\",\"comment\":null,\"role\":null,\"connected\":false,\"version\":null,\"server_type\":\"pg\",\
               \"db_res\":null}]";
    assert!(got.all.ends_with(one), "{}", got.all);
    let got = visitor.ask(connect().await, "GET", "/browser/server/obj/77/", "").await;
    assert!(got.status == 200 && got.all.trim_end().ends_with("[]"), "{}", got.all);
    let mut forger = Visitor { token: "nonsense".to_owned(), ..visitor.clone() };
    let got = forger.ask(connect().await, "GET", groups, "").await;
    assert!(got.status == 401 && got.all.ends_with(&said("The CSRF token is invalid.")), "{}", got.all);
    assert_eq!(visitor.ask(connect().await, "GET", "/nosuch", "").await.status, 404);

    let left = visitor.clone();
    let got = visitor.ask(connect().await, "GET", "/logout", "").await;
    assert_eq!((got.status, got.to.as_str()), (302, "/"));
    for mut session in [visitor, left] {
        let got = session.ask(connect().await, "GET", "/browser/js/utils.js", "").await;
        assert_eq!((got.status, got.to.as_str()), (302, "/login?next=/browser/js/utils.js"));
    }
}

/// A pgAdmin 9 locks the account of whoever has tried three wrong passwords; the right one does not help any more.
pub(crate) async fn locks_accounts(connect: impl AsyncFn() -> Connection, login: Login<'_>) {
    let mut visitor = Visitor { agent: "conformance", ..Visitor::default() };
    for _ in 0..3 {
        let said = visitor.log_in(&connect, Login { password: "wrong", ..login }).await.unwrap_err();
        assert!(said.starts_with("[[\"Warning\", \"Incorrect username or password."), "{said}");
    }
    let locked = "[[\"Warning\", \"Your account is locked. Please contact the Administrator.\"], [\"error\", \"You must sign in to view \
                  this resource.\"]]";
    assert_eq!(visitor.log_in(&connect, login).await, Err(locked.to_owned()));
}
