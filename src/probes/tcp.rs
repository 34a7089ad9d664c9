//! Twin of `checks/tcp.rs`.

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
    let mut said = Vec::new();
    let silence = || TcpAnswer::Unmet(silent("tcp", &claim.at));
    let reading = async {
        let mut chunk = [0; 4096];
        while said.len() < KEPT && !is_enough(wanted, &said) {
            match stream.read(&mut chunk).await? {
                0 => break,
                count => said.extend_from_slice(&chunk[..count]),
            }
        }
        Ok(())
    };
    site.hearing(claim, silence, reading).await.map_err(broke)?;
    Ok(TcpAnswer::Answered(String::from_utf8_lossy(&said).into_owned()))
}

/// Whether more could not change the verdict. What must be lacking is lacking only at the end.
fn is_enough(wanted: Option<&Text>, said: &[u8]) -> bool {
    match wanted {
        None => !said.is_empty(),
        Some(Text::Lacks(_)) => false,
        Some(wanted) => wanted.matches(&String::from_utf8_lossy(said)),
    }
}
