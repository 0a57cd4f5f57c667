//! Holds `docs/compatibility.md` against the API and the code.

#![allow(clippy::unwrap_used)]

use perdure_frontend::{OPERATOR_UNSERVED, WORKFLOW_UNSERVED};
use perdure_proto::api::enums::EventType;

const DOCUMENT: &str = include_str!("../../docs/compatibility.md");

/// (heading, first cells) of every row of a table with three columns.
fn rows() -> Vec<(String, String, String, String)> {
    let mut service = String::new();
    let mut rows = Vec::new();
    for line in DOCUMENT.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            service = heading.to_owned();
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if let ["", rpc, state, missing, ""] = cells[..]
            && !matches!(rpc, "RPC" | "about")
            && !rpc.starts_with("--")
        {
            rows.push((service.clone(), rpc.to_owned(), state.to_owned(), missing.to_owned()));
        }
    }
    rows
}

/// (service, RPC, state, what is missing) of every RPC.
fn rpcs() -> Vec<(String, String, String, String)> {
    rows().into_iter().filter(|(heading, ..)| heading.ends_with("Service")).collect()
}

#[test]
fn every_event_type_stands_there_once() {
    let events = rows().into_iter().filter(|(heading, ..)| heading == "Events");
    let mut documented: Vec<String> =
        events.flat_map(|(_, _, _, types)| types.split(", ").map(str::to_owned).collect::<Vec<_>>()).collect();
    let known = (1..=i32::from(u8::MAX)).filter_map(|number| EventType::try_from(number).ok());
    let mut known: Vec<String> = known.map(|event| format!("{event:?}")).collect();
    documented.sort();
    known.sort();
    assert_eq!(documented, known);
}

#[test]
fn every_rpc_stands_there_once_and_in_order() {
    let documented: Vec<(String, String)> = rpcs().into_iter().map(|(service, rpc, _, _)| (service, rpc)).collect();
    let all: Vec<(String, String)> =
        perdure_proto::RPCS.iter().map(|(service, rpc)| ((*service).to_owned(), (*rpc).to_owned())).collect();
    assert_eq!(documented, all);
}

#[test]
fn states_are_those_of_the_code() {
    for (service, rpc, state, missing) in rpcs() {
        let unserved = if service == "WorkflowService" { WORKFLOW_UNSERVED } else { OPERATOR_UNSERVED };
        match state.as_str() {
            "served" => assert!(missing.is_empty(), "{rpc}: served, and yet {missing:?}"),
            "in part" => assert!(!missing.is_empty(), "{rpc}: say what is missing"),
            "not served" => assert!(missing.is_empty(), "{rpc}"),
            unknown => panic!("{rpc}: {unknown:?} is no state"),
        }
        assert_eq!(state == "not served", unserved.contains(&rpc.as_str()), "{rpc}: {state}");
    }
}
