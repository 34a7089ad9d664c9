//! One verified file from an address into the cache.

use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::pin::{Form, Pin};

/// A server that has not been reached, or has said nothing more, for this long is given up.
const SILENCE: Duration = Duration::from_secs(10);

/// A download that was not kept; nothing of it remains.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The address did not give the file.
    #[error("cannot fetch {url}")]
    Fetch {
        /// The address.
        url: String,
        /// What the client says.
        source: Box<reqwest::Error>,
    },
    /// The file is not the one that was published.
    #[error("{url} has SHA-256 {got}, but {wanted} was published; it was not kept")]
    Sum {
        /// The address.
        url: String,
        /// Its sum now.
        got: String,
        /// The sum that is pinned.
        wanted: String,
    },
    /// It cannot be kept.
    #[error("cannot keep it as {path}")]
    Keep {
        /// The file in the cache.
        path: String,
        /// The system's reason.
        source: io::Error,
    },
}

/// Fetches, verifies and unpacks a program, then moves it to its place in one step: whoever looks there at any moment,
/// another process that does the same included, sees nothing or a whole program.
pub(super) async fn download(pin: &Pin, to: &Path) -> Result<(), DownloadError> {
    let folder = to.parent().unwrap_or(Path::new("."));
    let keep = |source| DownloadError::Keep { path: to.display().to_string(), source };
    std::fs::create_dir_all(folder).map_err(keep)?;
    let mut raw = NamedTempFile::new_in(folder).map_err(keep)?;
    let got = receive(pin, &mut raw, keep).await?;
    if got != pin.sha256 {
        return Err(DownloadError::Sum { url: pin.url.clone(), got, wanted: pin.sha256.clone() });
    }
    let (form, to, folder) = (pin.form.clone(), to.to_owned(), folder.to_owned());
    let placed = tokio::task::spawn_blocking(move || place(raw, &form, &folder, &to)).await;
    placed.unwrap_or_else(|panic| Err(io::Error::other(panic))).map_err(keep)
}

