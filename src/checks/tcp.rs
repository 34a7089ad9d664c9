//! TCP: a port that accepts, or refuses.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Access, Address, Claim, Obstacle, Text, Verdict};

/// A claim about one TCP port.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tcp {
    /// Where to connect.
    pub at: Address,
    /// Text sent after connecting.
    #[serde(default)]
    pub send: Option<String>,
    /// What must come back within the look's time; what must be lacking is lacking once the server has closed.
    #[serde(default)]
    pub answers: Option<Text>,
    /// Accepts, or refuses. A Service that does not exist refuses nothing: that is Unclear.
    #[serde(default)]
    pub expect: Access,
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TcpAnswer {
    /// There was nobody to talk to.
    Unmet(Obstacle),
    /// The port accepts; nothing was to be read.
    Accepted,
    /// The port accepts, and this came back: the first 64 KiB at most.
    Answered(String),
    /// This is what the server has said, and it has neither said more nor ended.
    Unfinished(String),
}

impl Claim for Tcp {
    type Answer = TcpAnswer;

    fn judge(&self, answer: &TcpAnswer) -> Verdict {
        let at = &self.at;
        let accepted = format!("tcp {at} accepts connections");
        match (self.expect, answer) {
            (Access::Denied, TcpAnswer::Unmet(Obstacle::Refused(text))) => Verdict::held(text),
            (expect, TcpAnswer::Unmet(obstacle)) => obstacle.judge(format!("tcp {at} accepts a connection"), expect),
            (Access::Denied, TcpAnswer::Accepted | TcpAnswer::Answered(_) | TcpAnswer::Unfinished(_)) => {
                Verdict::broken(format!("tcp {at} refuses connections"), accepted)
            }
            (Access::Allowed, TcpAnswer::Accepted) => Verdict::held(accepted),
            (Access::Allowed, TcpAnswer::Answered(text)) => self.judge_text(text),
            (Access::Allowed, TcpAnswer::Unfinished(text)) => {
                let wanted = self.answers.iter().map(|wanted| format!(" {wanted}")).collect::<String>();
                let said = super::expect::excerpt(text);
                Verdict::broken(
                    format!("tcp {at} answers{wanted}"),
                    format!("tcp {at} answered {said} and then nothing, without an end"),
                )
            }
        }
    }
}

impl Tcp {
    fn judge_text(&self, text: &str) -> Verdict {
        let at = &self.at;
        let said = super::expect::excerpt(text);
        let Some(wanted) = &self.answers else { return Verdict::held(format!("tcp {at} answered {said}")) };
        match wanted.holds(text, true) {
            Some(true) => Verdict::held(format!("tcp {at} answered {said}")),
            Some(false) => Verdict::broken(format!("tcp {at} answers {wanted}"), format!("tcp {at} answered {said}")),
            None => Verdict::unclear(format!(
                "what tcp {at} answered cannot be read as text; whether it is {wanted} cannot be told: {said}"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(yaml: &str) -> Tcp {
        serde_saphyr::from_str(yaml).unwrap()
    }

    fn refused() -> TcpAnswer {
        TcpAnswer::Unmet(Obstacle::Refused("tcp db:1 refused".to_owned()))
    }

    fn missing() -> TcpAnswer {
        TcpAnswer::Unmet(Obstacle::Missing("there is no Service db".to_owned()))
    }

    #[test]
    fn an_open_port_holds_and_a_closed_one_breaks() {
        assert!(matches!(claim("at: db:1").judge(&TcpAnswer::Accepted), Verdict::Held { .. }));
        assert!(matches!(claim("at: db:1").judge(&refused()), Verdict::Broken { .. }));
    }

    #[test]
    fn only_a_refusal_is_a_denial() {
        let denied = claim("{at: 'db:1', expect: denied}");
        assert_eq!(denied.judge(&refused()), Verdict::held("tcp db:1 refused"));
        assert!(matches!(denied.judge(&missing()), Verdict::Unclear { .. }));
        assert!(matches!(denied.judge(&TcpAnswer::Accepted), Verdict::Broken { .. }));
    }

    #[test]
    fn an_answer_that_is_no_text_lacks_nothing_that_can_be_told() {
        let binary = TcpAnswer::Answered("e\0r\0r\0o\0r\0".to_owned());
        assert!(matches!(claim("{at: 'db:1', answers: {lacks: error}}").judge(&binary), Verdict::Unclear { .. }));
        assert!(matches!(claim("{at: 'db:1', send: hello}").judge(&binary), Verdict::Held { .. }));
    }

    #[test]
    fn another_banner_than_the_one_claimed_breaks() {
        let banner = claim("{at: 'db:1', answers: {contains: SSH-2.0}}");
        assert!(matches!(banner.judge(&TcpAnswer::Answered("SSH-2.0-x".to_owned())), Verdict::Held { .. }));
        assert_eq!(
            banner.judge(&TcpAnswer::Answered("HTTP/1.1 400".to_owned())),
            Verdict::broken("tcp db:1 answers text with \"SSH-2.0\"", "tcp db:1 answered \"HTTP/1.1 400\"")
        );
    }
}
