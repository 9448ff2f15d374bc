"""What the service measures of itself, and its OpenMetrics endpoint (`serve --metrics-address`)."""
