//! Events as they happen: WebSocket and server-sent events, from any cursor, without gaps or doubles.
