"""The process: settings, Postgres, the ASGI application and the command line."""
