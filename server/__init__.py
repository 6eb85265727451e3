"""The web: HTTP, Server-Sent Events and the page. Knows `gpt4video`, and nothing about models."""
