//! Whole looks at a pgAdmin on loopback that does as it is told.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{LEAVE, STAY};
use crate::checks::{Outlook, Verdict};
use crate::probes::stand::{Heard, Stand, actual, closed_port, look, serve, stands_when_dropped, why};

const PASSWORD: &str = "hunter22 & more";
const COOKIE: &str = "5e55-10n!s1gn/ed=";
const TOKENS: [&str; 2] = ["t0ken.of.login", "t0ken.of.session"];

/// What a misbehaving server does instead of what it should.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    OneAnswer,
    AbsoluteAddresses,
    NoPing,
    SingleSignOn,
    NoLoginPage,
    NoToken,
    Refuses(&'static str),
    RefusesOnTheSpot,
    RefusesWithoutAWord,
    LetsAnybodyIn,
    Breaks,
    EchoesTheSession,
    LeadsElsewhere(&'static str),
    NoVersion,
    ListsNonsense,
    KeepsSession,
    NoLogout,
    Slow,
    HangsAtLogin,
    HangsInside,
    Hangs,
}

const WRONG: &str = "Incorrect username or password.2 more attempts remaining.";

/// A request: its first line and its header fields, then its body.
async fn request(stream: &mut TcpStream) -> std::io::Result<(String, String)> {
    let mut all = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&all).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return Ok((head.to_owned(), body.to_owned()));
            }
        }
        if stream.read_buf(&mut all).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}

fn sent(status: u16, fields: &str, body: &str) -> String {
    format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n{fields}\r\n{body}", body.len())
}

fn moved(to: &str) -> String {
    sent(302, &format!("Location: {to}\r\n"), "")
}

fn error(words: &str) -> String {
    sent(500, "Content-Type: application/json\r\n", &format!("{{\"success\":0,\"errormsg\":\"{words}\"}}"))
}

fn login_page(messages: &str) -> String {
    let token = format!("{{\"csrfToken\": \"{}\"}}", TOKENS[0]);
    let page = format!(
        "\n\n<html>\nwindow.renderSecurityPage('login_user', {token},\n  {{\"messages\": [{messages}]}});</html>"
    );
    sent(200, &format!("Set-Cookie: pga4_session={COOKIE}; HttpOnly; Path=/\r\nSet-Cookie: lang=en\r\n"), &page)
}

fn inside(fault: Fault, is_out: bool) -> String {
    if let Fault::LeadsElsewhere(to) = fault {
        return moved(to);
    }
    if is_out && fault != Fault::KeepsSession {
        return moved("/login?next=/browser/js/utils.js");
    }
    let page = format!("pgAdmin['csrf_token'] = '{}';\n  app_version_int: '91800',\n", TOKENS[1]);
    sent(200, "", if fault == Fault::NoVersion { "define('pgadmin')" } else { &page })
}

/// What it answers, after what it has heard so far.
fn answer(fault: Fault, head: &str, body: &str, heard: &Heard) -> String {
    let mut words = head.split(' ');
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    let all = heard.all();
    let asked = |line: &str| all.iter().filter(|said| said.starts_with(line)).count();
    match (method, path, fault) {
        (_, "/misc/ping", Fault::NoPing) => sent(200, "", "<html>It works!</html>\nmore"),
        (_, "/misc/ping", _) => sent(200, "Set-Cookie: pga4_session=first; Path=/\r\n", "PING"),
        ("GET", "/login", Fault::SingleSignOn) => moved("https://sso.example.com/realms/x?state=5tate-of-somebody"),
        ("GET", "/login", Fault::NoLoginPage) => error("unable to open database file\\nmore"),
        ("GET", "/login", Fault::NoToken) => sent(200, "", "renderSecurityPage('login_user', {}, {\"messages\": []});"),
        ("GET", "/login", Fault::Refuses(words)) if asked("POST") > 0 => {
            login_page(&format!("[\"Warning\", \"{words}\"]"))
        }
        ("GET", "/login", _) => login_page(""),
        ("POST", _, Fault::RefusesOnTheSpot) => login_page(&format!("[\"error\", \"{WRONG}\"]")),
        ("POST", _, Fault::Refuses(_) | Fault::RefusesWithoutAWord) => moved("/login"),
        ("POST", _, Fault::Breaks) => error("(sqlite3.OperationalError) no such table: user\\n[SQL: SELECT 1]"),
        ("POST", _, Fault::EchoesTheSession) => sent(400, "", &format!("no {COOKIE} with {}", TOKENS[0])),
        ("POST", _, Fault::AbsoluteAddresses) => moved("http://pgadmin:80/browser/"),
        ("POST", _, Fault::LetsAnybodyIn | Fault::LeadsElsewhere(_)) => moved("/browser/"),
        ("POST", ..) if body.contains("password=hunter22+%26+more&") => moved("/browser/"),
        ("POST", ..) => moved("/login"),
        (_, "/browser/js/utils.js", _) => inside(fault, asked("GET /logout") > 0),
        (_, "/logout", Fault::NoLogout) => error("attempt to write a readonly database"),
        (_, "/logout", _) => moved("/"),
        (_, "/browser/server_group/obj/", Fault::ListsNonsense) => sent(200, "", "{\"id\": 1}"),
        (_, "/browser/server_group/obj/", _) => {
            sent(200, "", "[{\"id\":7,\"name\":\"More\"},{\"id\":1,\"name\":\"Servers\"}]")
        }
        (_, "/browser/server/obj/7/", _) => sent(200, "", "[{\"id\":3,\"name\":\"by-service\",\"host\":null}]"),
        (_, "/browser/server/obj/1/", _) => {
            sent(200, "", "[{\"id\":1,\"name\":\"orders\",\"host\":\"orders-rw\",\"port\":5432}]")
        }
        _ => sent(404, "", "<html>not here</html>"),
    }
}

