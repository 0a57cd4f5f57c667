//! What callers ask of an update, and how each kind of caller is answered.

use perdure_execution::workflow::{calls::update::id_of, updates::aborted_by_server};
use perdure_kernel::{ErrorKind, ExecutionKey, ServiceError};
use perdure_proto::api::{
    common::{Link, WorkflowExecution, link},
    enums::{EventType, UpdateWorkflowExecutionLifecycleStage as ApiStage},
    update::{Outcome, UpdateRef, WaitPolicy, outcome},
    workflowservice::{self as ws, execute_multi_operation_response as multi},
};
use perdure_rpc::{
    Ask, Caller, HistoryCall,
    history::{UpdateWithStart, UpdateWorkflow},
};

use super::updates::Told;

pub(super) type UpdateAsk = Ask<Box<UpdateWorkflow>, ws::UpdateWorkflowExecutionResponse>;
pub(super) type PollAsk = Ask<Box<ws::PollWorkflowExecutionUpdateRequest>, ws::PollWorkflowExecutionUpdateResponse>;
pub(super) type WithStartAsk = Ask<Box<UpdateWithStart>, ws::ExecuteMultiOperationResponse>;

/// How often one request is made anew inside the server.
const RENEWALS_MAX: u32 = 10;

/// A caller of an update.
pub(super) enum Asked {
    /// Asks for it.
    Update(UpdateAsk),
    /// Waits for one that was asked for.
    Poll(PollAsk),
    /// Asks for it and for a start.
    WithStart {
        /// What is asked.
        ask: WithStartAsk,
        /// What is told of the start.
        start: Box<ws::StartWorkflowExecutionResponse>,
    },
}

/// How far an update is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// Somebody asked for it.
    Admitted,
    /// The workflow works on it.
    Accepted,
    /// It is answered or rejected.
    Completed,
}

impl Stage {
    fn of(policy: Option<&WaitPolicy>) -> Self {
        match policy.map(WaitPolicy::lifecycle_stage).unwrap_or_default() {
            ApiStage::Unspecified | ApiStage::Admitted => Self::Admitted,
            ApiStage::Accepted => Self::Accepted,
            ApiStage::Completed => Self::Completed,
        }
    }

    fn to_api(self) -> i32 {
        let stage = match self {
            Self::Admitted => ApiStage::Admitted,
            Self::Accepted => ApiStage::Accepted,
            Self::Completed => ApiStage::Completed,
        };
        stage.into()
    }
}

/// What is told of an update.
pub(super) struct Status {
    pub(super) stage: Stage,
    pub(super) outcome: Option<Outcome>,
}

impl Asked {
    pub(super) fn caller(&self) -> &Caller {
        match self {
            Self::Update(ask) => &ask.caller,
            Self::Poll(ask) => &ask.caller,
            Self::WithStart { ask, .. } => &ask.caller,
        }
    }

    pub(super) fn update_id(&self) -> &str {
        match self {
            Self::Update(ask) => id_of(&ask.request.request),
            Self::Poll(ask) => ask.request.update_ref.as_ref().map_or("", |update| &update.update_id),
            Self::WithStart { ask, .. } => id_of(&ask.request.update),
        }
    }

    /// The stage that is waited for.
    pub(super) fn stage(&self) -> Stage {
        Stage::of(match self {
            Self::Update(ask) => ask.request.request.wait_policy.as_ref(),
            Self::Poll(ask) => ask.request.wait_policy.as_ref(),
            Self::WithStart { ask, .. } => ask.request.update.wait_policy.as_ref(),
        })
    }

    /// Whether the caller is gone.
    pub(super) fn is_closed(&self) -> bool {
        match self {
            Self::Update(ask) => ask.reply.is_closed(),
            Self::Poll(ask) => ask.reply.is_closed(),
            Self::WithStart { ask, .. } => ask.reply.is_closed(),
        }
    }

    /// Answers the caller.
    pub(super) fn answer(self, run: &ExecutionKey, told: Told) {
        let status = match told {
            Ok(status) => status,
            Err(error) => return self.refuse(error),
        };
        match self {
            Self::Update(ask) => {
                let response = response(&ask.request.request, run, status);
                ask.reply.send(Ok(response));
            }
            Self::Poll(ask) => {
                let update_ref =
                    update_ref(run, ask.request.update_ref.as_ref().map_or("", |update| &update.update_id));
                let (outcome, stage) = (status.outcome, status.stage.to_api());
                ask.reply.send(Ok(ws::PollWorkflowExecutionUpdateResponse {
                    outcome,
                    stage,
                    update_ref: Some(update_ref),
                }));
            }
            Self::WithStart { ask, start } => {
                let update = response(&ask.request.update, run, status);
                ask.reply.send(Ok(ws::ExecuteMultiOperationResponse {
                    responses: vec![
                        multi::Response { response: Some(multi::response::Response::StartWorkflow(*start)) },
                        multi::Response { response: Some(multi::response::Response::UpdateWorkflow(update)) },
                    ],
                }));
            }
        }
    }

