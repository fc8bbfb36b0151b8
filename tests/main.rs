//! What the operator does, on a real control plane. One file a behaviour.

mod admission;
