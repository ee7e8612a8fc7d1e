//! The server from outside: every test starts one on a port of its own with an empty data folder
//! and talks real HTTP to it. The files mirror the addresses.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails shall say so")]

mod support;

mod auth;
mod backup;
mod cli;
mod customers;
mod deliveries;
mod dispatch;
mod docs;
mod inbox;
mod ingest;
mod outreaches;
mod overload;
mod projects;
mod restart;
mod slow;
mod unsubscribe;
