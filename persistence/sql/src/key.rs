//! Keys as bytes that sort as their parts do.
//!
//! A part is either a canonical UUID (a tag and 16 bytes: most ids are) or text (a tag, the text with
//! zero bytes escaped, a terminator), so a key is short, splits unambiguously and can be searched by prefix.
//! UUIDs sort after all other text.

use perdure_kernel::{Archetype, BusinessKey, ExecutionKey, NamespaceId, ShardId};
use perdure_persistence::task_queue::QueueKey;
use uuid::Uuid;

const TEXT: u8 = 0;
const UUID: u8 = 1;

/// `0` in text becomes `0 ESCAPED`; `0 END` ends it. `END` is the lesser so that a prefix sorts first.
const END: u8 = 0;
const ESCAPED: u8 = 0xff;

/// An execution's key and, as its prefix, that of its business id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RunKey {
    bytes: Vec<u8>,
    business_len: usize,
}

impl RunKey {
    pub(crate) fn new(shard: ShardId, key: &ExecutionKey) -> Self {
        let mut bytes = business(shard, &key.business);
        let business_len = bytes.len();
        push_id(&mut bytes, &key.run_id);
        Self { bytes, business_len }
    }

    /// The whole key.
    pub(crate) fn run(&self) -> &[u8] {
        &self.bytes
    }

    /// The key of the business id.
    pub(crate) fn business(&self) -> &[u8] {
        &self.bytes[..self.business_len]
    }

    pub(crate) fn into_run(self) -> Vec<u8> {
        self.bytes
    }
}

/// Key of a business id within a shard.
pub(crate) fn business(shard: ShardId, key: &BusinessKey) -> Vec<u8> {
    // Shard, two UUIDs with tags, archetype, and the tag and end of the business id.
    let mut bytes = Vec::with_capacity(4 + 2 * 17 + 2 + 3 + key.business_id.len());
    bytes.extend(shard.0.to_be_bytes());
    push_id(&mut bytes, key.namespace_id.as_str());
    bytes.extend(key.archetype.0.to_be_bytes());
    push_text(&mut bytes, &key.business_id);
    bytes
}

/// What every execution key of a shard starts with.
pub(crate) fn shard_prefix(shard: ShardId) -> Vec<u8> {
    shard.0.to_be_bytes().to_vec()
}

/// The execution that [`RunKey::run`] names, or `None` when the bytes are no such key.
pub(crate) fn decode_run(bytes: &[u8]) -> Option<ExecutionKey> {
    let (_shard, mut rest) = bytes.split_first_chunk::<4>()?;
    let namespace_id = NamespaceId(take_id(&mut rest)?.into());
    let (archetype, after) = rest.split_first_chunk::<2>()?;
    rest = after;
    let business_id = take_id(&mut rest)?.into();
    let run_id = take_id(&mut rest)?.into();
    let archetype = Archetype(u16::from_be_bytes(*archetype));
    let business = BusinessKey { namespace_id, archetype, business_id };
    rest.is_empty().then_some(ExecutionKey { business, run_id })
}

/// A run id alone.
pub(crate) fn run_id(run_id: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(17);
    push_id(&mut bytes, run_id);
    bytes
}

/// The text that [`run_id`] encoded.
pub(crate) fn decode_run_id(mut bytes: &[u8]) -> Option<String> {
    take_id(&mut bytes).filter(|_| bytes.is_empty())
}

/// Key of a task queue: namespace, name, type.
pub(crate) fn queue(key: &QueueKey) -> Vec<u8> {
    let mut bytes = queue_prefix(&key.namespace_id);
    push_text(&mut bytes, &key.name);
    // With the sign flipped, negative numbers sort first.
    bytes.extend((key.task_type.cast_unsigned() ^ (1 << 31)).to_be_bytes());
    bytes
}

/// What every queue key of a namespace starts with.
pub(crate) fn queue_prefix(namespace_id: &NamespaceId) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64);
    push_id(&mut bytes, namespace_id.as_str());
    bytes
}

/// The namespace of a key that starts with [`queue_prefix`].
pub(crate) fn namespace_of(mut bytes: &[u8]) -> Option<NamespaceId> {
    Some(NamespaceId(take_id(&mut bytes)?.into()))
}

/// The queue that [`queue`] encoded.
pub(crate) fn decode_queue(mut bytes: &[u8]) -> Option<QueueKey> {
    let namespace_id = NamespaceId(take_id(&mut bytes)?.into());
    let name = take_id(&mut bytes)?;
    let task_type = u32::from_be_bytes(bytes.try_into().ok()?) ^ (1 << 31);
    Some(QueueKey { namespace_id, name, task_type: task_type.cast_signed() })
}

/// The least key that is greater than every key starting with `prefix`.
pub(crate) fn after_prefix(mut prefix: Vec<u8>) -> Vec<u8> {
    while let Some(last) = prefix.pop() {
        if last < u8::MAX {
            prefix.push(last + 1);
            break;
        }
    }
    prefix
}

