"""The game behind Heist Core's Lambda functions: rules, storage, mail and their wiring."""
