"""The websockets: who is connected, and what each client is sent."""
