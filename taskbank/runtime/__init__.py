"""The machine: devices, versions, caches, threads and memory."""
