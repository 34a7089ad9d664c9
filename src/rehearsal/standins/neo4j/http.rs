//! Its HTTP API: the discovery document, and statements as transactions of their own.

use std::io;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::header::{ALLOW, AUTHORIZATION, CONTENT_TYPE, HOST, WWW_AUTHENTICATE};
use hyper::http::request::Parts;
use hyper::{Request, Response};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::error::Error;
use super::{Asked, Door, Fault, Server};
use crate::rehearsal::standins::http::Page;

type Answer = io::Result<Response<Page>>;

impl Server {
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Answer {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        self.faults.outlast(Fault::Hangs).await;
        let response = match self.faults.on() {
            Some(Fault::NotNeo4j) => plain(200, "It works!\n"),
            Some(Fault::Status500) => plain(500, "Internal Server Error\n"),
            Some(Fault::Overloaded) => plain(503, "Service Unavailable\n"),
            Some(_) | None => self.page(&head, &body),
        }?;
        Ok(match self.faults.is(Fault::ClosesMidReply) {
            true => response.map(Page::broken_off),
            false => response,
        })
    }

    fn page(&self, head: &Parts, body: &[u8]) -> Answer {
        let path = head.uri.path();
        if path == "/" {
            return sent(200, &self.discovery(head));
        }
        let database = path.strip_prefix("/db/").and_then(|rest| rest.strip_suffix("/tx/commit"));
        let Some(database) = database.filter(|name| !name.contains('/')) else {
            return refused(&Error::invalid(404, "Not Found"));
        };
        let database = percent_decode_str(database).decode_utf8_lossy();
        if let Err(error) = self.known(head) {
            return refused(&error);
        }
        match head.method.as_str() {
            "POST" => self.transaction(head, &database, body),
            _ => {
                let mut response = refused(&Error::invalid(405, "Method Not Allowed"))?;
                response.headers_mut().insert(ALLOW, hyper::header::HeaderValue::from_static("POST,OPTIONS"));
                Ok(response)
            }
        }
    }

    /// Where what is, under the name by which it was asked.
    fn discovery(&self, head: &Parts) -> Value {
        let host = head.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let bolt = match (self.faults.is(Fault::AdvertisesItself), &self.config.advertised) {
            (true, _) => format!("localhost:{}", self.config.bolt),
            (false, Some(advertised)) => advertised.clone(),
            (false, None) => format!("{name}:{}", self.config.bolt),
        };
        json!({
            "bolt_routing": format!("neo4j://{bolt}"),
            "query": format!("http://{host}/db/{{databaseName}}/query/v2"),
            "transaction": format!("http://{host}/db/{{databaseName}}/tx"),
            "bolt_direct": format!("bolt://{bolt}"),
            "neo4j_version": self.version(),
            "neo4j_edition": "community",
        })
    }

    fn known(&self, head: &Parts) -> Result<(), Error> {
        let shown = head.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let Some(shown) = shown else {
            return if self.config.password.is_none() { Ok(()) } else { Err(Error::nobody()) };
        };
        let pair = shown.strip_prefix("Basic ").and_then(|pair| BASE64_STANDARD.decode(pair).ok());
        let pair = pair.and_then(|pair| String::from_utf8(pair).ok()).unwrap_or_default();
        let (user, password) = pair.split_once(':').unwrap_or_default();
        self.let_in(Door::Http, user, password)
    }

    fn transaction(&self, head: &Parts, database: &str, body: &[u8]) -> Answer {
        let said: Value = serde_json::from_slice(body).unwrap_or_default();
        let reads = head.headers.get("access-mode").is_some_and(|mode| mode.as_bytes().eq_ignore_ascii_case(b"READ"));
        let none = Map::new();
        let mut results = Vec::new();
        // A database is looked for whatever is to be run in it.
        let mut error = self.is_there(database).err();
        for statement in said["statements"].as_array().into_iter().flatten() {
            if error.is_some() {
                break;
            }
            let asked = Asked {
                door: Door::Http,
                database,
                text: statement["statement"].as_str().unwrap_or_default(),
                parameters: statement["parameters"].as_object().unwrap_or(&none),
                reads,
            };
            match self.run(&asked) {
                Ok(table) => {
                    let row = |row: &Vec<Value>| json!({ "row": row, "meta": vec![Value::Null; row.len()] });
                    let data: Vec<Value> = table.rows.iter().map(row).collect();
                    results.push(json!({ "columns": table.columns, "data": data }));
                }
                Err(found) => error = Some(found),
            }
        }
        match error {
            None => sent(200, &json!({ "results": results, "errors": [], "lastBookmarks": [self.bookmark()] })),
            Some(error) => sent(error.status, &json!({ "results": results, "errors": [of(&error)] })),
        }
    }
}

fn of(error: &Error) -> Value {
    json!({ "code": error.code, "message": error.words })
}

fn refused(error: &Error) -> Answer {
    let mut response = sent(error.status, &json!({ "errors": [of(error)] }))?;
    if error.status == 401 {
        let realm = hyper::header::HeaderValue::from_static("Basic realm=\"Neo4j\", Bearer realm=\"Neo4j\"");
        response.headers_mut().insert(WWW_AUTHENTICATE, realm);
    }
    Ok(response)
}

fn sent(status: u16, body: &Value) -> Answer {
    let response = Response::builder().status(status).header(CONTENT_TYPE, "application/json");
    response.body(Page::of(&body.to_string())).map_err(io::Error::other)
}

fn plain(status: u16, body: &str) -> Answer {
    let response = Response::builder().status(status).header(CONTENT_TYPE, "text/plain");
    response.body(Page::of(body)).map_err(io::Error::other)
}
