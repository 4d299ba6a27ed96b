//! Hand-made histories, each bad in its own way.
