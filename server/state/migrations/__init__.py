"""How the tables came to be, one step a file. The server takes the missing steps when it starts."""
