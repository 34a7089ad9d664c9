//! Twin of `checks/http.rs`.

use super::{Cases, Deed, other_text, reach};
use crate::checks::{Access, Http, Text};

pub(super) fn cases(claim: &Http, in_a_row: u32) -> Cases {
    let mut cases = match claim.expect {
        Access::Allowed => answered(claim),
        Access::Denied => denied(claim),
    };
    cases.0.extend(reach::cases(&claim.at, claim.expect, claim.bearer.as_ref()).0);
    cases.0.extend(reach::door(&claim.at, claim.expect, in_a_row, Some("gave no answer")).0);
    cases
}

fn answered(claim: &Http) -> Cases {
    let mut cases = Cases::default();
    let at = |fault| Deed::Server { at: claim.at.clone(), fault };
    for (name, status) in [("status-500", 500), ("status-503", 503), ("unauthorized", 401)] {
        match claim.status {
            Some(wanted) if wanted == status => cases.unclaimed(name, "this very status is claimed"),
            Some(_) | None => cases.broken(name, at(name), [format!("got {status}")]),
        }
    }
    match claim.status {
        Some(300..=399) => cases.unclaimed("redirect-loop", "a redirect is claimed"),
        Some(_) | None => cases.broken("redirect-loop", at("redirect-loop"), ["got 30"]),
    }
    let none = "it claims nothing of the body (`answers`)";
    other_text(&mut cases, "wrong-body", claim.answers.as_ref(), &at("wrong-body"), "the body starts", none);
    // What a body contains may be in its beginning.
    let needs_end = matches!(claim.answers, Some(Text::Equals(_) | Text::Lacks(_)));
    let end = "it does not claim all of the body (`equals`, `lacks`)";
    cases.broken_if(needs_end, "slow-drip", at("slow-drip"), "was not at its end", end);
    cases.broken_if(needs_end, "closes-mid-body", at("closes-mid-body"), "gave no answer", end);
    if claim.has.is_empty() {
        cases.unclaimed("without-headers", "it claims no header (`has`)");
    } else {
        let words = claim.has.keys().map(|name| format!("no header {name}")).collect::<Vec<_>>();
        cases.broken("without-headers", at("without-headers"), words);
    }
    let has_type = claim.has.keys().any(|name| name.eq_ignore_ascii_case("content-type"));
    let header = "it claims no header `content-type` (`has`)";
    cases.broken_if(has_type, "wrong-content-type", at("wrong-content-type"), "application/octet-stream", header);
    cases.broken("empty-reply", at("empty-reply"), ["gave no answer"]);
    cases.broken("not-http", at("not-http"), ["gave no answer"]);
    cases.broken("hangs", at("hangs"), [format!("http {} does not answer", claim.at)]);
    cases
}

fn denied(claim: &Http) -> Cases {
    let mut cases = Cases::default();
    let at = |fault| Deed::Server { at: claim.at.clone(), fault };
    match claim.status {
        Some(200) => cases.unclaimed("lets-in", "this very status is claimed"),
        Some(_) | None => cases.broken("lets-in", at("lets-in"), ["got 200"]),
    }
    cases.broken("status-500", at("status-500"), ["got 500"]);
    cases.broken("redirect-loop", at("redirect-loop"), ["got 30"]);
    cases.unclear("empty-reply", at("empty-reply"), ["gave no answer"]);
    cases.unclear("not-http", at("not-http"), ["gave no answer"]);
    cases.unclear("hangs", at("hangs"), [format!("http {} does not answer", claim.at)]);
    cases
}
