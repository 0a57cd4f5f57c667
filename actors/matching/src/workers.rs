//! The actor that knows the workers of every namespace: a shell around
//! [`perdure_task_queue::workers::WorkerRegistry`]. It stores nothing: after a restart workers are known again
//! as soon as they send their next heartbeat.

use std::sync::Arc;

use perdure_kernel::{NamespaceId, ServiceError, ServiceResult};
use perdure_proto::api::{
    worker::{WorkerHeartbeat, WorkerInfo, WorkerListInfo},
    workflowservice as ws,
};
use perdure_rpc::WorkersCall;
use perdure_runtime::{Actor, Ctx};
use perdure_task_queue::workers::{Filter, WorkerRegistry};

use crate::settings::SettingsSource;

/// What a page token holds before and after the key of the last worker shown: Temporal's tokens are JSON.
const TOKEN_KEY: &str = "l";

pub(crate) struct Workers {
    registry: WorkerRegistry,
    settings: Arc<dyn SettingsSource>,
}

impl Workers {
    pub(crate) fn new(settings: Arc<dyn SettingsSource>) -> Self {
        Self { registry: WorkerRegistry::default(), settings }
    }

    fn count_workers(&self) {
        metrics::gauge!("worker_registry_capacity_utilization")
            .set(self.registry.len() as f64 / self.settings.workers().entries_max.max(1) as f64);
    }

    fn list(
        &self,
        namespace: &NamespaceId,
        request: &ws::ListWorkersRequest,
    ) -> ServiceResult<ws::ListWorkersResponse> {
        let filter = filter(&request.query)?;
        let after = read_token(&request.next_page_token)?;
        let limit = match usize::try_from(request.page_size) {
            Ok(0) | Err(_) => usize::MAX,
            Ok(limit) => limit,
        };
        let page = self.registry.list(namespace, &filter, request.include_system_workers, after.as_deref(), limit);
        Ok(ws::ListWorkersResponse {
            workers_info: page.workers.iter().map(|worker| info(worker)).collect(),
            workers: page.workers.iter().map(|worker| list_info(worker)).collect(),
            next_page_token: page.more_after.map(|key| write_token(&key)).unwrap_or_default().into(),
        })
    }
}

impl Actor for Workers {
    type Msg = WorkersCall;

    const KIND: &'static str = "workers";

    fn handle(&mut self, call: WorkersCall, ctx: &mut Ctx<Self>) {
        match call {
            WorkersCall::Record(ask) => {
                let settings = self.settings.workers();
                self.registry.record(ctx.now(), &ask.request.namespace_id, ask.request.heartbeats, &settings);
                self.count_workers();
                ask.reply.send(Ok(()));
                if ctx.timer_due().is_none() && !self.registry.is_empty() {
                    ctx.set_timer(ctx.now() + settings.evict_interval);
                }
            }
            WorkersCall::List(ask) => ask.reply.send(self.list(&ask.request.namespace_id, &ask.request.request)),
            WorkersCall::Count(ask) => {
                let request = &ask.request.request;
                let count = filter(&request.query).map(|filter| {
                    let namespace = &ask.request.namespace_id;
                    let count = self.registry.count(namespace, &filter, request.include_system_workers);
                    ws::CountWorkersResponse { count: i64::try_from(count).unwrap_or(i64::MAX) }
                });
                ask.reply.send(count);
            }
            WorkersCall::Describe(ask) => {
                let key = &ask.request.request.worker_instance_key;
                let known = self.registry.get(&ask.request.namespace_id, key);
                ask.reply.send(match known {
                    Some(worker) => Ok(Box::new(ws::DescribeWorkerResponse { worker_info: Some(info(&worker)) })),
                    None => Err(ServiceError::not_found(format!("Worker {key} not found"))),
                });
            }
        }
    }

    fn timer(&mut self, ctx: &mut Ctx<Self>) {
        let settings = self.settings.workers();
        self.registry.evict(ctx.now(), &settings);
        self.count_workers();
        if !self.registry.is_empty() {
            ctx.set_timer(ctx.now() + settings.evict_interval);
        }
    }
}

fn filter(query: &str) -> ServiceResult<Filter> {
    Filter::parse(query).map_err(|error| ServiceError::invalid_argument(error.to_string()))
}

fn write_token(key: &str) -> Vec<u8> {
    serde_json::json!({ TOKEN_KEY: key }).to_string().into_bytes()
}

fn read_token(token: &[u8]) -> ServiceResult<Option<String>> {
    if token.is_empty() {
        return Ok(None);
    }
    let unreadable = || ServiceError::invalid_argument("invalid next_page_token");
    let token: serde_json::Value = serde_json::from_slice(token).map_err(|_| unreadable())?;
    let fields = token.as_object().ok_or_else(unreadable)?;
    match fields.get(TOKEN_KEY) {
        None => Ok(None),
        Some(key) => key.as_str().map(|key| Some(key.to_owned())).ok_or_else(unreadable),
    }
}

fn info(worker: &WorkerHeartbeat) -> WorkerInfo {
    WorkerInfo { worker_heartbeat: Some(worker.clone()) }
}

fn list_info(worker: &WorkerHeartbeat) -> WorkerListInfo {
    let host = worker.host_info.clone().unwrap_or_default();
    WorkerListInfo {
        worker_instance_key: worker.worker_instance_key.clone(),
        worker_identity: worker.worker_identity.clone(),
        task_queue: worker.task_queue.clone(),
        deployment_version: worker.deployment_version.clone(),
        sdk_name: worker.sdk_name.clone(),
        sdk_version: worker.sdk_version.clone(),
        status: worker.status,
        start_time: worker.start_time,
        host_name: host.host_name,
        worker_grouping_key: host.worker_grouping_key,
        process_id: host.process_id,
        plugins: worker.plugins.clone(),
        drivers: worker.drivers.clone(),
    }
}
