//! Histories: pages, newest first, and the wait for what comes next.

use bytes::Bytes;
use perdure_kernel::{BusinessKey, ServiceError};
use perdure_proto::{
    api::{
        enums::HistoryEventFilterType,
        history::{History, HistoryEvent},
        workflowservice as ws,
    },
    tokens,
};
use perdure_rpc::{Ask, history::WithToken};
use perdure_runtime::Ctx;
use prost::Message;

use super::{
    Shard,
    events::read_stored,
    holder::Holder,
    load::unreadable,
    message::ShardMsg,
    run::Run,
    work::{Found, Selector},
};

/// A question for a page of history.
pub(super) type HistoryAsk = Ask<
    WithToken<Option<tokens::HistoryPage>, ws::GetWorkflowExecutionHistoryRequest>,
    ws::GetWorkflowExecutionHistoryResponse,
>;

/// A question for a page of history, newest first.
pub(super) type ReverseAsk = Ask<
    WithToken<Option<tokens::HistoryPage>, ws::GetWorkflowExecutionHistoryReverseRequest>,
    ws::GetWorkflowExecutionHistoryReverseResponse,
>;

/// Clients that want only what is stored: the events of a running retry are no part of the history yet.
const CLIENTS_WITHOUT_TAIL: [&str; 2] = ["temporal-cli", "temporal-ui"];

/// What is read for one answer.
struct Page {
    first: i64,
    end: i64,
    token: Option<tokens::HistoryPage>,
    tail: Vec<HistoryEvent>,
}

impl Shard {
    pub(super) fn read_history(
        &mut self,
        key: &BusinessKey,
        holder: &mut Holder,
        found: Found,
        ask: HistoryAsk,
        ctx: &mut Ctx<Self>,
    ) {
        let index = match found {
            Ok(index) => index,
            Err(selector) => return ask.refuse(not_found(key, &selector)),
        };
        let run = &holder.runs[index];
        if must_wait(run, &ask) {
            let now = ctx.now();
            let wait = ask.caller.namespace.limits.history_long_poll;
            let until = ask.caller.deadline.map_or(now + wait, |deadline| (deadline - LONG_POLL_TAIL).min(now + wait));
            return self.watchers.add(key, holder, index, until, ask);
        }
        let page = page_of(run, &ask);
        self.answer_page(run, page, ask, ctx);
    }

    fn answer_page(&self, run: &Run, page: Page, ask: HistoryAsk, ctx: &mut Ctx<Self>) {
        let range = run.events(page.first, page.end);
        if let Some(events) = range.ready() {
            return ask.reply.send(Ok(response(events, page.tail, page.token)));
        }
        let (store, shard, key) = (self.store.clone(), self.id, run.state.key.clone());
        ctx.spawn_io(
            async move {
                let events = range.read(&store, shard, &key).await;
                ask.reply.send(
                    events.map(|events| response(events, page.tail, page.token)).map_err(|error| unreadable(&error)),
                );
            },
            |()| ShardMsg::Answered,
        );
    }

    pub(super) fn read_history_reverse(
        &self,
        key: &BusinessKey,
        holder: &Holder,
        found: Found,
        ask: ReverseAsk,
        ctx: &mut Ctx<Self>,
    ) {
        let index = match found {
            Ok(index) => index,
            Err(selector) => return ask.refuse(not_found(key, &selector)),
        };
        let run = &holder.runs[index];
        let token = ask.request.token.clone();
        let last = token.map_or(run.durable_end() - 1, |token| token.next_event_id).min(run.durable_end() - 1);
        let size = page_size(ask.request.request.maximum_page_size, &ask.caller.namespace.limits);
        let first = (last - size + 1).max(1);
        let next = (first > 1).then(|| tokens::HistoryPage {
            run_id: run.run_id.to_string(),
            next_event_id: first - 1,
            ..Default::default()
        });
        let (store, shard, run_key) = (self.store.clone(), self.id, run.state.key.clone());
        ctx.spawn_io(
            async move {
                let events = read_stored(&store, shard, &run_key, first, last).await;
                let answer = events.map(|mut events| {
                    events.reverse();
                    let next_page_token = next.map(encode).unwrap_or_default();
                    ws::GetWorkflowExecutionHistoryReverseResponse {
                        history: Some(History { events }),
                        next_page_token,
                    }
                });
                ask.reply.send(answer.map_err(|error| unreadable(&error)));
            },
            |()| ShardMsg::Answered,
        );
    }
}

/// Time before the caller's deadline at which a long poll ends, so that its answer still arrives.
pub(super) const LONG_POLL_TAIL: std::time::Duration = std::time::Duration::from_secs(1);

