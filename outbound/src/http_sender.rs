//! Callbacks over HTTP/1.1 and HTTP/2, with and without TLS.

use std::error::Error;

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use perdure_kernel::callback_url::{INTERNAL_URL, SYSTEM_URL};

use crate::{CallbackRequest, CallbackSender, Undelivered, answer, request};

/// Bytes of an answer that are read; a longer one counts as broken.
const ANSWER_MAX: usize = 2 * 1024 * 1024;

/// Idle connections kept for each destination.
const IDLE_PER_HOST_MAX: usize = 8;

/// Delivers callbacks over HTTP. Connections are kept and shared; redirects are not followed, for they could
/// lead to an address that is not allowed.
#[derive(Clone, Debug)]
pub struct HttpSender {
    plain: Client<HttpConnector, Full<Bytes>>,
    /// Or why there is none: a machine may have no certificates that it trusts.
    secure: Result<Client<HttpsConnector<HttpConnector>, Full<Bytes>>, String>,
}

impl Default for HttpSender {
    fn default() -> Self {
        Self::new()
    }
}

impl HttpSender {
    /// A sender that trusts the certificates that the system trusts.
    pub fn new() -> Self {
        let mut client = Client::builder(TokioExecutor::new());
        client.pool_timer(TokioTimer::new()).pool_max_idle_per_host(IDLE_PER_HOST_MAX);
        let secure = HttpsConnectorBuilder::new().with_native_roots();
        Self {
            plain: client.build_http(),
            secure: secure
                .map(|roots| client.build(roots.https_only().enable_http1().enable_http2().build()))
                .map_err(|error| format!("tls: the system's trusted certificates cannot be read: {error}")),
        }
    }

    async fn post(&self, request: &CallbackRequest) -> Result<(), Undelivered> {
        let url = &request.callback.url;
        let failed = |why: String| Undelivered::retryable(format!("Post {url:?}: {why}"));
        let http = request::build(&request.callback, &request.completion)?.map(Full::new);
        let answer = match &self.secure {
            _ if http.uri().scheme_str() == Some("http") => self.plain.request(http),
            Ok(secure) => secure.request(http),
            Err(why) => return Err(failed(why.clone())),
        };
        let answer = answer.await.map_err(|error| failed(reason(&error)))?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER_MAX).collect().await.map_err(|error| failed(reason(error.as_ref())))?;
        answer::read(head.status, &head.headers, &body.to_bytes())
    }
}

#[async_trait]
impl CallbackSender for HttpSender {
    async fn send(&self, request: CallbackRequest) -> Result<(), Undelivered> {
        match request.callback.url.as_str() {
            // Both lead to Nexus operations of this cluster, which there are none of.
            SYSTEM_URL => return Err(Undelivered::for_good("handler error (BAD_REQUEST): invalid callback token")),
            INTERNAL_URL => return Err(Undelivered::for_good("internal error: no operation waits for this callback")),
            _ => {}
        }
        let late = || Undelivered::retryable(format!("Post {:?}: context deadline exceeded", request.callback.url));
        tokio::time::timeout(request.timeout, self.post(&request)).await.unwrap_or_else(|_| Err(late()))
    }
}

/// The innermost cause: what the outer ones add is about this program.
fn reason(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    innermost.to_string()
}
