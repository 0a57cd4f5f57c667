//! The envelope of a request.

use std::{future::Future, sync::Arc};

use perdure_kernel::{Namespace, ServiceError, ServiceResult, Timestamp};
use perdure_runtime::{Permit, Reply};

/// Who asks, and until when an answer is of use.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The namespace the request is about: a snapshot with its limits.
    pub namespace: Arc<Namespace>,
    /// When the caller stops waiting; `None` when it did not say.
    pub deadline: Option<Timestamp>,
    /// `client-name` header: decides a few client-specific answers. Empty when absent.
    pub client_name: Arc<str>,
}

impl Caller {
    /// The server itself, which waits as long as it takes.
    pub fn server(namespace: Arc<Namespace>) -> Self {
        Self { namespace, deadline: None, client_name: Arc::default() }
    }
}

/// A request under way.
pub struct Ask<Q, R> {
    /// Who asks.
    pub caller: Caller,
    /// What is asked.
    pub request: Q,
    /// Where the answer goes. Dropping it unanswered tells the caller `UNAVAILABLE`.
    pub reply: Reply<ServiceResult<R>>,
    /// The admission permit the request holds while it is under way.
    pub permit: Option<Permit>,
}

impl<Q, R: Send + 'static> Ask<Q, R> {
    /// An ask and the answer to wait for.
    pub fn new(caller: Caller, request: Q, permit: Option<Permit>) -> (Self, impl Future<Output = ServiceResult<R>>) {
        let (reply, answer) = Reply::channel();
        let ask = Self { caller, request, reply, permit };
        (ask, async move {
            match answer.await {
                Ok(result) => result,
                Err(_dropped) => Err(interrupted()),
            }
        })
    }

    /// An ask whose answer is handed to `then`.
    pub fn with_callback(caller: Caller, request: Q, then: impl FnOnce(ServiceResult<R>) + Send + 'static) -> Self {
        let reply = Reply::callback(move |result| then(result.unwrap_or_else(|| Err(interrupted()))));
        Self { caller, request, reply, permit: None }
    }

    /// Answers with a refusal.
    pub fn refuse(self, error: ServiceError) {
        self.reply.send(Err(error));
    }
}

/// What a caller hears when the actor that held its request went away. The request may have been applied.
fn interrupted() -> ServiceError {
    ServiceError::unavailable(
        "the request was interrupted before its outcome was known; try again with the same request id",
    )
}

/// A set of requests to one kind of actor: an enum with a variant for each, made from their asks.
macro_rules! calls {
    (
        $(#[$set_doc:meta])*
        $set:ident {
            $($(#[$doc:meta])* $name:ident($request:ty) -> $response:ty;)*
        }
    ) => {
        $(#[$set_doc])*
        pub enum $set {
            $($(#[$doc])* $name($crate::Ask<$request, $response>),)*
        }

        impl $set {
            /// The call's name, for metrics and logs.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$name(_) => stringify!($name),)* }
            }

            /// Who asks.
            pub fn caller(&self) -> &$crate::Caller {
                match self { $(Self::$name(ask) => &ask.caller,)* }
            }

            /// Answers with a refusal.
            pub fn refuse(self, error: ::perdure_kernel::ServiceError) {
                match self { $(Self::$name(ask) => ask.refuse(error),)* }
            }
        }

        $(impl From<$crate::Ask<$request, $response>> for $set {
            fn from(ask: $crate::Ask<$request, $response>) -> Self {
                Self::$name(ask)
            }
        })*
    };
}
pub(crate) use calls;
