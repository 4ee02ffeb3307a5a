"""etcd as a service station. `station` is the door; the other modules are what lies behind it."""
