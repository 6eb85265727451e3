"""The server under load: many chats over a video and a queue of drawings; its memory; what HTTP costs."""
