//! Which namespace a request is about.

use perdure_kernel::{ServiceError, ServiceResult};
use perdure_proto::{
    api::{operatorservice as os, workflowservice as ws},
    tokens,
};
use prost::Message;

use crate::operations::Operation;

/// What a request says about its namespace.
#[derive(Debug, PartialEq)]
pub(crate) enum Scope<'a> {
    /// Nothing: it is about the cluster.
    Cluster,
    /// It names one that is not looked up (it is about to be made, or is read past the cache).
    Unresolved(&'a str),
    /// It may name one.
    Optional(&'a str),
    /// It names one to change.
    Administered(&'a str),
    /// It names one to work in.
    Named(&'a str),
    /// Its task token holds an id; its name, when set, must agree.
    ByToken(&'a str),
}

/// A request that can be placed in a namespace.
pub(crate) trait Scoped {
    /// What its task token decodes to; nothing for requests without one.
    type Token;

    /// The namespace as the request has it.
    fn scope(&self) -> Scope<'_>;

    /// The token, read.
    fn token(&self) -> ServiceResult<Self::Token>;

    /// The namespace id in a token.
    fn token_namespace(token: &Self::Token) -> &str;

    /// The operation this request is, given the RPC that carried it.
    fn operation(&self, rpc: Operation) -> Operation {
        rpc
    }
}

macro_rules! without_token {
    () => {
        type Token = ();

        fn token(&self) -> ServiceResult<()> {
            Ok(())
        }

        fn token_namespace((): &()) -> &str {
            ""
        }
    };
}

macro_rules! scoped {
    ($scope:expr => $($request:ty),* $(,)?) => {
        $(impl Scoped for $request {
            without_token!();

            fn scope(&self) -> Scope<'_> {
                let scope: fn(&Self) -> Scope<'_> = $scope;
                scope(self)
            }
        })*
    };
}

macro_rules! scoped_by_token {
    ($token:ty: $($request:ty),* $(,)?) => {
        $(impl Scoped for $request {
            type Token = $token;

            fn scope(&self) -> Scope<'_> {
                Scope::ByToken(&self.namespace)
            }

            fn token(&self) -> ServiceResult<$token> {
                read_token(&self.task_token)
            }

            fn token_namespace(token: &$token) -> &str {
                &token.namespace_id
            }
        })*
    };
}

scoped! { |_request| Scope::Cluster =>
    ws::ListNamespacesRequest,
    ws::GetSearchAttributesRequest,
    ws::GetClusterInfoRequest,
    ws::GetSystemInfoRequest,
    os::ListClustersRequest,
}

scoped! { |request| Scope::Unresolved(&request.namespace) => ws::RegisterNamespaceRequest }

scoped! { |request| Scope::Optional(&request.namespace) =>
    os::ListSearchAttributesRequest,
    os::AddSearchAttributesRequest,
    os::RemoveSearchAttributesRequest,
}

scoped! { |request| Scope::Administered(&request.namespace) =>
    ws::UpdateNamespaceRequest,
    ws::DeprecateNamespaceRequest,
}

scoped! { |request| Scope::Named(&request.namespace) =>
    ws::StartWorkflowExecutionRequest,
    ws::SignalWithStartWorkflowExecutionRequest,
    ws::SignalWorkflowExecutionRequest,
    ws::RequestCancelWorkflowExecutionRequest,
    ws::TerminateWorkflowExecutionRequest,
    ws::ResetWorkflowExecutionRequest,
    ws::DeleteWorkflowExecutionRequest,
    ws::UpdateWorkflowExecutionOptionsRequest,
    ws::PauseWorkflowExecutionRequest,
    ws::UnpauseWorkflowExecutionRequest,
    ws::DescribeWorkflowExecutionRequest,
    ws::GetWorkflowExecutionHistoryReverseRequest,
    ws::PollWorkflowTaskQueueRequest,
    ws::PollActivityTaskQueueRequest,
    ws::RespondActivityTaskCompletedByIdRequest,
    ws::RespondActivityTaskFailedByIdRequest,
    ws::RespondActivityTaskCanceledByIdRequest,
    ws::RecordActivityTaskHeartbeatByIdRequest,
    ws::UpdateWorkflowExecutionRequest,
    ws::PollWorkflowExecutionUpdateRequest,
    ws::ExecuteMultiOperationRequest,
    ws::StartActivityExecutionRequest,
    ws::PollActivityExecutionRequest,
    ws::RequestCancelActivityExecutionRequest,
    ws::TerminateActivityExecutionRequest,
    ws::DeleteActivityExecutionRequest,
    ws::UpdateActivityOptionsRequest,
    ws::PauseActivityRequest,
    ws::UnpauseActivityRequest,
    ws::ResetActivityRequest,
    ws::PauseActivityExecutionRequest,
    ws::UnpauseActivityExecutionRequest,
    ws::ResetActivityExecutionRequest,
    ws::UpdateActivityExecutionOptionsRequest,
    ws::CreateWorkflowRuleRequest,
    ws::DescribeWorkflowRuleRequest,
    ws::DeleteWorkflowRuleRequest,
    ws::ListWorkflowRulesRequest,
    ws::TriggerWorkflowRuleRequest,
    ws::QueryWorkflowRequest,
    ws::ResetStickyTaskQueueRequest,
    ws::ShutdownWorkerRequest,
    ws::DescribeTaskQueueRequest,
    ws::UpdateTaskQueueConfigRequest,
    ws::RecordWorkerHeartbeatRequest,
    ws::ListWorkersRequest,
    ws::CountWorkersRequest,
    ws::DescribeWorkerRequest,
    ws::FetchWorkerConfigRequest,
    ws::UpdateWorkerConfigRequest,
    ws::ListTaskQueuePartitionsRequest,
    ws::ListOpenWorkflowExecutionsRequest,
    ws::ListClosedWorkflowExecutionsRequest,
    ws::ListWorkflowExecutionsRequest,
    ws::ListArchivedWorkflowExecutionsRequest,
    ws::ScanWorkflowExecutionsRequest,
    ws::CountWorkflowExecutionsRequest,
    ws::ListActivityExecutionsRequest,
    ws::CountActivityExecutionsRequest,
}

scoped_by_token! { tokens::WorkflowTask:
    ws::RespondWorkflowTaskCompletedRequest,
    ws::RespondWorkflowTaskFailedRequest,
}

scoped_by_token! { tokens::ActivityTask:
    ws::RespondActivityTaskCompletedRequest,
    ws::RespondActivityTaskFailedRequest,
    ws::RespondActivityTaskCanceledRequest,
    ws::RecordActivityTaskHeartbeatRequest,
}

scoped_by_token! { tokens::QueryTask: ws::RespondQueryTaskCompletedRequest }

impl Scoped for ws::DescribeNamespaceRequest {
    without_token!();

    fn scope(&self) -> Scope<'_> {
        if self.id.is_empty() { Scope::Unresolved(&self.namespace) } else { Scope::Cluster }
    }
}

impl Scoped for os::DeleteNamespaceRequest {
    without_token!();

    fn scope(&self) -> Scope<'_> {
        if self.namespace_id.is_empty() { Scope::Unresolved(&self.namespace) } else { Scope::Cluster }
    }
}

impl Scoped for ws::GetWorkflowExecutionHistoryRequest {
    without_token!();

    fn scope(&self) -> Scope<'_> {
        Scope::Named(&self.namespace)
    }

    fn operation(&self, rpc: Operation) -> Operation {
        if self.wait_new_event { Operation::PollWorkflowExecutionHistory } else { rpc }
    }
}

impl Scoped for ws::DescribeActivityExecutionRequest {
    without_token!();

    fn scope(&self) -> Scope<'_> {
        Scope::Named(&self.namespace)
    }

    fn operation(&self, rpc: Operation) -> Operation {
        if self.long_poll_token.is_empty() { rpc } else { Operation::LongPollActivityExecution }
    }
}

fn read_token<T: Message + Default>(bytes: &[u8]) -> ServiceResult<T> {
    if bytes.is_empty() {
        return Err(ServiceError::invalid_argument("Task token not set on request."));
    }
    T::decode(bytes).map_err(|_not_a_token| ServiceError::invalid_argument("Error deserializing task token."))
}
