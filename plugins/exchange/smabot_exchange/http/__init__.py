"""The front on the wire: Alpaca's REST and websockets, over one port."""
