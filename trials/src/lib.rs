//! Trials: the real program on a real disk, treated as badly as life treats it.
//!
//! What is needed by more than one trial stands here: a server as a child process, a client, a
//! receiver of webhooks that counts.

pub mod client;
pub mod clock;
pub mod dice;
pub mod faults;
pub mod kills;
pub mod overload;
pub mod poison;
pub mod receiver;
pub mod server;
pub mod zones;