async fn talk(mut stream: TcpStream, fault: Fault, heard: Heard) -> std::io::Result<()> {
    loop {
        let (head, body) = request(&mut stream).await?;
        let reply = answer(fault, &head, &body, &heard);
        heard.note(format!("{head}\r\n\r\n{body}"));
        let is_stuck = fault == Fault::Hangs
            || (fault == Fault::HangsAtLogin && head.starts_with("POST"))
            || (fault == Fault::HangsInside && head.starts_with("GET /browser/server_group"));
        if is_stuck {
            std::future::pending::<()>().await;
        }
        if fault == Fault::Slow {
            tokio::time::sleep(Duration::from_millis(700)).await;
        }
        if fault == Fault::OneAnswer {
            return stream.write_all(reply.replacen("\r\n", "\r\nConnection: close\r\n", 1).as_bytes()).await;
        }
        stream.write_all(reply.as_bytes()).await?;
    }
}

async fn server(fault: Fault, heard: Heard) -> u16 {
    serve(move |stream| talk(stream, fault, heard.clone())).await
}

fn check(port: u16, more: &str) -> String {
    format!("pgadmin: {{at: 'host/127.0.0.1:{port}', email: me@example.com, password: {{value: {PASSWORD}}}, {more}}}")
}

fn stranger(port: u16) -> String {
    format!("pgadmin: {{at: 'host/127.0.0.1:{port}', expect: denied}}")
}

const ORDERS: &str = "version: ^9, servers: [{name: orders, group: Servers, host: orders-rw}, {name: by-service}]";

/// The first lines of the requests that a server has heard.
fn requests(heard: &Heard) -> Vec<String> {
    let line = |said: &String| said.split(" HTTP/1.1").next().unwrap_or_default().to_owned();
    heard.all().iter().map(line).collect()
}

const SESSION: [&str; 9] = [
    "GET /misc/ping",
    "GET /login",
    "POST /authenticate/login",
    "GET /browser/js/utils.js",
    "GET /browser/server_group/obj/",
    "GET /browser/server/obj/7/",
    "GET /browser/server/obj/1/",
    "GET /logout",
    "GET /browser/js/utils.js",
];

#[tokio::test]
async fn a_good_server_holds_and_is_logged_out_of() {
    for fault in [Fault::None, Fault::OneAnswer, Fault::AbsoluteAddresses] {
        let heard = Heard::default();
        let port = server(fault, heard.clone()).await;
        let verdict = look(&check(port, ORDERS)).await;
        let said = format!(
            "pgadmin host/127.0.0.1:{port} let in me@example.com, is version 9.18, and lists orders, by-service"
        );
        assert_eq!(verdict, Verdict::held(said), "{fault:?}");
        assert_eq!(requests(&heard), SESSION, "{fault:?}");
    }
    let heard = Heard::default();
    look(&check(server(Fault::None, heard.clone()).await, "")).await;
    let lists = |line: &&&str| line.contains("/browser/server");
    let without: Vec<&str> = SESSION.iter().filter(|line| !lists(line)).copied().collect();
    assert_eq!(requests(&heard), without, "servers that are not claimed are not asked for");
}

