"""Where files come from: folders, disk images, archives. Bytes out; nothing is ever written."""
