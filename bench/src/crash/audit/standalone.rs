//! Holds what the server says of standalone activities against the ledger.

use perdure_proto::api::{
    activity::activity_execution_outcome::Value,
    enums::ActivityExecutionStatus,
    workflowservice::{DescribeActivityExecutionRequest, DescribeActivityExecutionResponse},
};

use super::{ghosts, judge_result};
use crate::{
    client::{Rpc, SHORT_CALL, with_deadline},
    crash::ledger::Standalone,
    messages::text,
};

/// Asks for the activity and judges it. Broken promises, in words.
pub(super) async fn audit(mut rpc: Rpc, namespace: &str, activity_id: &str, entry: &Standalone) -> Vec<String> {
    let Some(run_id) = &entry.run_id else {
        return vec![format!("its start was never acknowledged {:?}", entry.refusals)];
    };
    // Without a run id: the id must still lead to the run that was acknowledged.
    let request = DescribeActivityExecutionRequest {
        namespace: namespace.to_owned(),
        activity_id: activity_id.to_owned(),
        include_outcome: true,
        ..Default::default()
    };
    match rpc.describe_activity_execution(with_deadline(request, SHORT_CALL)).await {
        Ok(found) => judge(run_id, entry, &found.into_inner()),
        Err(status) => vec![format!("lost ({:?} {})", status.code(), status.message())],
    }
}

/// Everything that is wrong with one activity.
pub(super) fn judge(run_id: &str, entry: &Standalone, found: &DescribeActivityExecutionResponse) -> Vec<String> {
    let mut wrong: Vec<String> = entry.refusals.iter().map(|text| format!("refused {text}")).collect();
    if found.run_id != run_id {
        wrong.push(format!("run {run_id} was acknowledged, the current one is {}", found.run_id));
    }
    wrong.extend(ghosts(&entry.runs_seen, run_id).map(|seen| format!("ghost run {seen}")));
    let status = found.info.as_ref().map_or(0, |info| info.status);
    if status != i32::from(ActivityExecutionStatus::Completed) {
        wrong.push(format!("its status is {status}, not COMPLETED"));
    }
    if let Some(Value::Result(result)) = found.outcome.as_ref().and_then(|outcome| outcome.value.as_ref()) {
        let result = text(Some(result));
        judge_result("activity", &entry.activity, &result, &mut wrong);
        if let Some(told) = entry.outcome.as_ref().filter(|told| **told != result) {
            wrong.push(format!("its client was told {told:?}, now it is {result:?}"));
        }
    } else if entry.outcome.is_some() || !entry.activity.acknowledged.is_empty() {
        wrong.push("its outcome was acknowledged and is lost".to_owned());
    }
    wrong
}

#[cfg(test)]
mod tests {
    use perdure_proto::api::activity::{ActivityExecutionInfo, ActivityExecutionOutcome};

    use super::*;
    use crate::{crash::ledger::Completions, messages::payloads};

    const RUN: &str = "r";

    /// An activity that kept every promise.
    fn good() -> (Standalone, DescribeActivityExecutionResponse) {
        let entry = Standalone {
            run_id: Some(RUN.to_owned()),
            runs_seen: [RUN.to_owned()].into(),
            activity: Completions { sent: vec!["done".to_owned()], acknowledged: vec!["done".to_owned()] },
            outcome: Some("done".to_owned()),
            refusals: Vec::new(),
        };
        let info = ActivityExecutionInfo { status: ActivityExecutionStatus::Completed.into(), ..Default::default() };
        let outcome = ActivityExecutionOutcome { value: Some(Value::Result(payloads("done"))), ..Default::default() };
        let found = DescribeActivityExecutionResponse {
            run_id: RUN.to_owned(),
            info: Some(info),
            outcome: Some(outcome),
            ..Default::default()
        };
        (entry, found)
    }

    #[test]
    fn a_kept_promise_is_no_violation() {
        let (entry, found) = good();
        assert_eq!(judge(RUN, &entry, &found), Vec::<String>::new());
    }

    #[test]
    fn every_broken_promise_is_told() {
        type Break = fn(&mut Standalone, &mut DescribeActivityExecutionResponse);
        let cases: &[(&str, Break)] = &[
            ("ghost run", |entry, _| entry.runs_seen.extend(["other".to_owned()])),
            ("the current one is", |_, found| found.run_id = "other".to_owned()),
            ("not COMPLETED", |_, found| found.info = None),
            ("is lost", |_, found| found.outcome = None),
            ("was told", |entry, _| entry.outcome = Some("other".to_owned())),
            ("was never sent", |entry, _| entry.activity.sent.clear()),
            ("refused wait", |entry, _| entry.refusals.push("wait".to_owned())),
        ];
        for (expected, broken) in cases {
            let (mut entry, mut found) = good();
            broken(&mut entry, &mut found);
            let wrong = judge(RUN, &entry, &found);
            assert!(wrong.iter().any(|text| text.contains(expected)), "{expected:?} is not in {wrong:?}");
        }
    }
}
