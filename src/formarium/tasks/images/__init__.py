"""Images: data of any kind, views of them for training and testing, and classification."""
