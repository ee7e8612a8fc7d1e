//! The questions a rule asks of a customer.
