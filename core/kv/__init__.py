"""The etcd vocabulary without I/O: requests and responses, keys, the codec, and a fake etcd in memory."""
