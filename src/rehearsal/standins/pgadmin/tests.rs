//! Faults, as a visitor sees them.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::conformance::{Got, Visitor};
use super::{Config, Fault, Listed, Server};
use crate::rehearsal::standins::StandIn;
use crate::rehearsal::standins::conformance::{Connection, Login, dial};

const LOGIN: Login<'static> = Login { user: "me%40example.com", password: "secret", database: "" };
const WRONG: Login<'static> = Login { password: "wrong", ..LOGIN };

const INSIDE: &str = "/browser/js/utils.js";
const GROUPS: &str = "/browser/server_group/obj/";

fn server() -> Arc<Server> {
    let listed = Listed {
        name: "orders".to_owned(),
        group: "Servers".to_owned(),
        host: "orders-rw".to_owned(),
        port: 5432,
        database: "app".to_owned(),
        user: "app".to_owned(),
    };
    let (email, password) = ("me@example.com".to_owned(), "secret".to_owned());
    Arc::new(Server::new(Config { port: 80, email, password, servers: vec![listed] }))
}

fn to(server: &Arc<Server>) -> impl AsyncFn() -> Connection {
    async || dial(&StandIn::Pgadmin(Arc::clone(server)))
}

async fn got(server: &Arc<Server>, visitor: &mut Visitor, path: &str) -> Got {
    visitor.ask(to(server)().await, "GET", path, "").await
}

/// Somebody who is in.
async fn inside(server: &Arc<Server>) -> Visitor {
    let mut visitor = Visitor::default();
    visitor.log_in(&to(server), LOGIN).await.unwrap();
    visitor
}

#[tokio::test]
async fn a_login_is_refused_in_its_own_words_and_taken_after_the_fault() {
    for (fault, said) in [
        (Fault::RejectsCsrf, "The CSRF token is invalid."),
        (Fault::RejectsLogin, "Incorrect username or password.2 more attempts remaining."),
        (Fault::AccountLocked, "Your account is locked. Please contact the Administrator."),
    ] {
        let server = server();
        server.inject(Some(fault));
        let words = Visitor::default().log_in(&to(&server), LOGIN).await.unwrap_err();
        assert!(words.starts_with(&format!("[[\"Warning\", \"{said}\"]")), "{fault:?}: {words}");
        server.inject(None);
        inside(&server).await;
    }
    let server = server();
    server.inject(Some(Fault::AcceptsAnyPassword));
    for login in [WRONG, Login { user: "nobody%40example.com", ..LOGIN }] {
        let mut visitor = Visitor::default();
        assert_eq!(visitor.log_in(&to(&server), login).await, Ok(()));
        assert_eq!(got(&server, &mut visitor, INSIDE).await.status, 200);
    }
}

#[tokio::test]
async fn a_login_that_is_taken_need_not_open_anything() {
    for fault in [Fault::LosesSessions, Fault::DistrustsSessions] {
        let server = server();
        server.inject(Some(fault));
        let mut visitor = Visitor::default();
        assert_eq!(visitor.log_in(&to(&server), LOGIN).await, Ok(()), "{fault:?}");
        let page = got(&server, &mut visitor, INSIDE).await;
        assert_eq!((page.status, page.to.as_str()), (302, "/login?next=/browser/js/utils.js"), "{fault:?}");
    }
}

#[tokio::test]
async fn a_logout_ends_a_session_unless_it_does_not() {
    for (fault, logout, after) in
        [(None, 302, 302), (Some(Fault::KeepsSessions), 302, 200), (Some(Fault::RefusesLogout), 500, 200)]
    {
        let server = server();
        let mut visitor = inside(&server).await;
        server.inject(fault);
        assert_eq!(got(&server, &mut visitor, "/logout").await.status, logout, "{fault:?}");
        assert_eq!(got(&server, &mut visitor, INSIDE).await.status, after, "{fault:?}");
    }
}

#[tokio::test]
async fn the_login_page_comes_though_the_database_is_gone_and_does_not_where_it_is_broken() {
    let server = server();
    let page = async |fault| {
        server.inject(Some(fault));
        got(&server, &mut Visitor::default(), "/login").await
    };
    assert_eq!(page(Fault::LoginPageBroken).await.status, 500);
    let bare = page(Fault::NoCsrfToken).await;
    assert!(bare.status == 200 && !bare.all.contains("csrfToken"), "{}", bare.all);
    server.inject(Some(Fault::DatabaseGone));
    let mut visitor = Visitor::default();
    assert_eq!(got(&server, &mut visitor, "/misc/ping").await.status, 200);
    assert_eq!(got(&server, &mut visitor, "/login").await.status, 200);
    let form = format!("csrf_token={}&email=me%40example.com&password=secret", visitor.token);
    let said = visitor.ask(to(&server)().await, "POST", "/authenticate/login", &form).await;
    assert!(said.status == 500 && said.all.contains("no such table: user\\n"), "{}", said.all);
}

#[tokio::test]
async fn the_list_of_servers_is_another_or_none_and_so_is_the_version() {
    for (fault, path, said) in [
        (Fault::NoServers, "/browser/server/obj/1/", "\r\n\r\n[]"),
        (Fault::OtherServers, "/browser/server/obj/1/", "\"name\":\"old orders\""),
        (Fault::OtherHosts, "/browser/server/obj/1/", "\"host\":\"old orders-rw\""),
        (Fault::OtherGroups, GROUPS, "{\"id\":2,\"name\":\"old Servers\"}"),
        (Fault::OtherGroups, "/browser/server/obj/1/", "\r\n\r\n[]"),
        (Fault::OtherGroups, "/browser/server/obj/2/", "\"name\":\"orders\""),
        (Fault::ListsFail, GROUPS, "\"errormsg\":\"database disk image is malformed\""),
        (Fault::WrongVersion, INSIDE, "app_version_int: '43000'"),
    ] {
        let server = server();
        let mut visitor = inside(&server).await;
        server.inject(Some(fault));
        let page = got(&server, &mut visitor, path).await;
        assert!(page.all.contains(said), "{fault:?}: {}", page.all);
        server.inject(None);
        assert!(!got(&server, &mut visitor, path).await.all.contains(said), "{fault:?}");
    }
}

#[tokio::test]
async fn an_answer_breaks_off_or_is_another_servers() {
    let server = server();
    for (fault, begins, ends) in [
        (Fault::ClosesMidReply, "HTTP/1.1 200 ", "PI"),
        (Fault::NotPgadmin, "HTTP/1.1 200 ", "It works!\n"),
        (Fault::Overloaded, "HTTP/1.1 503 ", "Service Unavailable\n"),
    ] {
        server.inject(Some(fault));
        let said = got(&server, &mut Visitor::default(), "/misc/ping").await.all;
        assert!(said.starts_with(begins) && said.ends_with(&format!("\r\n\r\n{ends}")), "{fault:?}: {said}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_says_nothing_until_it_does_not() {
    let server = server();
    server.inject(Some(Fault::Hangs));
    let mut visitor = Visitor::default();
    let mut answer = Box::pin(got(&server, &mut visitor, "/misc/ping"));
    timeout(Duration::from_secs(60), &mut answer).await.unwrap_err();
    server.inject(None);
    assert_eq!(answer.await.status, 200);
}
