//! The row of a customer in the state store.

use engine::customer::Customer;
use store::state::{Keyspace, StateError};

use crate::rows;

/// A customer as a row.
pub(crate) fn write(customer: &Customer) -> Vec<u8> {
    rows::row(customer)
}

/// A row as a customer.
pub(crate) fn read(bytes: &[u8]) -> Result<Customer, StateError> {
    rows::unrow(bytes).ok_or(StateError::BadRow { keyspace: Keyspace::Customers.name() })
}
