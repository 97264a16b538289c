"""The edge towards API Gateway."""