#[tokio::test]
async fn a_session_is_kept_by_its_cookies_and_the_token_of_its_last_page() {
    let heard = Heard::default();
    let port = server(Fault::None, heard.clone()).await;
    look(&check(port, ORDERS)).await;
    let all = heard.all();
    let login = &all[2];
    let form =
        format!("csrf_token={}&email=me%40example.com&password=hunter22+%26+more&internal_button=Login", TOKENS[0]);
    assert!(login.ends_with(&form), "{login}");
    assert!(login.contains("content-type: application/x-www-form-urlencoded\r\n"), "{login}");
    for said in &all[2..] {
        assert!(said.contains(&format!("cookie: lang=en; pga4_session={COOKIE}\r\n")), "{said}");
        assert!(!said.to_lowercase().contains("user-agent"), "{said}");
        assert!(said.contains(&format!("host: 127.0.0.1:{port}\r\n")), "{said}");
    }
    for (said, token) in [(&all[3], TOKENS[0]), (&all[4], TOKENS[1]), (&all[6], TOKENS[1])] {
        assert!(said.to_lowercase().contains(&format!("x-pga-csrftoken: {token}")), "{said}");
    }
    assert!(!all[0].to_lowercase().contains("cookie") && all[1].contains("cookie: pga4_session=first"), "{}", all[1]);
}

#[tokio::test]
async fn each_fault_breaks_with_its_own_words() {
    for (fault, said) in [
        (Fault::NoPing, "answered /misc/ping with HTTP 200, \"<html>It works!</html>\""),
        (Fault::SingleSignOn, "answered /login with HTTP 302, which leads to /realms/x"),
        (Fault::NoLoginPage, "answered /login with HTTP 500, \"unable to open database file\""),
        (Fault::NoToken, "has a login page without a CSRF token: nobody can log in there"),
        (
            Fault::Refuses(WRONG),
            "refused the login of me@example.com: Incorrect username or password.2 more attempts remaining.",
        ),
        (
            Fault::RefusesOnTheSpot,
            "refused the login of me@example.com: Incorrect username or password.2 more attempts remaining.",
        ),
        (
            Fault::Refuses("The CSRF token is invalid."),
            "answered the login of me@example.com with: The CSRF token is invalid.",
        ),
        (Fault::RefusesWithoutAWord, "answered the login with its login page, without a word"),
        (Fault::Breaks, "answered the login with HTTP 500, \"(sqlite3.OperationalError) no such table: user\""),
        (Fault::EchoesTheSession, "answered the login with HTTP 400, \"no hidden with hidden\""),
        (
            Fault::LeadsElsewhere("/login?next=/x"),
            "took the login and then led to /login: it does not keep the session",
        ),
        (
            Fault::LeadsElsewhere("http://pa/browser/"),
            "took the login and then led to /browser/: it does not keep the session",
        ),
        (Fault::NoVersion, "answered /browser/js/utils.js with HTTP 200, \"define('pgadmin')\""),
        (Fault::ListsNonsense, "answered /browser/server_group/obj/ with HTTP 200, \"{\\\"id\\\": 1}\""),
        (Fault::KeepsSession, "was logged out of, and its pages still open"),
    ] {
        let heard = Heard::default();
        let verdict = look(&check(server(fault, heard.clone()).await, ORDERS)).await;
        let actual = actual(&verdict);
        assert!(actual.ends_with(said) && !actual.contains("hunter22"), "{fault:?}: {actual}");
        assert!([COOKIE, TOKENS[0], TOKENS[1]].iter().all(|secret| !actual.contains(secret)), "{fault:?}: {actual}");
    }
}

#[tokio::test]
async fn a_login_that_counts_towards_a_lock_is_final_and_another_may_heal() {
    for (words, expected) in [
        (WRONG, Outlook::Final),
        ("Your account is locked. Please contact the Administrator.", Outlook::Final),
        ("The CSRF token is invalid.", Outlook::MayHeal),
    ] {
        let heard = Heard::default();
        let verdict = look(&check(server(Fault::Refuses(words), heard.clone()).await, "")).await;
        assert!(matches!(verdict, Verdict::Broken { outlook, .. } if outlook == expected), "{words}: {verdict:?}");
        assert_eq!(requests(&heard).iter().filter(|line| line.starts_with("POST")).count(), 1, "{words}");
    }
}

