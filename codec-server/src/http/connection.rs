//! The limits of connections, from the configuration of this server.

pub(crate) use temporal_kms_codec_service::connection::{ConnectionInfo, READ_BUFFER, Service};
use temporal_kms_codec_service::{
    connection::{self, ConnectionLimits},
    listener::Listener,
};
use tokio_util::sync::CancellationToken;

use crate::config::{Limits, Timeouts};

/// Serves until `stop`. Then it accepts the connections that the system has queued, and returns when every request in
/// flight is answered.
pub(crate) async fn serve(
    listener: Listener,
    service: Service,
    limits: &Limits,
    timeouts: &Timeouts,
    stop: CancellationToken,
) {
    let limits = ConnectionLimits {
        max_connections: limits.max_connections,
        max_headers: limits.max_headers,
        header: timeouts.header,
        write: timeouts.write,
        answer: timeouts.answer,
    };
    connection::serve(listener, service, &limits, stop).await;
}
