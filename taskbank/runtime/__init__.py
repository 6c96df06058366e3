"""The machine underneath: devices, versions, caches, threads and memory."""
