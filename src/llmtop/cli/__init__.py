"""The command line: one file a subcommand, the app imported only inside `watch`."""
