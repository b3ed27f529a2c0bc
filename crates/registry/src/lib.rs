//! The OCI distribution protocol.
