//! `CheckDatabase`.

use std::pin::Pin;

use async_trait::async_trait;
use futures::{Stream, StreamExt, stream};
use perdure_kernel::ServiceResult;
use perdure_proto::admin::{self, check_database_response::Part};
use perdure_rpc::jobs::{CheckScope, Finding, FindingSink};
use perdure_runtime::Permit;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::Admin;

/// Findings that wait for the client to read them; then the check waits.
const FINDINGS_WAITING_MAX: usize = 64;

type Findings = Pin<Box<dyn Stream<Item = Result<admin::CheckDatabaseResponse, Status>> + Send>>;

impl Admin {
    /// Starts a check. It goes on to its end when the client leaves.
    pub(super) async fn check(&self, request: admin::CheckDatabaseRequest, permit: Permit) -> ServiceResult<Findings> {
        let namespace = match request.namespace.as_str() {
            "" => None,
            name => Some(self.namespace(name).await?.id.clone()),
        };
        let scope = CheckScope {
            namespace,
            histories: !request.without_histories,
            mend: request.repair,
            rate: Some(request.rate).filter(|rate| *rate > 0),
        };
        let (sender, findings) = mpsc::channel(FINDINGS_WAITING_MAX);
        let ended = self.jobs.check(scope, Box::new(ToClient(sender)));
        let admin = self.clone();
        let last = async move {
            let _permit = permit;
            ended.await.map(|summary| part(Part::Summary(summary.into()))).map_err(|error| admin.refuse(error))
        };
        // The sink goes when the check has ended: then the findings end too.
        Ok(Box::pin(ReceiverStream::new(findings).chain(stream::once(last))))
    }
}

struct ToClient(mpsc::Sender<Result<admin::CheckDatabaseResponse, Status>>);

#[async_trait]
impl FindingSink for ToClient {
    async fn found(&mut self, finding: Finding) {
        // Whoever asked may be gone.
        let _ = self.0.send(Ok(part(Part::Finding(finding.into())))).await;
    }
}

fn part(part: Part) -> admin::CheckDatabaseResponse {
    admin::CheckDatabaseResponse { part: Some(part) }
}
