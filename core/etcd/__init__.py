"""The real etcd: finding and starting a server, and talking to one."""
