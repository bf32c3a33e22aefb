"""Reading images from folders and archives."""
