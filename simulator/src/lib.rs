//! Worlds in a box, to try the engine in.
//!
//! [`model`] is the contract written a second time: slow, obvious, from the whole history each
//! time. [`worlds`] makes random projects and random lives from a seed. [`agree`] lives them in the
//! engine and in the model; where the two disagree, one is wrong, and a person decides which.
//! [`sim`] puts the real host, on a real folder, into a world of trouble, and checks every promise.
//! [`shop`] is a small living shop, played through the real engine for the demo.

pub mod model;
pub mod worlds;
pub mod agree;
pub mod sim;
pub mod shop;
