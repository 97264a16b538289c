"""Renders mails and sends them by SES."""
