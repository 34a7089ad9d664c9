//! An API server on loopback, whatever it answers: it can be stopped, and started again at its address.

use std::net::SocketAddr;

use axum::Router;
use tokio::runtime::{Builder, Runtime};

pub(crate) struct Server {
    app: Router,
    address: SocketAddr,
    /// A runtime of its own, whose end ends every connection, and whose clock no test stops.
    runtime: Option<Runtime>,
}

impl Server {
    pub(crate) fn start(app: Router) -> Self {
        let mut server = Self { app, address: SocketAddr::from(([127, 0, 0, 1], 0)), runtime: None };
        server.restart();
        server
    }

    pub(crate) fn client(&self) -> kube::Client {
        let mut config = kube::Config::new(format!("http://{}", self.address).parse().unwrap());
        config.default_retry = false;
        kube::Client::try_from(config).unwrap()
    }

    /// Ends the server and every connection to it.
    pub(crate) fn stop(&mut self) {
        self.runtime.take().into_iter().for_each(Runtime::shutdown_background);
    }

    pub(crate) fn restart(&mut self) {
        let listener = std::net::TcpListener::bind(self.address).unwrap();
        listener.set_nonblocking(true).unwrap();
        self.address = listener.local_addr().unwrap();
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let app = self.app.clone();
        runtime.spawn(async move {
            axum::serve(tokio::net::TcpListener::from_std(listener).unwrap(), app).await.unwrap();
        });
        self.runtime = Some(runtime);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}
