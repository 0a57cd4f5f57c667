//! `ListNamespaces`: pages over all namespaces, ordered by id.

use bytes::Bytes;
use perdure_kernel::{NamespaceId, ServiceError, ServiceResult};
use perdure_persistence::{SharedStore, namespace::NamespaceRow};
use perdure_proto::{api::workflowservice::ListNamespacesRequest, tokens::NamespacePage};
use prost::Message;

use crate::fault;

/// Namespaces of a page when the request does not say.
const PAGE_DEFAULT: usize = 100;

/// Namespaces of a page at most, whatever the request says.
pub(crate) const PAGE_MAX: usize = 1000;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    after: Option<NamespaceId>,
    size: usize,
    pub(crate) deleted_too: bool,
}

impl Page {
    pub(crate) fn of(request: &ListNamespacesRequest) -> ServiceResult<Self> {
        let size = match usize::try_from(request.page_size) {
            Ok(0) => PAGE_DEFAULT,
            Ok(size) => size.min(PAGE_MAX),
            Err(_negative) => return Err(ServiceError::invalid_argument("PageSize must not be negative.")),
        };
        let after = match &request.next_page_token {
            token if token.is_empty() => None,
            token => {
                let page = NamespacePage::decode(token.clone())
                    .map_err(|_not_ours| ServiceError::invalid_argument("Invalid NextPageToken."))?;
                Some(NamespaceId::from(page.after_id.as_str()))
            }
        };
        let deleted_too = request.namespace_filter.is_some_and(|filter| filter.include_deleted);
        Ok(Self { after, size, deleted_too })
    }

    /// The rows of this page and the token of the next; empty after the last.
    pub(crate) async fn read(&self, store: &SharedStore) -> ServiceResult<(Vec<NamespaceRow>, Bytes)> {
        // One more than is shown tells whether there is a next page.
        let rows = store.list_namespaces(self.after.as_ref(), self.size + 1).await;
        let mut rows = rows.map_err(|error| fault::store(&error))?;
        let more = rows.len() > self.size;
        rows.truncate(self.size);
        let token = match rows.last() {
            Some(last) if more => NamespacePage { after_id: last.id.as_str().to_owned() }.encode_to_vec().into(),
            Some(_) | None => Bytes::new(),
        };
        Ok((rows, token))
    }
}

/// Every namespace that the store has.
pub(crate) async fn read_all(store: &SharedStore) -> ServiceResult<Vec<NamespaceRow>> {
    let mut all: Vec<NamespaceRow> = Vec::new();
    loop {
        let after = all.last().map(|row| row.id.clone());
        let rows = store.list_namespaces(after.as_ref(), PAGE_MAX).await.map_err(|error| fault::store(&error))?;
        let full = rows.len() == PAGE_MAX;
        all.extend(rows);
        if !full {
            return Ok(all);
        }
    }
}
