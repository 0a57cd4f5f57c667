//! The way to a running server.

use std::time::Duration;

use perdure_proto::perdure::admin::v1::admin_service_client::AdminServiceClient;
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};

use crate::StartError;

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A client of the server at `address`.
pub(super) async fn connect(address: &str) -> Result<AdminServiceClient<Channel>, StartError> {
    let unusable = |error: &dyn std::fmt::Display| {
        StartError::Usage(format!("invalid --address {address:?}: it takes HOST:PORT ({error})"))
    };
    let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(|error| unusable(&error))?;
    let channel = endpoint.connect_timeout(CONNECT_TIMEOUT).connect().await.map_err(|_| StartError::Server {
        address: address.to_owned(),
        problem: "nothing answers there; is it running, and is this its gRPC address?".to_owned(),
    })?;
    Ok(AdminServiceClient::new(channel))
}

/// What a refusal of the server means here.
pub(super) fn refused(address: &str, status: &Status) -> StartError {
    let problem = status.message().to_owned();
    let address = address.to_owned();
    match status.code() {
        Code::Unimplemented => StartError::Server {
            address,
            problem: "it does not know this command; it is another release, or not Perdure".to_owned(),
        },
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled => StartError::Server { address, problem },
        _ => StartError::Failed(problem),
    }
}
