"""The figures of the report: small functions from data to a matplotlib `Figure`, also for notebooks."""
