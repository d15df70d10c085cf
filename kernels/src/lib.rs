//! STARK's tensors and their CPU and reference backends.
