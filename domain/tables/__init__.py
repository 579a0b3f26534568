"""Tables as SQLModel: metadata for the migrations and for cold reads."""
