"""The one DynamoDB table: keys, items, requests, and the only code that sends them."""
