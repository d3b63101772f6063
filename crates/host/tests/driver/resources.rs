//! Scheduled machines with resources and push locks reach every outcome of the model.
