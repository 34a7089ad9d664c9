//! Twin of `checks/tcp.rs`.

use std::sync::{Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::reach::{Unmet, silent};
use super::{Site, Unseen};
use crate::checks::{Tcp, TcpAnswer, Text};

/// The most that is kept of what a server says, in bytes.
const KEPT: usize = 64 << 10;

pub(super) async fn observe(claim: &Tcp, site: &Site<'_>) -> Result<TcpAnswer, Unseen> {
    let seen = match &claim.answers {
        None if claim.send.is_none() => knock(claim, site).await,
        wanted => talk(claim, wanted.as_ref(), site).await,
    };
    seen.or_else(|unmet| unmet.answer(TcpAnswer::Unmet))
}

async fn knock(claim: &Tcp, site: &Site<'_>) -> Result<TcpAnswer, Unmet> {
    site.prober.dialer.knock(&claim.at, site.namespace()).await?;
    Ok(TcpAnswer::Accepted)
}

async fn talk(claim: &Tcp, wanted: Option<&Text>, site: &Site<'_>) -> Result<TcpAnswer, Unmet> {
    let mut stream = site.dial(&claim.at).await?;
    let fate = stream.fate();
    let broke = |error: std::io::Error| Unmet::broke(&fate, format!("tcp {} broke off: {error}", claim.at));
    if let Some(text) = &claim.send {
        stream.write_all(text.as_bytes()).await.map_err(broke)?;
        stream.flush().await.map_err(broke)?;
    }
    let said = Mutex::new(Vec::new());
    let so_far = || said.lock().unwrap_or_else(PoisonError::into_inner);
    let silence = || unfinished(claim, &so_far());
    let reading = async {
        let mut chunk = [0; 4096];
        while so_far().len() < KEPT && !is_enough(wanted, &so_far()) {
            match stream.read(&mut chunk).await? {
                0 => break,
                count => so_far().extend_from_slice(&chunk[..count]),
            }
        }
        Ok(())
    };
    site.hearing(claim, silence, reading).await.map_err(broke)?;
    Ok(TcpAnswer::Answered(String::from_utf8_lossy(&so_far()).into_owned()))
}

/// What a server is that says nothing, or nothing more, and keeps the connection: what would come next is not known.
fn unfinished(claim: &Tcp, said: &[u8]) -> TcpAnswer {
    match said {
        [] => TcpAnswer::Unmet(silent("tcp", &claim.at)),
        said => TcpAnswer::Unfinished(String::from_utf8_lossy(said).into_owned()),
    }
}

/// Whether more could not change the verdict. What must be lacking is lacking only at the end.
fn is_enough(wanted: Option<&Text>, said: &[u8]) -> bool {
    match wanted {
        None => !said.is_empty(),
        Some(Text::Lacks(_)) => false,
        Some(wanted) => wanted.matches(&String::from_utf8_lossy(said)),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use crate::checks::Verdict;
    use crate::probes::stand::{actual, closed_port, look, serve, silent, stands_when_dropped, why};

    #[tokio::test]
    async fn a_port_that_accepts_holds_and_a_closed_one_breaks_with_its_reason() {
        let port = serve(|_| async { Ok(()) }).await;
        assert!(matches!(look(&format!("tcp: {{at: 'host/127.0.0.1:{port}'}}")).await, Verdict::Held { .. }));
        let port = closed_port().await;
        let verdict = look(&format!("tcp: {{at: 'host/127.0.0.1:{port}'}}")).await;
        assert_eq!(actual(&verdict), format!("nothing listens on 127.0.0.1:{port}: connection refused"));
    }

    #[tokio::test]
    async fn a_refusal_is_a_denial_and_a_cluster_that_cannot_be_asked_is_none() {
        let port = closed_port().await;
        let denied = look(&format!("tcp: {{at: 'host/127.0.0.1:{port}', expect: denied}}")).await;
        assert!(matches!(denied, Verdict::Held { .. }), "{denied:?}");
        let verdict = look("tcp: {at: 'redis:6379', expect: denied}").await;
        assert_eq!(why(&verdict), "cannot look for Service data/redis: ServiceError: there is no cluster here");
    }

    #[tokio::test]
    async fn what_is_sent_is_answered_as_claimed_or_the_answer_is_shown() {
        let port = serve(|mut stream| async move {
            let mut said = [0; 5];
            stream.read_exact(&mut said).await?;
            stream.write_all(b"echo ").await?;
            stream.write_all(&said).await
        })
        .await;
        let check = |wanted| format!("tcp: {{at: 'host/127.0.0.1:{port}', send: hello, answers: {wanted}}}");
        assert!(matches!(look(&check("{equals: echo hello}")).await, Verdict::Held { .. }));
        assert!(matches!(look(&check("{lacks: error}")).await, Verdict::Held { .. }));
        assert!(actual(&look(&check("{contains: bye}")).await).ends_with("answered \"echo hello\""));
    }

    #[tokio::test]
    async fn an_answer_without_an_end_is_shown_when_the_time_is_up() {
        let port = serve(|mut stream| async move {
            stream.write_all(b"hello").await?;
            stream.read(&mut [0; 5]).await.map(drop)
        })
        .await;
        let at = format!("host/127.0.0.1:{port}");
        for wanted in ["{contains: SSH}", "{lacks: SSH}"] {
            let verdict = stands_when_dropped(&format!("tcp: {{at: '{at}', answers: {wanted}}}")).await.unwrap();
            assert_eq!(actual(&verdict), format!("tcp {at} answered \"hello\" and then nothing, without an end"));
        }
    }

    #[tokio::test]
    async fn a_server_that_says_nothing_breaks_when_the_time_is_up() {
        let port = silent().await;
        let at = format!("host/127.0.0.1:{port}");
        let verdict = stands_when_dropped(&format!("tcp: {{at: '{at}', answers: {{contains: SSH}}}}")).await.unwrap();
        assert_eq!(actual(&verdict), format!("tcp {at} does not answer"));
    }
}
