"""The operator's commands. Each works on the running local stack, or with --stage on a deployed one."""
