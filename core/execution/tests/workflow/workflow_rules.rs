//! Rules of a namespace, and what they do with activities.

use perdure_execution::workflow::{calls::activity_outcome::Outcome, describe::describe};
use perdure_kernel::{Namespace, NamespaceId};
use perdure_proto::api::{
    rules::{
        WorkflowRule, WorkflowRuleAction, WorkflowRuleSpec,
        workflow_rule_action::{ActionActivityPause, Variant},
        workflow_rule_spec::{ActivityStartingTrigger, Trigger},
    },
    workflow::pending_activity_info::pause_info::{PausedBy, Rule},
};

use crate::kit::{BEGIN, Kit, make::*, operator::*};

pub(crate) fn rule(predicate: &str) -> WorkflowRule {
    let trigger = Trigger::ActivityStart(ActivityStartingTrigger { predicate: predicate.to_owned() });
    let spec = WorkflowRuleSpec {
        id: "rule".to_owned(),
        trigger: Some(trigger),
        actions: vec![WorkflowRuleAction { variant: Some(Variant::ActivityPause(ActionActivityPause {})) }],
        ..Default::default()
    };
    WorkflowRule {
        spec: Some(spec),
        created_by_identity: "author".to_owned(),
        description: "on purpose".to_owned(),
        ..Default::default()
    }
}

/// A run with an activity that no worker has, under a rule.
fn under(rule: WorkflowRule) -> Kit {
    let mut namespace = Namespace::new(NamespaceId::from("namespace-id"), "namespace");
    namespace.workflow_rules.insert("rule".to_owned(), rule);
    let mut kit = Kit::start_in(namespace, |_| {});
    kit.turn(vec![schedule("a")]);
    kit.skip_news();
    kit
}

/// Whether the first attempt meets the rule.
fn pauses(rule: WorkflowRule) -> bool {
    let mut kit = under(rule);
    let task = kit.dispatched(kit.activity("a")).unwrap();
    let started = kit.start_queued(&task, "poll-1");
    assert_eq!(started.is_err(), kit.attempt("a").pause.is_some());
    started.is_err()
}

#[test]
fn a_first_attempt_is_held_back() {
    let mut kit = under(rule("ActivityType = 'deed'"));
    let task = kit.dispatched(kit.activity("a")).unwrap();
    kit.start_queued(&task, "poll-1").unwrap_err();
    let told = describe(&kit.state, &kit.namespace).pending_activities.remove(0);
    let by = PausedBy::Rule(Rule { rule_id: "rule".into(), identity: "author".into(), reason: "on purpose".into() });
    assert_eq!(told.pause_info.unwrap().paused_by, Some(by));
    // While the rule stands, the end of a pause is the beginning of the next.
    kit.unpause_activity(&activity_unpause("a")).unwrap();
    assert!(kit.attempt("a").pause.is_some());
    kit.namespace.workflow_rules.clear();
    let told = describe(&kit.state, &kit.namespace).pending_activities.remove(0);
    let by = PausedBy::Rule(Rule { rule_id: "rule".into(), ..Default::default() });
    assert_eq!(told.pause_info.unwrap().paused_by, Some(by));
    kit.unpause_activity(&activity_unpause("a")).unwrap();
    kit.start_activity("a");
}

#[test]
fn a_failed_attempt_meets_rules_before_the_next() {
    let mut kit = under(rule("Attempts >= 2 AND BackoffInterval >= 1"));
    let token = kit.start_activity("a");
    let failed = || Outcome::Failed { failure: Some(failure("kind").into()), last_heartbeat_details: None };
    kit.finish(&token, failed()).unwrap();
    assert!(kit.attempt("a").pause.is_none());
    kit.pass(SECOND);
    assert!(kit.attempt("a").pause.is_some(), "when its time has come");
    kit.namespace.workflow_rules.clear();
    kit.unpause_activity(&activity_unpause("a")).unwrap();
    let token = kit.start_activity("a");
    kit.namespace.workflow_rules.insert("rule".to_owned(), rule("ActivityState = 'Started'"));
    kit.finish(&token, failed()).unwrap();
    assert_eq!((kit.attempt("a").attempt, kit.attempt("a").pause.is_some()), (3, true));
}

#[test]
fn predicates() {
    for (predicate, expected) in [
        ("ActivityType = 'deed'", true),
        ("ActivityType != 'deed'", false),
        ("ActivityType starts_with 'de' AND ActivityId = 'a'", true),
        ("ActivityId not starts_with 'a' OR TaskQueue = 'queue'", true),
        ("ActivityState = 'Scheduled'", true),
        ("ActivityState = 'Paused'", false),
        ("Attempts = 1", true),
        ("Attempts > 1", false),
        ("Attempts <= 1 and Attempts >= 1 and Attempts < 2 and Attempts != 3", true),
        ("BackoffInterval >= 0", false),
        ("StartedTime < '2000-01-01T00:00:00Z'", true),
        ("StartedTime BETWEEN 0 AND 5", false),
        ("StartedTime NOT BETWEEN 0 AND 5", true),
        // Not understood.
        ("", false),
        ("%%", false),
        ("ActivityType = 5", false),
        ("ActivityType = ''", false),
        ("ActivityType > 'a'", false),
        ("Attempts = 'x'", false),
        ("Attempts starts_with 1", false),
        ("StartedTime > 'today'", false),
        ("StartedTime > '2000-01-01 00:00:00Z'", false),
        ("WorkflowId = 'workflow'", false),
        ("Attempts BETWEEN 1 AND 2", false),
        ("ActivityType = 'deed' AND Nothing = 1", false),
        ("ActivityType = 'deed' OR Nothing = 1", true),
    ] {
        assert_eq!(pauses(rule(predicate)), expected, "{predicate}");
    }
}

#[test]
fn rules_may_ask_about_the_workflow() {
    for (query, expected) in [
        ("", true),
        ("WorkflowId = 'workflow'", true),
        ("WorkflowId starts_with 'work' AND WorkflowType = 'kind'", true),
        ("WorkflowType = 'other'", false),
        // The value begins with the type, not the other way round.
        ("WorkflowType starts_with 'kinds'", true),
        ("WorkflowType starts_with 'ki'", false),
        ("ExecutionStatus = 'Running'", true),
        ("ExecutionStatus != 'Running'", false),
        ("ExecutionStatus starts_with 'R'", false),
        ("StartTime > '2020-01-01T00:00:00Z'", true),
        ("StartTime BETWEEN '2020-01-01T00:00:00Z' AND '2021-01-01T00:00:00Z'", false),
        ("Nothing = 1", false),
    ] {
        let mut rule = rule("Attempts = 1");
        rule.spec.as_mut().unwrap().visibility_query = query.to_owned();
        assert_eq!(pauses(rule), expected, "{query}");
    }
}

#[test]
fn rules_expire_and_may_do_nothing() {
    let mut expired = rule("Attempts = 1");
    expired.spec.as_mut().unwrap().expiration_time = Some((BEGIN - SECOND).to_proto());
    assert!(!pauses(expired.clone()));
    expired.spec.as_mut().unwrap().expiration_time = Some((BEGIN + SECOND).to_proto());
    assert!(pauses(expired));
    let mut idle = rule("Attempts = 1");
    idle.spec.as_mut().unwrap().actions.clear();
    assert!(!pauses(idle));
    let mut bare = rule("Attempts = 1");
    bare.spec.as_mut().unwrap().trigger = None;
    assert!(!pauses(bare));
    assert!(!pauses(WorkflowRule::default()));
}
