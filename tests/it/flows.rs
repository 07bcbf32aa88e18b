//! Flows as their customers live them.
