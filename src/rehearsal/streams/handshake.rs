//! Agreeing on a wire.

use hyper::header::{
    CONNECTION, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    UPGRADE,
};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::super::failure::Failure;
use super::{Use, Wire};

/// Where SPDY clients say what they speak inside of it.
const STREAM_PROTOCOL: HeaderName = HeaderName::from_static("x-stream-protocol-version");

/// What was agreed on.
pub(super) struct Agreed {
    pub(super) wire: Wire,
    /// The headers of the response.
    pub(super) headers: HeaderMap,
}

/// What is spoken for a use in WebSocket messages.
fn in_websocket(use_: Use, protocol: &str) -> Option<(Wire, &'static str)> {
    match (use_, protocol) {
        // Version 5 lets a client say that its input ends, and nothing else: a server answers as in version 4.
        (Use::Exec, "v5.channel.k8s.io") => Some((Wire::Channels, "v5.channel.k8s.io")),
        (Use::Exec | Use::PortForward, "v4.channel.k8s.io") => Some((Wire::Channels, "v4.channel.k8s.io")),
        (Use::PortForward, "portforward.k8s.io") => Some((Wire::Channels, "portforward.k8s.io")),
        (Use::PortForward, "SPDY/3.1+portforward.k8s.io") => Some((Wire::Tunnelled, "SPDY/3.1+portforward.k8s.io")),
        (Use::Exec | Use::PortForward, _) => None,
    }
}

/// What is spoken for a use inside SPDY.
fn in_spdy(use_: Use, protocol: &str) -> Option<(Wire, &'static str)> {
    match (use_, protocol) {
        (Use::Exec, "v4.channel.k8s.io") => Some((Wire::Spdy, "v4.channel.k8s.io")),
        (Use::PortForward, "portforward.k8s.io") => Some((Wire::Spdy, "portforward.k8s.io")),
        (Use::Exec | Use::PortForward, _) => None,
    }
}

/// Agrees to the first of what the client offers that is spoken here.
///
/// # Errors
/// 400 where no switch is asked for, 403 where nothing that is offered is spoken here.
pub(super) fn agree(headers: &HeaderMap, use_: Use) -> Result<Agreed, Failure> {
    let upgrade = said(headers, &UPGRADE);
    let is = |wanted: &str| upgrade.iter().any(|protocol| protocol.eq_ignore_ascii_case(wanted));
    let switches = said(headers, &CONNECTION).iter().any(|option| option.eq_ignore_ascii_case("upgrade"));
    match switches {
        true if is("websocket") => websocket(headers, use_),
        true if is("SPDY/3.1") => spdy(headers, use_),
        true | false => Err(Failure::bad_request("Upgrade request required")),
    }
}

fn websocket(headers: &HeaderMap, use_: Use) -> Result<Agreed, Failure> {
    let key = headers.get(SEC_WEBSOCKET_KEY).ok_or_else(|| {
        Failure::bad_request(
            "websocket: the client is not using the websocket protocol: 'Sec-WebSocket-Key' is missing",
        )
    })?;
    let offered = said(headers, &SEC_WEBSOCKET_PROTOCOL);
    let (wire, protocol) =
        offered.iter().find_map(|offer| in_websocket(use_, offer)).ok_or_else(|| refused(&offered))?;
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes()))
        .map_err(|_| Failure::bad_request("websocket: 'Sec-WebSocket-Key' cannot be answered"))?;
    let headers = [
        (UPGRADE, HeaderValue::from_static("websocket")),
        (SEC_WEBSOCKET_ACCEPT, accept),
        (SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol)),
    ];
    Ok(agreed(wire, headers))
}

fn spdy(headers: &HeaderMap, use_: Use) -> Result<Agreed, Failure> {
    let offered = said(headers, &STREAM_PROTOCOL);
    let (wire, protocol) = offered.iter().find_map(|offer| in_spdy(use_, offer)).ok_or_else(|| refused(&offered))?;
    let headers =
        [(UPGRADE, HeaderValue::from_static("SPDY/3.1")), (STREAM_PROTOCOL, HeaderValue::from_static(protocol))];
    Ok(agreed(wire, headers))
}

fn agreed(wire: Wire, headers: impl IntoIterator<Item = (HeaderName, HeaderValue)>) -> Agreed {
    let mut headers: HeaderMap = headers.into_iter().collect();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    Agreed { wire, headers }
}

fn refused(offered: &[String]) -> Failure {
    let offered = offered.join(" ");
    Failure::new(
        403,
        "Forbidden",
        format!("unable to upgrade: unable to negotiate protocol: client supports [{offered}]"),
    )
}

/// The values of a header, whether in one line or in several.
fn said(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    lines
        .flat_map(|line| line.split(','))
        .map(|value| value.trim().to_owned())
        .filter(|value| !value.is_empty())
        .collect()
}
