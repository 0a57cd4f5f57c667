//! The way from a program that embeds a server to its own archetypes.

use std::{fmt, marker::PhantomData, sync::Arc};

use bytes::Bytes;
use perdure_execution::archetype::{Actor, actor_input, actor_reply};
use perdure_kernel::{Archetype, BusinessKey, ErrorKind, NamespaceId, ServiceError, ServiceResult};
use perdure_rpc::{Caller, HistoryClient, NamespaceSnapshots};

/// The actors of one archetype in a namespace. Cheap to clone.
pub struct Actors<A> {
    history: HistoryClient,
    namespaces: Arc<dyn NamespaceSnapshots>,
    namespace: NamespaceId,
    archetype: PhantomData<fn() -> A>,
}

impl<A> Clone for Actors<A> {
    fn clone(&self) -> Self {
        Self {
            history: self.history.clone(),
            namespaces: Arc::clone(&self.namespaces),
            namespace: self.namespace.clone(),
            archetype: PhantomData,
        }
    }
}

impl<A: Actor> fmt::Debug for Actors<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Actors").field("archetype", &A::NAME).field("namespace", &self.namespace).finish()
    }
}

impl<A: Actor> Actors<A> {
    pub(crate) fn new(history: HistoryClient, namespaces: Arc<dyn NamespaceSnapshots>, namespace: NamespaceId) -> Self {
        Self { history, namespaces, namespace, archetype: PhantomData }
    }

    /// Sends an input to the actor `id` and waits for its reply. What the reply tells is durable.
    ///
    /// # Errors
    ///
    /// The actor's own refusal. `Unavailable` when it is not known whether the input was taken: an actor that
    /// must not take one twice remembers an id that the input brings.
    pub async fn send(&self, id: &str, input: A::Input) -> ServiceResult<A::Reply> {
        let namespace = self.namespaces.by_id(&self.namespace).ok_or_else(|| {
            let kind = ErrorKind::NamespaceNotFound { namespace: self.namespace.to_string() };
            ServiceError::new(kind, format!("Namespace {} is not found.", self.namespace))
        })?;
        let caller = Caller::server(namespace);
        let key = BusinessKey {
            namespace_id: self.namespace.clone(),
            archetype: Archetype(A::NUMBER),
            business_id: id.into(),
        };
        let reply: Bytes = self.history.act(key, String::new(), caller, actor_input::<A>(&input), None).await?;
        actor_reply::<A>(reply)
    }
}
