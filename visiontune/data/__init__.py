"""The data floor: samples, readers, honest splits, policies, batches."""
