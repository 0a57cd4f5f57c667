//! Workflow rules: off by default, then kept with the namespace and carried out.

use perdure_proto::api::{
    enums::PendingActivityState,
    rules::{
        WorkflowRuleAction, WorkflowRuleSpec,
        workflow_rule_action::{ActionActivityPause, Variant},
        workflow_rule_spec::{ActivityStartingTrigger, Trigger},
    },
    workflowservice as ws,
};
use tonic::Code;

use crate::kit::*;

const ALLOWED: (&str, &str) = ("frontend.workflowRulesAPIsEnabled", "true");

fn create(id: &str) -> ws::CreateWorkflowRuleRequest {
    let trigger = Trigger::ActivityStart(ActivityStartingTrigger { predicate: "ActivityType = 'charge'".to_owned() });
    ws::CreateWorkflowRuleRequest {
        namespace: NAMESPACE.to_owned(),
        spec: Some(WorkflowRuleSpec {
            id: id.to_owned(),
            trigger: Some(trigger),
            actions: vec![WorkflowRuleAction { variant: Some(Variant::ActivityPause(ActionActivityPause {})) }],
            ..Default::default()
        }),
        identity: "author".to_owned(),
        description: "on purpose".to_owned(),
        ..Default::default()
    }
}

fn describe(id: &str) -> ws::DescribeWorkflowRuleRequest {
    ws::DescribeWorkflowRuleRequest { namespace: NAMESPACE.to_owned(), rule_id: id.to_owned() }
}

fn delete(id: &str) -> ws::DeleteWorkflowRuleRequest {
    ws::DeleteWorkflowRuleRequest { namespace: NAMESPACE.to_owned(), rule_id: id.to_owned() }
}

fn list() -> ws::ListWorkflowRulesRequest {
    ws::ListWorkflowRulesRequest { namespace: NAMESPACE.to_owned(), ..Default::default() }
}

#[tokio::test]
pub(crate) async fn rules_are_not_supported_unless_allowed() {
    let server = Server::start().await;
    let text = |rpc: &str| format!("method {rpc} not supported");
    refused(server.rpc().create_workflow_rule(create("a")).await, Code::Unimplemented, "", &text("CreateWorkflowRule"));
    let answer = server.rpc().describe_workflow_rule(describe("a")).await;
    refused(answer, Code::Unimplemented, "", &text("DescribeWorkflowRule"));
    refused(server.rpc().delete_workflow_rule(delete("a")).await, Code::Unimplemented, "", &text("DeleteWorkflowRule"));
    refused(server.rpc().list_workflow_rules(list()).await, Code::Unimplemented, "", &text("ListWorkflowRules"));
    let request = ws::TriggerWorkflowRuleRequest { namespace: NAMESPACE.to_owned(), ..Default::default() };
    let answer = server.rpc().trigger_workflow_rule(request).await;
    refused(answer, Code::Unimplemented, "", &text("TriggerWorkflowRule"));
    server.stop().await;
}

#[tokio::test]
pub(crate) async fn rules_are_made_read_and_deleted() {
    let server = Server::with(&[ALLOWED]).await;
    let made = server.rpc().create_workflow_rule(create("a")).await.unwrap().into_inner().rule.unwrap();
    assert_eq!((made.created_by_identity.as_str(), made.description.as_str()), ("author", "on purpose"));
    assert!(made.create_time.is_some());
    let read = server.rpc().describe_workflow_rule(describe("a")).await.unwrap().into_inner().rule.unwrap();
    assert_eq!(read, made);
    let invalid = |text: &'static str| (Code::InvalidArgument, "", text);
    let (code, detail, text) = invalid("Workflow Rule with this ID already exists.");
    refused(server.rpc().create_workflow_rule(create("a")).await, code, detail, text);
    for count in 1..10 {
        server.rpc().create_workflow_rule(create(&format!("more-{count}"))).await.unwrap();
    }
    let (code, detail, text) = invalid("Workflow Rule limit exceeded. Max: 10");
    refused(server.rpc().create_workflow_rule(create("b")).await, code, detail, text);
    assert_eq!(server.rpc().list_workflow_rules(list()).await.unwrap().into_inner().rules.len(), 10);
    server.rpc().delete_workflow_rule(delete("a")).await.unwrap();
    let (code, detail, text) = invalid("Workflow Rule with this ID not Found.");
    refused(server.rpc().delete_workflow_rule(delete("a")).await, code, detail, text);
    refused(server.rpc().describe_workflow_rule(describe("a")).await, code, detail, text);
    // One that expires makes room.
    let mut expiring = create("a");
    expiring.spec.as_mut().unwrap().expiration_time = made.create_time;
    server.rpc().create_workflow_rule(expiring).await.unwrap();
    server.rpc().create_workflow_rule(create("b")).await.unwrap();
    refused(server.rpc().describe_workflow_rule(describe("a")).await, code, detail, text);

    let (code, detail, text) = invalid("Workflow Rule ID is not set.");
    refused(server.rpc().create_workflow_rule(create("")).await, code, detail, text);
    refused(server.rpc().describe_workflow_rule(describe("")).await, code, detail, text);
    refused(server.rpc().delete_workflow_rule(delete("")).await, code, detail, text);
    let long = server.rpc().create_workflow_rule(create(&"x".repeat(1001))).await;
    refused(long, Code::InvalidArgument, "", "Workflow Rule Id length exceeds limit.");
    let bare = ws::CreateWorkflowRuleRequest { spec: None, ..create("") };
    let answer = server.rpc().create_workflow_rule(bare).await;
    refused(answer, Code::InvalidArgument, "", "Rule Specification is not set.");
    server.stop().await;
}

#[tokio::test]
async fn a_rule_holds_activities_back() {
    let server = Server::with(&[ALLOWED]).await;
    server.rpc().create_workflow_rule(create("a")).await.unwrap();
    let flow = Flow::new(&server);
    flow.begin(vec![schedule(activity("a", &flow.queue, 3))]).await;
    let nothing = server.rpc().poll_activity_task_queue(within(BRIEF, flow.activity_poll_request())).await.unwrap();
    assert!(nothing.into_inner().task_token.is_empty());
    assert_eq!(flow.describe().await.pending_activities[0].state(), PendingActivityState::Paused);
    server.rpc().delete_workflow_rule(delete("a")).await.unwrap();
    let request = ws::UnpauseActivityRequest {
        namespace: NAMESPACE.to_owned(),
        execution: flow.execution(),
        activity: Some(ws::unpause_activity_request::Activity::Id("a".to_owned())),
        ..Default::default()
    };
    server.rpc().unpause_activity(request).await.unwrap();
    assert_eq!(flow.activity().await.attempt, 1);
    server.stop().await;
}