    /// Tells the caller that the update failed; or gives it back, to be tried on another run.
    pub(super) fn fail(self, error: ServiceError) -> Option<HistoryCall> {
        match self {
            // Unlike an update alone, this one can start a run: once, quietly.
            Self::WithStart { mut ask, start } if !start.started && error.kind == ErrorKind::NotFound => {
                if !ask.request.aborted_once {
                    ask.request.aborted_once = true;
                    return Some(HistoryCall::UpdateWithStart(ask));
                }
                Self::WithStart { ask, start }.refuse(ServiceError::new(ErrorKind::Aborted, error.message));
            }
            asked => asked.refuse(error),
        }
        None
    }

    /// Tells the caller why there is nothing to tell.
    pub(super) fn refuse(self, error: ServiceError) {
        match self {
            Self::Update(ask) => ask.refuse(error),
            Self::Poll(ask) => ask.refuse(error),
            Self::WithStart { ask, start } => {
                let started = (!start.started).then(ServiceError::operation_aborted);
                ask.refuse(ServiceError::multi_operation(vec![started, Some(error)]));
            }
        }
    }

    /// The request once more, unless that was done often enough or nobody waits for it.
    pub(super) fn again(self) -> Option<HistoryCall> {
        if self.is_closed() {
            return None;
        }
        match self {
            Self::Update(mut ask) if ask.request.renewals < RENEWALS_MAX => {
                ask.request.renewals += 1;
                Some(HistoryCall::UpdateWorkflow(ask))
            }
            Self::Poll(ask) => Some(HistoryCall::PollUpdate(ask)),
            Self::WithStart { mut ask, .. } if ask.request.renewals < RENEWALS_MAX => {
                ask.request.renewals += 1;
                Some(HistoryCall::UpdateWithStart(ask))
            }
            asked @ (Self::Update(_) | Self::WithStart { .. }) => {
                asked.refuse(aborted_by_server());
                None
            }
        }
    }
}

fn response(
    request: &ws::UpdateWorkflowExecutionRequest,
    run: &ExecutionKey,
    status: Status,
) -> ws::UpdateWorkflowExecutionResponse {
    ws::UpdateWorkflowExecutionResponse {
        update_ref: Some(update_ref(run, id_of(request))),
        link: link_to(request, run, &status),
        outcome: status.outcome,
        stage: status.stage.to_api(),
    }
}

fn update_ref(run: &ExecutionKey, update_id: &str) -> UpdateRef {
    let workflow_execution =
        WorkflowExecution { workflow_id: run.business.business_id.to_string(), run_id: run.run_id.to_string() };
    UpdateRef { workflow_execution: Some(workflow_execution), update_id: update_id.to_owned() }
}

/// The link to the event of acceptance, by the request that was accepted; to the workflow for an update that
/// failed, which Temporal takes for rejected.
fn link_to(request: &ws::UpdateWorkflowExecutionRequest, run: &ExecutionKey, status: &Status) -> Option<Link> {
    let (workflow_id, run_id) = (run.business.business_id.to_string(), run.run_id.to_string());
    let namespace = request.namespace.clone();
    let failed = matches!(&status.outcome, Some(Outcome { value: Some(outcome::Value::Failure(_)) }));
    let variant = match status.stage {
        Stage::Admitted => return None,
        Stage::Completed if failed => link::Variant::Workflow(link::Workflow {
            namespace,
            workflow_id,
            run_id,
            reason: "Update rejected".to_owned(),
        }),
        Stage::Accepted | Stage::Completed => {
            let request_id = request.request.as_ref().map(|request| request.request_id.clone()).unwrap_or_default();
            let event_type = EventType::WorkflowExecutionUpdateAccepted.into();
            let reference = link::workflow_event::RequestIdReference { request_id, event_type };
            link::Variant::WorkflowEvent(link::WorkflowEvent {
                namespace,
                workflow_id,
                run_id,
                reference: Some(link::workflow_event::Reference::RequestIdRef(reference)),
            })
        }
    };
    Some(Link { variant: Some(variant) })
}
