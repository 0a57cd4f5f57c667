//! `DeprecateNamespace`.

use perdure_proto::{api::enums::NamespaceState, records};

use crate::write::Edit;

/// Marks a namespace as deprecated, whatever its state: it runs what it has and starts nothing new.
pub(crate) fn deprecate(record: &mut records::Namespace) -> Edit {
    let deprecated = i32::from(NamespaceState::Deprecated);
    if record.state == deprecated {
        return Edit::Same;
    }
    record.state = deprecated;
    Edit::Changed
}
