//! How a list of RPCs becomes a tonic service.

/// Implements a generated service trait for a tuple struct around `Arc<Shared>`, one line per RPC, and lists
/// the names of both kinds as `SERVED` and `UNSERVED`. Served RPCs pass [`crate::call::Shared::enter`], then
/// their handler; the others answer `UNIMPLEMENTED` with their name.
macro_rules! service {
    (
        impl $trait:ident for $type:ident {
            served { $($rpc:ident: $method:ident($request:ty) -> $response:ty = $handler:path;)* }
            unserved { $($u_rpc:ident: $u_method:ident($u_request:ty) -> $u_response:ty;)* }
        }
    ) => {
        /// RPCs of this service that are answered.
        pub const SERVED: &[&str] = &[$(stringify!($rpc),)*];
        /// RPCs of this service that answer `UNIMPLEMENTED`.
        pub const UNSERVED: &[&str] = &[$(stringify!($u_rpc),)*];

        #[tonic::async_trait]
        impl $trait for $type {
            $(async fn $method(
                &self,
                request: tonic::Request<$request>,
            ) -> Result<tonic::Response<$response>, tonic::Status> {
                let (measure, call, request) =
                    self.0.enter($crate::operations::Operation::$rpc, request).await?;
                measure.finish($handler(&self.0, call, request).await)
            })*

            $(async fn $u_method(
                &self,
                _request: tonic::Request<$u_request>,
            ) -> Result<tonic::Response<$u_response>, tonic::Status> {
                Err($crate::service::unserved(stringify!($u_rpc)))
            })*
        }
    };
}

pub(crate) use service;

/// The answer of an RPC that is not served.
pub(crate) fn unserved(rpc: &str) -> tonic::Status {
    crate::status::to_status(perdure_kernel::ServiceError::unimplemented(rpc), usize::MAX)
}
