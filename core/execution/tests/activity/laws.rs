//! What holds whatever happens in whatever order.

use std::time::Duration;

use perdure_execution::{
    activity::Input,
    workflow::calls::activity_outcome::{Outcome, Reporter},
};
use perdure_proto::{api::workflowservice as ws, tokens};
use proptest::prelude::*;

use crate::{kit::*, update_options::changes};

/// Something that may happen.
#[derive(Clone, Debug)]
enum Happening {
    Start(u8, bool),
    Take,
    Complete,
    Fail(bool),
    Cancel(u8),
    ConfirmCancel,
    Terminate,
    Beat,
    Pause(u8),
    Unpause(u8),
    Reset(u8, bool, bool),
    Options(u8, u8),
    ById,
    Pass(u16),
    Delete,
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    use Happening::*;
    let one = prop_oneof![
        2 => (0u8..4, any::<bool>()).prop_map(|(id, delayed)| Start(id, delayed)),
        6 => Just(Take),
        1 => Just(Complete),
        3 => any::<bool>().prop_map(Fail),
        1 => (0u8..3).prop_map(Cancel),
        1 => Just(ConfirmCancel),
        1 => Just(Terminate),
        2 => Just(Beat),
        2 => (0u8..3).prop_map(Pause),
        2 => (0u8..3).prop_map(Unpause),
        2 => (0u8..3, any::<bool>(), any::<bool>()).prop_map(|(id, keep, restore)| Reset(id, keep, restore)),
        2 => (0u8..3, 0u8..5).prop_map(|(id, what)| Options(id, what)),
        1 => Just(ById),
        4 => (0u16..20_000).prop_map(Pass),
        1 => Just(Delete),
    ];
    prop::collection::vec(one, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens in whatever order: nothing panics, what is stored is the state, what is closed has an
    /// outcome and stays as it is, and a refusal changes nothing.
    #[test]
    fn laws(happenings in happenings()) {
        let mut kit = Kit::new();
        for happening in happenings {
            let before = kit.run.clone();
            let id = |id: u8| if id == 0 { String::new() } else { id.to_string() };
            let result = match happening.clone() {
                Happening::Start(id, delayed) => {
                    let mut request = request(&id.to_string());
                    request.start_delay = if delayed { secs(5) } else { None };
                    kit.ask(Input::Start(Box::new(request)))
                }
                Happening::Take => kit.take_task().map(drop),
                Happening::Complete => kit.report(completed()),
                Happening::Fail(for_good) => kit.report(failed(for_good)),
                Happening::Cancel(n) => kit.ask(Input::RequestCancel(ws::RequestCancelActivityExecutionRequest { request_id: id(n), ..Default::default() })),
                Happening::ConfirmCancel => kit.report(Outcome::Canceled { details: None }),
                Happening::Terminate => kit.ask(Input::Terminate(Default::default())),
                Happening::Beat => kit.ask(Input::Heartbeat(kit.token.clone(), payloads("beat"))),
                Happening::Pause(n) => kit.ask(Input::Pause(ws::PauseActivityExecutionRequest { request_id: id(n), ..Default::default() })),
                Happening::Unpause(n) => kit.ask(Input::Unpause(ws::UnpauseActivityExecutionRequest { request_id: id(n), jitter: secs(3), ..Default::default() })),
                Happening::Reset(n, keep_paused, restore_original_options) => kit.ask(Input::Reset(ws::ResetActivityExecutionRequest {
                    request_id: id(n), keep_paused, restore_original_options, jitter: secs(2), ..Default::default()
                })),
                Happening::Options(n, what) => kit.ask(Input::UpdateOptions(Box::new(ws::UpdateActivityExecutionOptionsRequest {
                    request_id: id(n), ..changes()[usize::from(what)].clone()
                }))),
                Happening::ById => kit.ask(Input::Report(tokens::ActivityTask::default(), completed(), Reporter::default())),
                Happening::Pass(millis) => {
                    kit.pass(Duration::from_millis(u64::from(millis)));
                    Ok(())
                }
                Happening::Delete => kit.ask(Input::Delete),
            };
            if result.is_err() {
                prop_assert_eq!(&before, &kit.run, "a refusal changed something: {:?}", happening);
            }
            if let Some(run) = kit.run.clone() {
                // Everything that can be asked can be answered.
                kit.info();
                prop_assert!(kit.ask::<()>(Input::Poll).is_ok());
                prop_assert!(run.is_closed() || run.next_deadline().is_some(), "an open activity ends some time");
            }
        }
    }
}
