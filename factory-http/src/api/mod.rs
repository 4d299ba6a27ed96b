//! The HTTP API: one file a resource, its operations with their wire types.
