//! Images that cannot be pulled: which of the registry's answers are final.
//!
//! The kubelet's reasons are in its `pkg/kubelet/images/types.go`; `ImagePullBackOff` alternates with `ErrImagePull`,
//! and carries the same words since Kubernetes 1.32. What is not known to pass is final: a wrong name, a missing
//! permission and a machine without a network look the same in an hour.

use super::patience::REGISTRY;
use super::{Health, Object, Surroundings};

/// Words of registries and networks that have better moments.
const PASSING: [&str; 16] = [
    "toomanyrequests",
    "too many requests",
    "429",
    "pull qps exceeded",
    "tls handshake timeout",
    "i/o timeout",
    "context deadline exceeded",
    "client.timeout",
    "request canceled",
    "context canceled",
    "connection reset",
    "unexpected eof",
    "internal server error",
    "bad gateway",
    "service unavailable",
    "gateway timeout",
];

/// What the kubelet and the container runtime say before they come to the point.
const PREAMBLES: [&str; 7] = [
    "rpc error",
    "failed to pull and unpack image",
    "failed to resolve reference",
    "failed to resolve image",
    "failed to pull image",
    "failed to do request",
    "errimagepull",
];

/// A container that waits because its image is not there.
pub(super) fn assess(
    pod: Object<'_>,
    container: &str,
    image: &str,
    (reason, message): (&str, &str),
    around: &Surroundings<'_>,
) -> Health {
    let event = around.newest_event(pod, &["Failed"]).map_or("", |event| event.text("/message"));
    // Before 1.32 a back-off forgets why; the event remembers.
    let message = if message.contains(": ") || !event.contains(image) { message } else { event };
    let line = format!("{container} cannot pull image \"{image}\": {} ({reason})", point(message, image));
    if passes(&message.to_lowercase()) { Health::stuck(line, REGISTRY) } else { Health::doomed(line) }
}

fn passes(message: &str) -> bool {
    // A name server that does not answer is a machine without a network, not a busy registry.
    !message.contains("lookup ") && PASSING.iter().any(|words| message.contains(words))
}

/// The message without the layers that only repeat the image.
fn point<'a>(message: &'a str, image: &str) -> &'a str {
    let mut rest = message.trim();
    if let Some((_, after)) = rest.split_once("Back-off pulling image").and_then(|(_, after)| after.split_once("\": "))
    {
        rest = after;
    }
    while let Some((layer, after)) = rest.split_once(": ") {
        let layer = layer.to_lowercase();
        let repeats = layer.trim_matches('"').ends_with(&image.to_lowercase());
        if !repeats && !PREAMBLES.iter().any(|preamble| layer.starts_with(preamble)) {
            break;
        }
        rest = after;
    }
    if rest.is_empty() { "the kubelet does not say why" } else { rest }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_point_of_a_long_message_is_its_end() {
        let table = [
            (
                "failed to pull and unpack image \"docker.io/library/redis:nope\": failed to resolve reference \
                 \"docker.io/library/redis:nope\": docker.io/library/redis:nope: not found",
                "not found",
            ),
            (
                "rpc error: code = NotFound desc = failed to pull and unpack image \"docker.io/library/redis:nope\": \
                 failed to resolve reference \"docker.io/library/redis:nope\": manifest unknown",
                "manifest unknown",
            ),
            (
                "Back-off pulling image \"redis:nope\": ErrImagePull: failed to pull and unpack image \
                 \"docker.io/library/redis:nope\": failed to resolve reference \"docker.io/library/redis:nope\": failed \
                 to do request: Head \"https://registry-1.docker.io/v2/library/redis/manifests/nope\": dial tcp: lookup \
                 registry-1.docker.io: no such host",
                "Head \"https://registry-1.docker.io/v2/library/redis/manifests/nope\": dial tcp: lookup \
                 registry-1.docker.io: no such host",
            ),
            ("", "the kubelet does not say why"),
        ];
        for (message, expected) in table {
            assert_eq!(point(message, "redis:nope"), expected);
        }
    }

    #[test]
    fn only_a_registry_with_better_moments_is_waited_for() {
        for message in
            ["429 too many requests", "net/http: tls handshake timeout", "unexpected status: 503 service unavailable"]
        {
            assert!(passes(message), "{message}");
        }
        for message in [
            "not found",
            "manifest unknown",
            "unauthorized: authentication required",
            "pull access denied",
            "dial tcp: lookup registry-1.docker.io: no such host",
            "dial tcp: lookup registry-1.docker.io on 10.0.0.1:53: read udp: i/o timeout",
            "dial tcp 127.0.0.1:5000: connect: connection refused",
            "x509: certificate signed by unknown authority",
        ] {
            assert!(!passes(message), "{message}");
        }
    }
}
