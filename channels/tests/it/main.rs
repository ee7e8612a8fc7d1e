//! Every channel against a peer that can be told to misbehave, and every signature against a
//! verifier that is not ours.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop there")]

mod support;
mod smtp_sink;
mod http_sink;
mod python;

mod mail;
mod smtp;
mod webhook;
mod guard;
mod outbox;
mod secrecy;
