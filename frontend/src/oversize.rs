//! Requests over the size limit, answered as grpc-go answers them: SDKs look for its code and words to tell
//! a message that is too large from other errors.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http::{HeaderValue, Request, Response};
use tonic::{Code, Status, body::Body, server::NamedService};
use tower::Service;

/// What tonic says, with the two sizes in it.
const TONIC_TEXT: &str = "Error, decoded message length too large: found ";

/// Rewrites the refusals that tonic makes before a handler is called.
#[derive(Clone, Debug)]
pub(crate) struct Oversize<S>(pub(crate) S);

impl<S: NamedService> NamedService for Oversize<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Oversize<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Unpin,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Rewritten<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Rewritten(self.0.call(request))
    }
}

/// The response, rewritten when it is such a refusal.
pub(crate) struct Rewritten<F>(F);

impl<F> Future for Rewritten<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>> + Unpin,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|answer| answer.map(rewrite))
    }
}

fn rewrite(response: Response<Body>) -> Response<Body> {
    // Only a refusal has its status in the headers; this is all that other responses cost.
    if response.headers().get("grpc-status") != Some(&HeaderValue::from_static("11")) {
        return response;
    }
    let Some(status) = Status::from_header_map(response.headers()) else { return response };
    match sizes(status.message()) {
        Some((size, size_max)) => {
            let text = format!("grpc: received message larger than max ({size} vs. {size_max})");
            Status::new(Code::ResourceExhausted, text).into_http()
        }
        None => response,
    }
}

fn sizes(text: &str) -> Option<(u64, u64)> {
    let (size, rest) = text.strip_prefix(TONIC_TEXT)?.split_once(" bytes, the limit is: ")?;
    Some((size.parse().ok()?, rest.strip_suffix(" bytes")?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_sizes() {
        let text = "Error, decoded message length too large: found 5000000 bytes, the limit is: 4194304 bytes";
        assert_eq!(sizes(text), Some((5_000_000, 4_194_304)));
        assert_eq!(sizes("Error, decoded message"), None);
    }
}
