//! What people do to activities.

use perdure_execution::workflow::calls::{pause_activity, reset_activity, unpause_activity, update_activity_options};
use perdure_kernel::ServiceResult;
use perdure_proto::{
    FieldMask,
    api::{
        activity::ActivityOptions,
        workflowservice::{
            PauseActivityRequest, ResetActivityRequest, UnpauseActivityRequest, UpdateActivityOptionsRequest,
            pause_activity_request, reset_activity_request, unpause_activity_request, update_activity_options_request,
        },
    },
};

use super::Kit;

pub(crate) fn activity_pause(id: &str) -> PauseActivityRequest {
    PauseActivityRequest {
        activity: Some(pause_activity_request::Activity::Id(id.to_owned())),
        identity: "operator".to_owned(),
        reason: "why".to_owned(),
        request_id: "pause-1".to_owned(),
        ..Default::default()
    }
}

pub(crate) fn activity_unpause(id: &str) -> UnpauseActivityRequest {
    let activity = Some(unpause_activity_request::Activity::Id(id.to_owned()));
    UnpauseActivityRequest { activity, ..Default::default() }
}

pub(crate) fn activity_reset(id: &str) -> ResetActivityRequest {
    let activity = Some(reset_activity_request::Activity::Id(id.to_owned()));
    ResetActivityRequest { activity, ..Default::default() }
}

pub(crate) fn activity_update(id: &str, options: ActivityOptions, paths: &[&str]) -> UpdateActivityOptionsRequest {
    UpdateActivityOptionsRequest {
        activity: Some(update_activity_options_request::Activity::Id(id.to_owned())),
        activity_options: Some(options),
        update_mask: Some(FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() }),
        ..Default::default()
    }
}

pub(crate) fn activity_restore(id: &str) -> UpdateActivityOptionsRequest {
    let activity = Some(update_activity_options_request::Activity::Id(id.to_owned()));
    UpdateActivityOptionsRequest { activity, restore_original: true, ..Default::default() }
}

impl Kit {
    pub(crate) fn pause_activity(&mut self, request: &PauseActivityRequest) -> ServiceResult<()> {
        self.decide(|state, env| pause_activity::decide(state, request.clone(), env))
    }

    pub(crate) fn unpause_activity(&mut self, request: &UnpauseActivityRequest) -> ServiceResult<()> {
        self.decide(|state, env| unpause_activity::decide(state, request, env))
    }

    pub(crate) fn reset_activity(&mut self, request: &ResetActivityRequest) -> ServiceResult<()> {
        self.decide(|state, env| reset_activity::decide(state, request, env))
    }

    /// The options as the answer shows them.
    pub(crate) fn update_activity(&mut self, request: &UpdateActivityOptionsRequest) -> ServiceResult<ActivityOptions> {
        let answer = self.decide(|state, env| update_activity_options::decide(state, request, env))?;
        Ok(answer.activity_options.unwrap())
    }
}
