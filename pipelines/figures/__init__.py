"""The numbers and pictures of the documentation; nothing imports them."""