fn push_id(bytes: &mut Vec<u8>, id: &str) {
    match canonical_uuid(id) {
        Some(uuid) => {
            bytes.push(UUID);
            bytes.extend(uuid.as_bytes());
        }
        None => push_text(bytes, id),
    }
}

fn push_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.push(TEXT);
    for byte in text.bytes() {
        bytes.push(byte);
        if byte == 0 {
            bytes.push(ESCAPED);
        }
    }
    bytes.extend([0, END]);
}

/// The UUID, if `text` is exactly how it would be written.
fn canonical_uuid(text: &str) -> Option<Uuid> {
    if text.len() != uuid::fmt::Hyphenated::LENGTH {
        return None;
    }
    let uuid = Uuid::try_parse(text).ok()?;
    let mut buffer = [0; uuid::fmt::Hyphenated::LENGTH];
    (uuid.hyphenated().encode_lower(&mut buffer) == text).then_some(uuid)
}

fn take_id(bytes: &mut &[u8]) -> Option<String> {
    let (tag, rest) = bytes.split_first()?;
    if *tag == UUID {
        let (uuid, rest) = rest.split_first_chunk::<16>()?;
        *bytes = rest;
        return Some(Uuid::from_bytes(*uuid).hyphenated().to_string());
    }
    if *tag != TEXT {
        return None;
    }
    let mut text = Vec::with_capacity(rest.len());
    let mut rest = rest;
    loop {
        let zero = rest.iter().position(|byte| *byte == 0)?;
        text.extend(&rest[..zero]);
        let mark = *rest.get(zero + 1)?;
        rest = &rest[zero + 2..];
        match mark {
            END => break,
            ESCAPED => text.push(0),
            _ => return None,
        }
    }
    *bytes = rest;
    String::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn id() -> impl Strategy<Value = String> {
        let near_uuid = prop::sample::select(vec![
            "2f1d4d1c-6a0e-4d4f-9a52-0f3f3c1f9a11",
            "2F1D4D1C-6a0e-4d4f-9a52-0f3f3c1f9a11",
            "2f1d4d1c6a0e4d4f9a520f3f3c1f9a11",
            "00000000-0000-0000-0000-000000000000",
            "",
        ]);
        prop_oneof![near_uuid.prop_map(str::to_owned), "[\0\u{1}a-b\u{ff}日]{0,4}"]
    }

    fn run() -> impl Strategy<Value = ExecutionKey> {
        (id(), 0_u16..3, id(), id()).prop_map(|(namespace, archetype, business_id, run_id)| ExecutionKey {
            business: BusinessKey {
                namespace_id: namespace.as_str().into(),
                archetype: Archetype(archetype),
                business_id: business_id.into(),
            },
            run_id: run_id.into(),
        })
    }

    /// How keys sort: UUIDs after text, text by its bytes.
    fn rank(id: &str) -> (bool, &str) {
        (canonical_uuid(id).is_some(), id)
    }

    proptest! {
        #[test]
        fn keys_come_back_and_sort_by_their_parts(a in run(), b in run()) {
            let (x, y) = (RunKey::new(ShardId(3), &a), RunKey::new(ShardId(3), &b));
            prop_assert_eq!(decode_run(x.run()), Some(a.clone()));
            prop_assert_eq!(x.business(), business(ShardId(3), &a.business));
            fn parts(key: &ExecutionKey) -> ((bool, &str), u16, &str, (bool, &str)) {
                let business = &key.business;
                let namespace = rank(business.namespace_id.as_str());
                (namespace, business.archetype.0, &business.business_id, rank(&key.run_id))
            }
            prop_assert_eq!(x.run().cmp(y.run()), parts(&a).cmp(&parts(&b)));
            prop_assert!(x.run() < after_prefix(shard_prefix(ShardId(3))).as_slice());
            prop_assert!(RunKey::new(ShardId(2), &b).run() < x.run());
        }

        #[test]
        fn queue_keys_come_back_and_sort(name in id(), other in id(), kind in -2..3, other_kind in -2..3) {
            let key = |name: &str, task_type| QueueKey {
                namespace_id: "2f1d4d1c-6a0e-4d4f-9a52-0f3f3c1f9a11".into(),
                name: name.to_owned(),
                task_type,
            };
            let (a, b) = (key(&name, kind), key(&other, other_kind));
            prop_assert_eq!(decode_queue(&queue(&a)), Some(a.clone()));
            prop_assert_eq!(queue(&a).cmp(&queue(&b)), a.cmp(&b));
        }

        #[test]
        fn foreign_bytes_are_refused_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Some(key) = decode_run(&bytes) {
                prop_assert!(RunKey::new(ShardId(0), &key).run().len() <= bytes.len() + 4);
            }
            decode_queue(&bytes);
            decode_run_id(&bytes);
        }
    }

    #[test]
    fn the_end_of_a_prefix_carries() {
        assert_eq!(after_prefix(vec![1, 2]), [1, 3]);
        assert_eq!(after_prefix(vec![1, 0xff, 0xff]), [2]);
    }
}
