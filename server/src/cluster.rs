//! What a cluster knows about itself from its first start on: its id, its name, its shards.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use perdure_kernel::{Random, ShardId, ShardMap, random::SplitMix};
use perdure_persistence::{SharedStore, StoreError, StoreErrorKind};
use perdure_proto::records;
use prost::Message;

use crate::StartError;

const CLUSTER: &str = "cluster";
const SHARD_MAP: &str = "shard_map";

/// Name of a cluster that was given none, as Temporal's development server has it.
const DEFAULT_NAME: &str = "active";

/// A cluster's lasting facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// UUID of its first start.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Ranges of its shards.
    pub shard_map: ShardMap,
}

/// Reads them, or makes them at a cluster's first start. Of two nodes that start at once, one makes them.
///
/// # Errors
///
/// The store fails or holds something else.
pub async fn load_or_create(store: &SharedStore, shards: u32, seed: u64) -> Result<Cluster, StartError> {
    let fresh = records::Cluster { cluster_id: ids(seed)(), cluster_name: DEFAULT_NAME.to_owned() };
    let cluster = record(store, CLUSTER, fresh).await?;
    let map = ShardMap::uniform(shards);
    let ranges = map
        .ranges()
        .iter()
        .map(|(first_token, shard)| records::ShardRange { first_token: *first_token, shard_id: shard.0 });
    let map = record(store, SHARD_MAP, records::ShardMap { version: map.version(), ranges: ranges.collect() }).await?;
    decoded(cluster, &map)
}

/// Reads them; `None` where no server was started yet.
///
/// # Errors
///
/// The store fails or holds something else.
pub async fn load(store: &SharedStore) -> Result<Option<Cluster>, StartError> {
    let stored = async |name| store.cluster_record(name).await.map_err(|error| unreadable(name, &error));
    let (Some((_, cluster)), Some((_, map))) = (stored(CLUSTER).await?, stored(SHARD_MAP).await?) else {
        return Ok(None);
    };
    let map: records::ShardMap = decode(SHARD_MAP, map)?;
    decoded(decode(CLUSTER, cluster)?, &map).map(Some)
}

fn decoded(cluster: records::Cluster, map: &records::ShardMap) -> Result<Cluster, StartError> {
    let ranges = map.ranges.iter().map(|range| (range.first_token, ShardId(range.shard_id))).collect();
    let shard_map = ShardMap::from_ranges(map.version, ranges)
        .ok_or_else(|| StartError::Failed("the stored shard map is damaged".to_owned()))?;
    Ok(Cluster { id: cluster.cluster_id, name: cluster.cluster_name, shard_map })
}

fn decode<M: Message + Default>(name: &str, bytes: Bytes) -> Result<M, StartError> {
    M::decode(bytes).map_err(|error| StartError::Failed(format!("cluster record {name} is damaged: {error}")))
}

fn unreadable(name: &str, error: &StoreError) -> StartError {
    StartError::Failed(format!("cluster record {name} cannot be read: {error}"))
}

async fn record<M: Message + Default>(store: &SharedStore, name: &str, fresh: M) -> Result<M, StartError> {
    let failed = |error: StoreError| unreadable(name, &error);
    let mut stored = store.cluster_record(name).await.map_err(failed)?;
    if stored.is_none() {
        match store.put_cluster_record(name, None, fresh.encode_to_vec().into()).await {
            Ok(_) => return Ok(fresh),
            // Another node was faster.
            Err(error) if error.kind == StoreErrorKind::Conflict => {
                stored = store.cluster_record(name).await.map_err(failed)?;
            }
            Err(error) => return Err(failed(error)),
        }
    }
    decode(name, stored.map(|(_, bytes)| bytes).unwrap_or_default())
}

/// A source of UUIDs.
pub(crate) fn ids(seed: u64) -> Arc<dyn Fn() -> String + Send + Sync> {
    let random = Mutex::new(SplitMix::new(seed));
    Arc::new(move || random.lock().unwrap_or_else(std::sync::PoisonError::into_inner).uuid())
}
