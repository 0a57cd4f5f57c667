//! RPCs about namespaces: the namespace service answers them.

use perdure_kernel::ServiceResult;
use perdure_proto::api::workflowservice as ws;

use crate::call::{Call, Shared};

pub(super) async fn register_namespace(
    shared: &Shared,
    _call: Call<()>,
    request: ws::RegisterNamespaceRequest,
) -> ServiceResult<ws::RegisterNamespaceResponse> {
    shared.namespaces.register(request).await
}

pub(super) async fn describe_namespace(
    shared: &Shared,
    _call: Call<()>,
    request: ws::DescribeNamespaceRequest,
) -> ServiceResult<ws::DescribeNamespaceResponse> {
    shared.namespaces.describe(request).await
}

pub(super) async fn list_namespaces(
    shared: &Shared,
    _call: Call<()>,
    request: ws::ListNamespacesRequest,
) -> ServiceResult<ws::ListNamespacesResponse> {
    shared.namespaces.list(request).await
}

pub(super) async fn update_namespace(
    shared: &Shared,
    _call: Call<()>,
    request: ws::UpdateNamespaceRequest,
) -> ServiceResult<ws::UpdateNamespaceResponse> {
    shared.namespaces.update(request).await
}

pub(super) async fn deprecate_namespace(
    shared: &Shared,
    _call: Call<()>,
    request: ws::DeprecateNamespaceRequest,
) -> ServiceResult<ws::DeprecateNamespaceResponse> {
    shared.namespaces.deprecate(request).await
}
