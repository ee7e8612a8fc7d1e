//! A world in a box: what the engine promises, written a second time, and worlds to try it on.
//!
//! [`model`] is the contract as a program: slow, obvious, from the whole history each time.
//! [`worlds`] makes random projects and random lives from a seed. Where model and engine disagree
//! about a world, one of them is wrong, and a person decides which.

pub mod model;
pub mod worlds;