/// Writes what the address gives into the file, and returns its sum.
async fn receive(
    pin: &Pin,
    file: &mut NamedTempFile,
    keep: impl Fn(io::Error) -> DownloadError,
) -> Result<String, DownloadError> {
    let lost =
        |source: reqwest::Error| DownloadError::Fetch { url: pin.url.clone(), source: Box::new(source.without_url()) };
    let client = reqwest::Client::builder().connect_timeout(SILENCE).read_timeout(SILENCE).build().map_err(lost)?;
    let mut response = client.get(&pin.url).send().await.and_then(reqwest::Response::error_for_status).map_err(lost)?;
    let mut sum = Sha256::new();
    while let Some(bytes) = response.chunk().await.map_err(lost)? {
        sum.update(&bytes);
        file.write_all(&bytes).map_err(&keep)?;
    }
    Ok(sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn place(raw: NamedTempFile, form: &Form, folder: &Path, to: &PathBuf) -> io::Result<()> {
    let program = match form {
        Form::Program => raw,
        Form::TarGz(member) => unpack(raw.reopen()?, member, folder)?,
    };
    program.as_file().set_permissions(Permissions::from_mode(0o755))?;
    program.as_file().sync_all()?;
    program.persist(to).map_err(|error| error.error)?;
    Ok(())
}

fn unpack(archive: File, member: &str, folder: &Path) -> io::Result<NamedTempFile> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(archive));
    for entry in archive.entries()? {
        let mut entry = entry?;
        if entry.path()? == Path::new(member) {
            let mut program = NamedTempFile::new_in(folder)?;
            io::copy(&mut entry, &mut program)?;
            return Ok(program);
        }
    }
    Err(io::Error::new(io::ErrorKind::NotFound, format!("the archive has no {member}")))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::body::{Body, Bytes};
    use axum::response::Redirect;
    use axum::routing::get;

    use super::*;
    use crate::complaint;

    const PROGRAM: &[u8] = b"#!/bin/sh\necho kind v0.32.0\n";

    fn sha256(bytes: &[u8]) -> String {
        Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn archive() -> Vec<u8> {
        let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
        let mut header = tar::Header::new_gnu();
        header.set_size(PROGRAM.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, "linux-amd64/helm", PROGRAM).unwrap();
        tar.into_inner().unwrap().finish().unwrap()
    }

    /// A server that says it sends more than it does, then ends.
    async fn truncated() -> axum::response::Response {
        let chunks = [Ok(Bytes::from_static(&PROGRAM[..5])), Err(io::Error::other("cut"))];
        let body = Body::from_stream(futures::stream::iter(chunks));
        axum::response::Response::builder().header("content-length", PROGRAM.len()).body(body).unwrap()
    }

    async fn server() -> SocketAddr {
        rustls::crypto::ring::default_provider().install_default().ok();
        let app = axum::Router::new()
            .route("/program", get(|| async { PROGRAM }))
            .route("/archive", get(|| async { archive() }))
            .route("/moved", get(|| async { Redirect::temporary("/program") }))
            .route("/truncated", get(truncated));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        address
    }

    fn pin(server: SocketAddr, path: &str, sha256: String, form: Form) -> Pin {
        Pin { version: "0.32.0".to_owned(), url: format!("http://{server}/{path}"), sha256, form }
    }

    fn files(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    async fn refused(path: &str, sha256: String, form: Form) -> String {
        let cache = tempfile::tempdir().unwrap();
        let pin = pin(server().await, path, sha256, form);
        let error = download(&pin, &cache.path().join("kind")).await.unwrap_err();
        assert_eq!(files(cache.path()), [""; 0], "something was kept");
        complaint::chain(&error)
    }

    #[tokio::test]
    async fn a_program_or_an_archive_with_the_published_sum_is_kept_and_runs() {
        let server = server().await;
        for (path, sum, form) in [
            ("program", sha256(PROGRAM), Form::Program),
            ("moved", sha256(PROGRAM), Form::Program),
            ("archive", sha256(&archive()), Form::TarGz("linux-amd64/helm".to_owned())),
        ] {
            let cache = tempfile::tempdir().unwrap();
            let to = cache.path().join("tools/kind-0.32.0/kind");
            download(&pin(server, path, sum, form), &to).await.unwrap();
            assert_eq!(files(to.parent().unwrap()), ["kind"]);
            let told = crate::process::Program::new(&to).output().await.unwrap();
            assert_eq!(told, b"kind v0.32.0\n", "{path}");
        }
    }

    #[tokio::test]
    async fn a_wrong_sum_is_refused_with_both_sums_and_nothing_is_kept() {
        let words = refused("program", "0".repeat(64), Form::Program).await;
        assert!(words.contains(&sha256(PROGRAM)) && words.contains(&"0".repeat(64)), "{words}");
    }

    #[tokio::test]
    async fn a_cut_download_is_refused_and_nothing_is_kept() {
        let words = refused("truncated", sha256(PROGRAM), Form::Program).await;
        assert!(words.starts_with("cannot fetch http://127.0.0.1"), "{words}");
    }

    #[tokio::test]
    async fn a_missing_file_is_said_with_its_status() {
        let words = refused("nothing-here", sha256(PROGRAM), Form::Program).await;
        assert!(words.contains("404 Not Found"), "{words}");
    }

    #[tokio::test]
    async fn an_archive_without_the_program_is_refused() {
        let words = refused("archive", sha256(&archive()), Form::TarGz("darwin-arm64/helm".to_owned())).await;
        assert!(words.ends_with("the archive has no darwin-arm64/helm"), "{words}");
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_named() {
        // Taken, so that nobody else is given it, and not listened at.
        let taken = tokio::net::TcpSocket::new_v4().unwrap();
        taken.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let closed = taken.local_addr().unwrap();
        rustls::crypto::ring::default_provider().install_default().ok();
        let cache = tempfile::tempdir().unwrap();
        let pin = pin(closed, "program", sha256(PROGRAM), Form::Program);
        let error = download(&pin, &cache.path().join("kind")).await.unwrap_err();
        assert!(complaint::chain(&error).starts_with(&format!("cannot fetch http://{closed}/program: ")), "{error:?}");
    }

    #[tokio::test]
    async fn two_at_once_into_the_same_place_both_end_well() {
        let cache = tempfile::tempdir().unwrap();
        let to = cache.path().join("kind");
        let pin = pin(server().await, "program", sha256(PROGRAM), Form::Program);
        let (one, other) = tokio::join!(download(&pin, &to), download(&pin, &to));
        one.unwrap();
        other.unwrap();
        assert_eq!(files(cache.path()), ["kind"]);
    }
}
