//! Which of a run's activities a request is about.

use perdure_kernel::{ServiceError, ServiceResult};

use crate::workflow::WorkflowState;

/// How a request names activities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActivityTarget<'a> {
    /// The one with this id.
    Id(&'a str),
    /// All of this type.
    Type(&'a str),
    /// All.
    All,
}

impl ActivityTarget<'_> {
    /// Scheduled event ids of the open activities meant, in order.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` when there is none.
    pub(crate) fn find(self, state: &WorkflowState) -> ServiceResult<Vec<i64>> {
        let found: Vec<i64> = match self {
            Self::Id(id) => state.activity_ids.get(id).copied().into_iter().collect(),
            Self::Type(name) => {
                let of_type = state.activities.iter().filter(|(_, activity)| {
                    let kind = activity.attributes.as_ref().and_then(|attributes| attributes.activity_type.as_ref());
                    kind.is_some_and(|kind| kind.name == name)
                });
                of_type.map(|(id, _)| *id).collect()
            }
            Self::All => state.activities.keys().copied().collect(),
        };
        if found.is_empty() {
            let text = "Can't find pending activity with such ID. Invalid activityID or activity already completed";
            return Err(ServiceError::not_found(text));
        }
        Ok(found)
    }
}

/// The refusal of requests that name no activity. The frontend lets none through.
pub(crate) fn not_named() -> ServiceError {
    ServiceError::invalid_argument("Either Activity.Id or Activity.Type should be set on request.")
}
