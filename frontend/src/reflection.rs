//! gRPC server reflection, built when somebody first asks: its tables are several megabytes that a server
//! seldom needs.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
};

use http::{Request, Response};
use prost::Message;
use prost_types::FileDescriptorSet;
use tonic::{Status, body::Body, codec::CompressionEncoding, server::NamedService, service::Routes};
use tonic_reflection::server::{Builder, Error};
use tower::Service;

/// The services that clients are told of, beside reflection itself.
const LISTED: &[&str] = &[
    "grpc.health.v1.Health",
    "temporal.api.workflowservice.v1.WorkflowService",
    "temporal.api.operatorservice.v1.OperatorService",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];
/// Packages of our own that are no business of clients.
const HIDDEN_PACKAGE: &str = "perdure.";

type Built = Arc<OnceLock<Option<Routes>>>;

/// Version `V` of the reflection protocol (see [`VERSION_1`], [`VERSION_1_ALPHA`]).
#[derive(Clone, Debug)]
pub(crate) struct Reflection<const V: u8>(Built);

pub(crate) const VERSION_1: u8 = 1;
pub(crate) const VERSION_1_ALPHA: u8 = 0;

/// Both versions. They share what is built.
pub(crate) fn services() -> (Reflection<VERSION_1>, Reflection<VERSION_1_ALPHA>) {
    let built = Built::default();
    (Reflection(Arc::clone(&built)), Reflection(built))
}

impl NamedService for Reflection<VERSION_1> {
    const NAME: &'static str = "grpc.reflection.v1.ServerReflection";
}

impl NamedService for Reflection<VERSION_1_ALPHA> {
    const NAME: &'static str = "grpc.reflection.v1alpha.ServerReflection";
}

impl<const V: u8> Service<Request<Body>> for Reflection<V> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let built = self.0.get_or_init(|| {
            build().inspect_err(|error| tracing::error!(%error, "the descriptors for reflection are unusable")).ok()
        });
        match built.clone() {
            Some(mut routes) => Box::pin(async move { routes.call(request).await }),
            None => Box::pin(async { Ok(Status::internal("reflection is not available").into_http()) }),
        }
    }
}

fn build() -> Result<Routes, Error> {
    let mut api = FileDescriptorSet::decode(perdure_proto::FILE_DESCRIPTOR_SET)?;
    api.file.retain(|file| !file.package().starts_with(HIDDEN_PACKAGE));
    for file in &mut api.file {
        // Comments are most of the size, and reflection clients do not show them.
        file.source_code_info = None;
    }
    let builder = || {
        let builder = Builder::configure()
            .register_file_descriptor_set(api.clone())
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET)
            .include_reflection_service(false);
        LISTED.iter().fold(builder, |builder, name| builder.with_service_name(*name))
    };
    let v1 = builder().build_v1()?.accept_compressed(CompressionEncoding::Gzip);
    let v1_alpha = builder().build_v1alpha()?.accept_compressed(CompressionEncoding::Gzip);
    Ok(Routes::new(v1).add_service(v1_alpha).prepare())
}
