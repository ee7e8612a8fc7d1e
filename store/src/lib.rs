//! What the product keeps on the disk: the **log**, which is the truth and our own, and the **state**, which is rented,
//! computed from the log, and may be thrown away at any time.
//!
//! This crate knows nothing of customers and messages, of the network or of threads. It keeps bytes.

pub mod log;
pub mod state;
