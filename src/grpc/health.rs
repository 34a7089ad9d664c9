//! Whether a service of a server is well (`grpc.health.v1`).

/// Asks it.
pub(crate) const CHECK: &str = "/grpc.health.v1.Health/Check";

/// Which service is meant.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct HealthCheckRequest {
    #[prost(string, tag = "1")]
    pub(crate) service: String,
}

/// How it is.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct HealthCheckResponse {
    #[prost(int32, tag = "1")]
    pub(crate) status: i32,
}

/// How a service can be, in the order of their numbers.
pub(crate) const STATUSES: [&str; 4] = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];
pub(crate) const SERVING: &str = STATUSES[1];
