//! History: the shard actors, their commit pipeline and task queues.
