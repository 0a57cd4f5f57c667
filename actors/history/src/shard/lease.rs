//! The shard's lease: the fence of its writes and the source of its task ids.

use perdure_kernel::Timestamp;
use perdure_persistence::{SharedStore, StoreError, shard::ShardLease};
use perdure_proto::records;
use perdure_runtime::Ctx;
use prost::Message;

use super::{
    Shard,
    message::{ShardMsg, TakenLease},
};

/// Task ids that one range id gives: so many low bits of an id count within it. Enough for years of work, with
/// eight million range ids beside them.
const IDS_PER_RANGE_BITS: u32 = 40;

/// Rows of immediate tasks read at a time.
const IMMEDIATE_PAGE: usize = 1000;

/// Wait before the lease is asked for again after the store failed.
const RETRY_DELAY: std::time::Duration = std::time::Duration::from_millis(200);

/// A held lease.
pub(super) struct Lease {
    pub(super) range_id: i64,
    next_id: i64,
}

impl Lease {
    fn new(lease: &ShardLease) -> Self {
        Self { range_id: lease.range_id, next_id: lease.range_id << IDS_PER_RANGE_BITS }
    }

    /// A task id that no owner of the shard ever gave.
    pub(super) fn take_id(&mut self) -> i64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    /// Whether the range's ids run out: then a new lease is due.
    pub(super) fn is_used_up(&self) -> bool {
        const SPARE: i64 = 1 << 20;
        self.next_id + SPARE >= (self.range_id + 1) << IDS_PER_RANGE_BITS
    }

    /// The id that the next task will get.
    pub(super) fn next_id(&self) -> i64 {
        self.next_id
    }
}

impl Shard {
    /// Asks the store for the lease and for what is pending.
    pub(super) fn acquire_lease(&self, ctx: &mut Ctx<Self>) {
        let (store, id, owner) = (self.store.clone(), self.id, self.settings.owner.clone());
        let first_page = super::timers::PAGE;
        ctx.spawn_io(
            async move {
                let taken = take(&store, id, &owner, first_page).await;
                if taken.is_err() {
                    tokio::time::sleep(RETRY_DELAY).await;
                }
                taken
            },
            |result| ShardMsg::LeaseTaken(result.map(Box::new)),
        );
    }

    /// The lease is here: what was pending goes on, what waited begins.
    pub(super) fn lease_taken(&mut self, taken: Result<Box<TakenLease>, StoreError>, ctx: &mut Ctx<Self>) {
        let taken = match taken {
            Ok(taken) => taken,
            Err(error) => {
                tracing::error!(shard = %self.id, %error, "shard cannot be taken; trying again");
                return self.acquire_lease(ctx);
            }
        };
        tracing::debug!(shard = %self.id, range_id = taken.lease.range_id, "shard taken");
        self.lease = Some(Lease::new(&taken.lease));
        self.timers.resume(taken.timers, super::timers::PAGE);
        for row in taken.immediate {
            match records::ImmediateTasks::decode(row.tasks) {
                Ok(row) => self.immediate.resume(row.tasks),
                Err(error) => tracing::error!(shard = %self.id, %error, first_id = row.first_id, "task row is damaged"),
            }
        }
        self.begin_resumed(ctx);
        for job in std::mem::take(&mut self.waiting) {
            self.submit(job, ctx);
        }
    }
}

async fn take(
    store: &SharedStore,
    id: perdure_kernel::ShardId,
    owner: &str,
    timers_page: usize,
) -> Result<TakenLease, StoreError> {
    let lease = store.acquire_shard(id, owner).await?;
    let mut immediate = Vec::new();
    let mut from = lease.immediate_ack;
    loop {
        let page = store.read_immediate(id, from, IMMEDIATE_PAGE).await?;
        let full = page.len() == IMMEDIATE_PAGE;
        if let Some(last) = page.last() {
            from = last.last_id + 1;
        }
        immediate.extend(page);
        if !full {
            break;
        }
    }
    let timers = store.read_timers(id, (Timestamp::EPOCH, 0), Timestamp::MAX, timers_page).await?;
    Ok(TakenLease { lease, immediate, timers })
}