/// Answers a waiting reader if its wait is over, or if it has `expired`; otherwise gives it back.
pub(super) fn answer_watch(run: &Run, ask: HistoryAsk, expired: bool) -> Option<HistoryAsk> {
    if ask.reply.is_closed() {
        return None;
    }
    if !expired && must_wait(run, &ask) {
        return Some(ask);
    }
    let page = page_of(run, &ask);
    // What is new is in memory. If it is not any more, the reader asks again and gets it from the store.
    let events = run.events(page.first, page.end).ready();
    let answer = match events {
        Some(events) => response(events, page.tail, page.token),
        None => response(Vec::new(), Vec::new(), Some(token_at(run, page.first, true))),
    };
    ask.reply.send(Ok(answer));
    None
}

/// Ends a reader's wait without news: with a token to ask again.
pub(super) fn answer_nothing(run: &Run, ask: HistoryAsk) {
    let token = token_at(run, first_event(&ask), true);
    ask.reply.send(Ok(response(Vec::new(), Vec::new(), Some(token))));
}

/// Whether there is nothing yet that the reader asked for.
fn must_wait(run: &Run, ask: &HistoryAsk) -> bool {
    let request = &ask.request.request;
    if !request.wait_new_event || !run.state.is_open() {
        return false;
    }
    closes_only(request) || first_event(ask) >= run.durable_end()
}

fn closes_only(request: &ws::GetWorkflowExecutionHistoryRequest) -> bool {
    request.history_event_filter_type() == HistoryEventFilterType::CloseEvent
}

fn first_event(ask: &HistoryAsk) -> i64 {
    ask.request.token.as_ref().map_or(1, |token| token.next_event_id.max(1))
}

/// Chooses what is read.
fn page_of(run: &Run, ask: &HistoryAsk) -> Page {
    let request = &ask.request.request;
    let end = run.durable_end();
    let open = run.state.is_open();
    if closes_only(request) {
        // A reader that only wants the end gets it, or a token to wait on.
        let token = (open && request.wait_new_event).then(|| token_at(run, first_event(ask), true));
        let first = if open { end } else { end - 1 };
        return Page { first, end, token, tail: Vec::new() };
    }
    let first = first_event(ask);
    // A worker that lost its cache reads up to the start of its task, stored or not: it would take a shorter
    // history for a broken one. Who waits for news gets what is stored.
    let pinned = ask.request.token.as_ref().map_or(0, |token| token.end_event_id);
    let end = match pinned {
        _ if request.wait_new_event => end,
        0 => run.state.next_event_id(),
        pinned => pinned.min(run.state.next_event_id()),
    };
    let first = first.min(end);
    let size = page_size(request.maximum_page_size, &ask.caller.namespace.limits);
    let page_end = end.min(first + size);
    let last = page_end == end;
    let token = if !last {
        let mut token = token_at(run, page_end, open);
        token.end_event_id = if request.wait_new_event { 0 } else { end };
        Some(token)
    } else if open && request.wait_new_event {
        Some(token_at(run, page_end, true))
    } else {
        None
    };
    let wants_tail =
        last && open && !request.wait_new_event && !CLIENTS_WITHOUT_TAIL.contains(&&*ask.caller.client_name);
    let tail = if wants_tail { run.state.transient_tail() } else { Vec::new() };
    Page { first, end: page_end, token, tail }
}

fn token_at(run: &Run, next_event_id: i64, open: bool) -> tokens::HistoryPage {
    tokens::HistoryPage { run_id: run.run_id.to_string(), next_event_id, open, ..Default::default() }
}

fn page_size(asked: i32, limits: &perdure_kernel::Limits) -> i64 {
    let max = i64::try_from(limits.history_page_size_max).unwrap_or(i64::MAX);
    match i64::from(asked) {
        asked if asked > 0 => asked.min(max),
        _ => max,
    }
}

fn response(
    mut events: Vec<HistoryEvent>,
    tail: Vec<HistoryEvent>,
    token: Option<tokens::HistoryPage>,
) -> ws::GetWorkflowExecutionHistoryResponse {
    events.extend(tail);
    ws::GetWorkflowExecutionHistoryResponse {
        history: Some(History { events }),
        next_page_token: token.map(encode).unwrap_or_default(),
        ..Default::default()
    }
}

/// A token's bytes.
pub(super) fn encode(token: impl Message) -> Bytes {
    token.encode_to_vec().into()
}

/// The refusal of calls about executions that do not exist.
pub(super) fn not_found(key: &BusinessKey, selector: &Selector) -> ServiceError {
    let (workflow_id, run_id) = (&key.business_id, selector.run_id());
    ServiceError::not_found(if run_id.is_empty() {
        format!("workflow not found for ID: {workflow_id}")
    } else {
        format!("workflow execution not found for workflow ID {workflow_id:?} and run ID {run_id:?}")
    })
}