#[tokio::test]
async fn who_is_to_be_kept_out_is_another_stranger_each_time() {
    let heard = Heard::default();
    let port = server(Fault::Refuses("Incorrect username or password."), heard.clone()).await;
    for _ in 0..2 {
        let verdict = look(&stranger(port)).await;
        let said = "refused the login of a stranger: Incorrect username or password.";
        assert_eq!(verdict, Verdict::held(format!("pgadmin host/127.0.0.1:{port} {said}")));
    }
    let all = heard.all();
    let logins: Vec<&str> =
        all.iter().filter(|said| said.starts_with("POST")).filter_map(|said| said.lines().last()).collect();
    assert!(
        logins.iter().all(|form| form.contains("&email=seaworthy-") && form.contains("%40example.com&")),
        "{logins:?}"
    );
    assert_ne!(logins[0], logins[1]);
}

#[tokio::test]
async fn only_a_refused_login_is_a_denial() {
    for fault in [
        Fault::NoPing,
        Fault::NoLoginPage,
        Fault::NoToken,
        Fault::Refuses("The CSRF token is invalid."),
        Fault::RefusesWithoutAWord,
        Fault::Breaks,
    ] {
        let verdict = look(&stranger(server(fault, Heard::default()).await)).await;
        assert!(matches!(verdict, Verdict::Unclear { .. }), "{fault:?}: {verdict:?}");
    }
    let heard = Heard::default();
    let verdict = look(&stranger(server(Fault::LetsAnybodyIn, heard.clone()).await)).await;
    assert!(actual(&verdict).ends_with("let in a stranger"), "{verdict:?}");
    assert_eq!(requests(&heard)[4..], ["GET /logout", "GET /browser/js/utils.js"]);
}

#[tokio::test]
async fn a_redirect_that_opens_nothing_denies_nothing() {
    let port = serve(|stream| talk(stream, Fault::LeadsElsewhere("/browser/"), Heard::default())).await;
    let verdict = look(&stranger(port)).await;
    assert!(matches!(verdict, Verdict::Unclear { .. }), "{verdict:?}");
}

#[tokio::test]
async fn a_session_that_could_not_be_ended_is_told() {
    let verdict = look(&check(server(Fault::NoLogout, Heard::default()).await, "")).await;
    let Verdict::Broken { actual, .. } = &verdict else { panic!("{verdict:?}") };
    assert!(
        actual.contains("cannot be logged out of: ") && actual.ends_with("\"attempt to write a readonly database\"")
    );
}

#[tokio::test(start_paused = true)]
async fn a_look_that_is_given_up_half_way_logs_out() {
    for (fault, word) in
        [(Fault::HangsAtLogin, "POST /authenticate/login"), (Fault::HangsInside, "GET /browser/server_group/obj/")]
    {
        let heard = Heard::default();
        let check = check(server(fault, heard.clone()).await, ORDERS);
        let told = async |word: &str| heard.told(word, |heard| requests(heard).iter().any(|said| said == word)).await;
        tokio::select! {
            verdict = look(&check) => panic!("{verdict:?}"),
            () = told(word) => {}
        }
        tokio::time::advance(STAY).await;
        told("GET /logout").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_hangs_is_given_up_in_bounded_time() {
    let port = server(Fault::HangsAtLogin, Heard::default()).await;
    let begun = tokio::time::Instant::now();
    let verdict = look(&check(port, "")).await;
    assert!(actual(&verdict).ends_with("did not see a session through within 8 s"), "{verdict:?}");
    assert!(begun.elapsed() <= STAY + LEAVE, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_server_that_hangs_breaks_when_the_time_is_up_and_one_that_is_away_at_once() {
    let port = server(Fault::Hangs, Heard::default()).await;
    let verdict = stands_when_dropped(&check(port, "")).await.unwrap();
    assert_eq!(actual(&verdict), format!("pgadmin host/127.0.0.1:{port} does not answer"));
    let port = closed_port().await;
    let verdict = look(&check(port, "")).await;
    assert_eq!(actual(&verdict), format!("nothing listens on 127.0.0.1:{port}: connection refused"));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_takes_its_time_for_each_answer_is_not_silent() {
    let stand = Stand::of(&check(server(Fault::Slow, Heard::default()).await, ORDERS));
    let verdict = stand.look().await;
    assert!(matches!(verdict, Verdict::Held { .. }), "{verdict:?}");
    assert_eq!(stand.notes.last().verdict, None);
}

#[tokio::test]
async fn who_is_not_named_says_nothing_of_the_platform() {
    let port = server(Fault::None, Heard::default()).await;
    let verdict = look(&format!("pgadmin: {{at: 'host/127.0.0.1:{port}'}}")).await;
    assert_eq!(why(&verdict), format!("nobody is named who logs in at pgadmin host/127.0.0.1:{port}"));
}
