"""The ops: every forward with its gradient beside it. Importing a file attaches its operators."""
