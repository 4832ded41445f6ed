"""Tables of attributes that are shipped with the model: how they are read, searched and joined."""
