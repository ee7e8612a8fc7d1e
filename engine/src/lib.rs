//! The heart of Tidings: what happened → to whom → whether we say it → saying it.
//!
//! Synchronous and pure: no input or output, no clock, no dice. Facts about one customer come in;
//! a ruling and effects come out. `now` is an argument, ids are hashes of what they name, so a
//! replay of the log gives the same answer on any machine.
//!
//! The way through the house, in reading order:
//! [`fact`] ① what happened · [`customer`] ② to whom · [`outreach`] what we could say ·
//! [`condition`] the questions · [`decision`] ③ whether we say it, and why not ·
//! [`delivery`] ④ saying it.

pub mod fact;
pub mod customer;
pub mod project;
pub mod outreach;
pub mod situation;
pub mod condition;
pub mod template;
pub mod decision;
pub mod delivery;
pub mod apply;
pub mod explain;
pub mod estimate;
pub mod ids;
pub mod sorted;
pub mod time;
pub mod value;
